"""Checks many records' files, on all cores where that pays."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
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
"""In a process that checks: its folder of results, and what is selected."""


@contextmanager
def checker(
    store: Store, count: int, selection: Selection = EVERYTHING
) -> Iterator[Callable[[Iterable[Path]], Iterable[Checked]]]:
    """A function that gives `check_record` of each of several files in `store`, in their order.

    Records that are not selected are read only. With at least `MANY` of `count` files in all, processes share the work.
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


def _begin(root: Path, selection: Selection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits for this one hears it, and ends both
    store = Store(root)
    _own["store"] = store, Rescorer(store.arrays), selection


def _check(path: Path) -> Checked:
    return check_record(path, *_own["store"])
