"""Writes files whole: a reader sees all of the new one or the previous one."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

FOLDER_NAME = r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,99}$"
FolderName = Annotated[str, StringConstraints(pattern=FOLDER_NAME)]
"""Becomes the name of a folder: one part of a path, and none that leads elsewhere."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends well, and vanishes when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # of this process alone, also where several machines share the folder
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) at `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Write every content under its name below `folder`, and return the files."""
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


def file_sha256(path: Path) -> str:
    """Sha256 (hex) of a file's bytes, read in blocks. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(path: Path) -> str:
    """Sha256 (hex) of a file's bytes; empty if it cannot be read."""
    try:
        return file_sha256(path)
    except OSError:
        return ""


def remove_leftovers(path: Path) -> None:
    """Remove half-written files of killed processes at `path`; only if nobody else writes it now."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


def keep_names(folder: Path) -> None:
    """Flush renamings in `folder` to the disk, so that they outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
