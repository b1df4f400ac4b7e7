"""Every image file is read whole and decoded once before it is used: a missing or damaged one is named, not skipped.

What was found sound is remembered by size and time of change, so that the next look costs no more than asking the
file system.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from compatbench.data.family import Notify
from compatbench.data.image_file import Decoding, decode, open_image
from compatbench.errors import RequestError, first_line, listed
from compatbench.storage.files import whole_file

CHUNK = 2048
"""Files that are handed to the threads at a time."""
REPORT_SECONDS = 10.0
CHECK_SIZE = 8
"""Images are decoded whole for the check, and kept small."""


@dataclass(frozen=True, eq=False)
class SoundFiles:
    """Facts about M sound files."""

    hashes: NDArray[np.uint8]
    """(M, 32) sha256 of the content."""
    sizes: NDArray[np.int64]
    """(M, 2) width and height in pixels, as in the file, before any rotation."""


def verify_files(
    folder: Path, paths: Sequence[str], ledger: Path, notify: Notify, *, again: bool = False
) -> SoundFiles:
    """Check all `paths` below `folder`, and read those changed since `ledger` was written; all for `again`.

    The ledger is a Parquet file of path, bytes, changed (nanoseconds), sha256, width and height, written where its
    folder's parent exists. Raises RequestError that names the files that are missing or cannot be decoded.
    """
    known = _read(ledger)
    stats = pd.DataFrame(
        [_stat(os.path.join(folder, path)) for path in paths],
        index=pd.Index(paths, name="path"),
        columns=["bytes", "changed"],
    )
    before = known.reindex(stats.index)
    same = (before[["bytes", "changed"]].to_numpy() == stats.to_numpy()).all(axis=1)
    failures = [f"{path} (missing)" for path in stats.index[stats["bytes"] < 0]]
    todo = stats.index[(again | ~same) & (stats["bytes"] >= 0).to_numpy()]
    if len(todo):
        found: dict[str, tuple[bytes, int, int] | str] = {}
        try:
            found.update(_look_into(folder, todo, notify))
        finally:  # also when interrupted: what was looked into need not be again
            sound = {path: result for path, result in found.items() if not isinstance(result, str)}
            columns = pd.DataFrame.from_dict(sound, orient="index", columns=["sha256", "width", "height"])
            fresh = stats.loc[columns.index].join(columns)
            known = pd.concat([known[~known.index.isin(list(found))], fresh])
            _write(ledger, known)
        failures += [f"{path} ({result})" for path, result in found.items() if isinstance(result, str)]
    if failures:
        raise RequestError(
            f"{folder}: {len(failures)} images cannot be read: {listed(failures)}; mend, replace or remove them"
        )
    here = known.loc[list(paths)]
    hashes = np.frombuffer(b"".join(here["sha256"]), dtype=np.uint8).reshape(-1, 32)
    return SoundFiles(hashes, here[["width", "height"]].to_numpy(dtype=np.int64))


def known_files(ledger: Path) -> list[str]:
    """Paths of the files found sound at an earlier check."""
    return [str(path) for path in _read(ledger).index]


def _look_into(
    folder: Path, paths: Sequence[str], notify: Notify
) -> Iterator[tuple[str, tuple[bytes, int, int] | str]]:
    """Sha256, width and height of each file, or what is wrong with it."""
    begun = reported = time.monotonic()
    with ThreadPoolExecutor(max_workers=min(32, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), CHUNK):
            part = paths[start : start + CHUNK]
            yield from zip(part, pool.map(_read_one, [folder / path for path in part]), strict=True)
            now = time.monotonic()
            if now - reported > REPORT_SECONDS:
                reported, done = now, start + len(part)
                left = (now - begun) * (len(paths) / done - 1)
                notify(f"checking images: {done:,} of {len(paths):,}, about {left / 60:.0f} minutes left")


def _read_one(path: Path) -> tuple[bytes, int, int] | str:
    try:
        content = path.read_bytes()
        with open_image(content) as image:
            width, height = image.size
        decode(content, Decoding(), CHECK_SIZE)
    except FileNotFoundError:
        return "missing"
    except UnidentifiedImageError:
        return "no image of a known format"
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
        return first_line(error)
    return hashlib.sha256(content).digest(), width, height


def _stat(path: str) -> tuple[int, int]:
    """Bytes and time of change, −1 for a file that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _read(ledger: Path) -> pd.DataFrame:
    with suppress(OSError, ValueError, KeyError):  # none yet, or damaged: all files are looked into again
        return pd.read_parquet(ledger).set_index("path")[["bytes", "changed", "sha256", "width", "height"]]
    empty = {"bytes": int, "changed": int, "sha256": object, "width": int, "height": int}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in empty.items()}, index=pd.Index([], name="path"))


def _write(ledger: Path, known: pd.DataFrame) -> None:
    if not ledger.parent.parent.is_dir():
        return
    with suppress(OSError), whole_file(ledger) as temporary:  # a read-only disk costs the next look, no more
        known.rename_axis("path").reset_index().to_parquet(temporary)
