"""Claims: the right to run one cell, so two runs on one folder never run it twice.

A claim is a lock on a file beside the cell's log. The system gives it up when its process ends, however it ends.
Beside it stands how far the cell is, for `compatbench status`.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from compatbench.records.record import CellSpec
from compatbench.records.store import Store
from compatbench.storage.files import remove_leftovers

NOTE_SECONDS = 1.0
"""Between two notes of a cell's progress."""


@dataclass(frozen=True)
class CellProgress:
    """How far a running cell is."""

    started: str
    """UTC, ISO 8601."""
    stage: str
    share: float


class Claim:
    """One cell, claimed by this process."""

    def __init__(self, lock: FileLock, note: Path, started: str) -> None:
        self._lock = lock
        self._note = note
        self._started = started
        self._noted = float("-inf")

    def progress(self, stage: str, share: float) -> None:
        """Write the progress for other processes, at most once a second; nothing if it cannot be written."""
        if time.monotonic() - self._noted < NOTE_SECONDS:
            return
        self._noted = time.monotonic()
        fresh = self._note.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps({"started": self._started, "stage": stage, "share": share}))
            os.replace(fresh, self._note)

    def release(self) -> None:
        """Release the cell, with its record written or not."""
        with suppress(OSError):
            self._note.unlink(missing_ok=True)
        self._lock.release()


def claim(store: Store, spec: CellSpec, started: str) -> Claim | None:
    """Claim a cell; None if another process has it. Raises OSError if no lock can be made.

    What an earlier process left half written of its record is removed.
    """
    log = store.log(spec)
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_file(log))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    remove_leftovers(store.record(spec))
    taken = Claim(lock, _note_file(log), started)
    taken.progress("start", 0.0)
    return taken


def running(store: Store, spec: CellSpec) -> CellProgress | None:
    """The progress of the process that runs the cell now; None if none does."""
    log = store.log(spec)
    if not _lock_file(log).exists():
        return None
    lock = FileLock(_lock_file(log))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _read(_note_file(log))
    except OSError:
        return None  # nothing runs in a folder that cannot be written
    lock.release()
    return None


def _read(note: Path) -> CellProgress:
    try:
        data = json.loads(note.read_text())
        return CellProgress(str(data["started"]), str(data["stage"]), float(data["share"]))
    except (OSError, ValueError, KeyError, TypeError):
        return CellProgress("", "start", 0.0)  # just begun, or just ending


def _lock_file(log: Path) -> Path:
    return log.with_name(f".{log.stem}.lock")


def _note_file(log: Path) -> Path:
    return log.with_name(f".{log.stem}.progress")
