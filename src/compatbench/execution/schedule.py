"""Takes cells through an executor: baselines first, each cell claimed, and exactly one record of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from compatbench.errors import MachineError
from compatbench.execution.cell import empty_record, now
from compatbench.execution.claims import Claim, claim
from compatbench.execution.command import Origin
from compatbench.execution.executor import Executor, Job, Watcher
from compatbench.plan.cells import Cell, content_hash, outcome
from compatbench.records.record import Record, write_record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

Result = TypeVar("Result")


@dataclass
class _Running:
    job: Job
    claim: Claim

    @property
    def cell(self) -> Cell:
        return self.job.cell


class _Noting:
    """Tells the watcher, and leaves the progress where other processes find it."""

    def __init__(self, watcher: Watcher, claim: Claim) -> None:
        self.started = watcher.started
        self.noticed = watcher.noticed
        self.finished = watcher.finished
        self._watcher = watcher
        self._claim = claim

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        self._watcher.progressed(cell, stage, share)
        self._claim.progress(stage, share)


def run_cells(executor: Executor, cells: Sequence[Cell], store: Store, watcher: Watcher) -> list[Record]:
    """Run all cells, baselines before those that build on them; every cell gets its record.

    A cell that another process runs at the same time is waited for, and its record taken. On KeyboardInterrupt, and
    on MachineError (raised where the machine can write no more), running cells are stopped and leave no record.
    """
    schedule = _Schedule(executor, store, watcher)
    for cell in cells:
        if cell.skip is None:
            schedule.waiting.append(cell)
        else:
            schedule.finish(cell, write_outcome(cell, Status.SKIPPED, now(), cell.skip, store, executor.origin))
    try:
        while schedule.waiting or schedule.running:
            schedule.start()
            executor.wait([one.job for one in schedule.running])
            schedule.collect()
    finally:
        schedule.stop()
    return schedule.records


def run_one(executor: Executor, cell: Cell, watcher: Watcher) -> Record:
    """Run one cell that is claimed already, as the far end of another executor does."""
    job = executor.start(cell)
    try:
        while not job.poll(watcher):
            executor.wait([job])
        return job.record()
    finally:
        job.stop()


class _Schedule:
    """Where the cells of one run are: waiting, running, or with their records."""

    def __init__(self, executor: Executor, store: Store, watcher: Watcher) -> None:
        self.executor = executor
        self.store = store
        self.watcher = watcher
        self.waiting: list[Cell] = []
        self.running: list[_Running] = []
        self.records: list[Record] = []

    def start(self) -> None:
        """Fill the free slots with cells that wait for nobody's models and that no other process has claimed."""
        for cell in _startable(self.waiting, self.running):
            if len(self.running) == self.executor.slots:
                return
            taken = _working(partial(claim, self.store, cell.spec, now()))
            if taken is None:
                continue
            self.waiting.remove(cell)
            record = _run_elsewhere(cell, self.store)
            if record is None:
                self.running.append(_Running(self.executor.start(cell), taken))
                self.watcher.started(cell)
            else:
                taken.release()
                self.watcher.noticed(cell, "was run by another process in the meantime")
                self.finish(cell, record)

    def collect(self) -> None:
        """Pass on what running cells tell, and take the records of those that ended."""
        for one in list(self.running):
            if one.job.poll(_Noting(self.watcher, one.claim)):
                record = one.job.record()
                self.running.remove(one)
                one.claim.release()
                self.finish(one.cell, record)

    def stop(self) -> None:
        """End what still runs."""
        for one in self.running:
            one.job.stop()
            one.claim.release()

    def finish(self, cell: Cell, record: Record) -> None:
        """Keep a record and tell the watcher."""
        self.records.append(record)
        self.watcher.finished(cell, record)


def write_outcome(
    cell: Cell,
    status: Status,
    started: str,
    reason: str,
    store: Store,
    origin: Origin,
    log: str = "",
    error: str = "",
    processes: int = 1,
) -> Record:
    """The record of a cell that could not write its own. Raises MachineError where it cannot be written."""
    record = empty_record(cell.spec, status, started, reason, processes, origin)
    record.log = log
    record.error = error
    _working(lambda: write_record(record, store.record(cell.spec)))
    return record


def _working(action: Callable[[], Result]) -> Result:
    """What `action` returns; an error of the file system is one of the machine here."""
    try:
        return action()
    except OSError as error:
        raise MachineError.of(error) from error


def _startable(waiting: Sequence[Cell], running: Sequence[_Running]) -> list[Cell]:
    """Cells that wait for nobody's models, baselines first."""
    unfinished = {_family(cell) for cell in waiting if cell.is_baseline}
    unfinished |= {_family(one.cell) for one in running if one.cell.is_baseline}
    ready = [cell for cell in waiting if cell.is_baseline or _family(cell) not in unfinished]
    return sorted(ready, key=lambda cell: not cell.is_baseline)


def _family(cell: Cell) -> tuple[str, int]:
    """Cells that share a baseline."""
    return cell.spec.scenario, cell.spec.seed


def _run_elsewhere(cell: Cell, store: Store) -> Record | None:
    """The record that another process left since the plan was made."""
    return outcome(cell, store) if content_hash(store.record(cell.spec)) != cell.replaces else None
