"""Checks many records' files, on all cores where that pays."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from compatbench.machine.cores import cores
from compatbench.plan.selection import EVERYTHING, Selection
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.trust.problems import Problem
from compatbench.trust.record_files import check_record
from compatbench.trust.rescoring import Rescorer

Checked = tuple[Record | None, list[Problem]]

MANY = 500
"""Records from which processes pay: a start takes as long as a hundred checks or two."""
_MOST_PROCESSES = 4
"""Each takes half a GiB."""
_CHUNK = 32

_own: dict[str, tuple[Store, Rescorer, Selection]] = {}
"""In a process that checks: the arguments of `check_record` after the path."""


@contextmanager
def checker(
    store: Store, count: int, selection: Selection = EVERYTHING
) -> Iterator[Callable[[Iterable[Path]], Iterable[Checked]]]:
    """A function that gives `check_record` of each of several files in `store`, in their order.

    Records that are not selected are only read. With at least `MANY` of `count` files in all, processes share the work.
    """
    if count < MANY or cores() < 2:
        rescorer = Rescorer(store.arrays)
        yield lambda paths: (check_record(path, store, rescorer, selection) for path in paths)
        return
    processes = min(cores(), _MOST_PROCESSES)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (store.root, selection)) as pool:
        try:
            yield lambda paths: pool.map(_check, paths, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)


def collect(
    suite: str, paths: Sequence[Path], checked: Iterable[Checked], watch: Callable[[str], None]
) -> tuple[dict[Path, Record], list[Problem]]:
    """The records of a suite that can be read, by their files, and the problems of all."""
    records: dict[Path, Record] = {}
    problems: list[Problem] = []
    for number, (path, (record, own)) in enumerate(zip(paths, checked, strict=True)):
        watch(f"{suite}: {number} of {len(paths)} records checked")
        problems += own
        if record is not None:
            records[path] = record
    return records, problems


def _begin(root: Path, selection: Selection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits for this one hears it, and ends both
    store = Store(root)
    _own["arguments"] = store, Rescorer(store.arrays), selection


def _check(path: Path) -> Checked:
    return check_record(path, *_own["arguments"])
