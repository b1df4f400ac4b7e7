"""Small pictures of the examples in records: one file a dataset, beside the leaderboard's records."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.data.samples import Samples
from compatbench.errors import RequestError
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.report.site.page_data.pictures import (
    LARGEST,
    MOST_BYTES,
    REMEDY,
    Thumbnail,
    example_records,
    read_thumbnails,
    samples_of,
    shown_examples,
)
from compatbench.storage.files import keep_names, whole_file
from compatbench.trust.problems import Problem

QUALITIES = (60, 30, 5)
"""Of WebP, the first that fits into the bytes that a picture may have."""


def thumbnails(store: Store) -> dict[str, dict[int, Thumbnail]]:
    """All pictures by dataset. Raises RequestError, in one line, for a wrong file."""
    return {path.stem: read_thumbnails(path, _name(path)) for path in _files(store)}


def write_thumbnails(store: Store, records: Iterable[Record], dataset: str, samples: Samples) -> Path | None:
    """Write the pictures of `dataset` for the examples of `records`, all of the leaderboard.

    Pictures that are there already stay where `samples` do not know their id. Returns None where nothing is named.
    """
    path = store.thumbnails / f"{dataset}.parquet"
    wanted = named_samples(records).get(dataset, set())
    kept = _readable(path)
    found = [one for sample in sorted(wanted) if (one := _made(sample, samples) or kept.get(sample)) is not None]
    if not found:
        path.unlink(missing_ok=True)
        return None
    _write(found, path)
    keep_names(path.parent)
    return path


def named_samples(records: Iterable[Record]) -> dict[str, set[int]]:
    """The samples of examples on the leaderboard's page, by dataset."""
    named: dict[str, set[int]] = defaultdict(set)
    for record in example_records(records):
        for example in shown_examples(record):
            named[record.spec.dataset].update(samples_of(example))
    return named


def needless_pictures(store: Store, records: Iterable[Record]) -> list[Problem]:
    """Files and pictures that no example of `records`, all of the leaderboard, names."""
    named = named_samples(records)
    problems = []
    for path in sorted(store.thumbnails.glob("*")):
        if path not in _files(store) or path.stem not in named:
            problems.append(Problem(_name(path), "no record needs this file; remove it"))
        elif extra := set(_readable(path)) - named[path.stem]:
            problems.append(Problem(_name(path), f"no example shows sample {min(extra)}; {REMEDY}"))
    return problems


def _files(store: Store) -> list[Path]:
    return sorted(path for path in store.thumbnails.glob("*.parquet") if path.is_file())


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _readable(path: Path) -> dict[int, Thumbnail]:
    """Nothing where the file is missing or broken."""
    try:
        return read_thumbnails(path, _name(path)) if path.is_file() else {}
    except RequestError:
        return {}


def _made(sample: int, samples: Samples) -> Thumbnail | None:
    if sample not in samples:
        return None
    image = _packed(samples.pixels(sample))
    return None if image is None else Thumbnail(sample, samples.label(sample), image)


def _packed(pixels: NDArray[np.uint8]) -> bytes | None:
    """An image (C, H, W), grey or RGB, as a small WebP file; None where it has other channels."""
    from PIL import Image

    if len(pixels) not in (1, 3):
        return None
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    image.thumbnail((LARGEST, LARGEST))
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "webp", quality=quality, method=6)
        if len(file.getvalue()) <= MOST_BYTES:
            return file.getvalue()
    return None


def _write(found: list[Thumbnail], path: Path) -> None:
    """By sample, so that equal pictures give equal files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "id": pa.array([one.id for one in found], pa.int64()),
            "label": pa.array([one.label for one in found], pa.string()),
            "image": pa.array([one.image for one in found], pa.binary()),
        }
    )
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)
