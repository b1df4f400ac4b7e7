"""Takes cells through a place to run them: baselines first, each cell claimed, and exactly one record of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from compatbench.errors import MachineError
from compatbench.execution.cell import Ending, RunContext, cell_record, now
from compatbench.execution.claims import Claim, claim
from compatbench.generations.loop import training_stage
from compatbench.plan.cells import Cell, outcome
from compatbench.plan.trainings import SharedModel, shared_models
from compatbench.records.record import Record, write_record
from compatbench.records.store import Store
from compatbench.storage.files import content_hash
from compatbench.vocabulary import Status


class Watcher:
    """Receives the events of a run. This one ignores them; the progress display shows them."""

    def started(self, cell: Cell) -> None:
        """A cell has started."""

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """A cell is at `share` of `stage`."""

    def noticed(self, cell: Cell, line: str) -> None:
        """A cell has a message for the user."""

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has its record."""


class Job(Protocol):
    """One cell under way."""

    cell: Cell

    def poll(self, watcher: Watcher) -> bool:
        """Pass on the cell's messages since the last call, and return whether it has ended."""

    def record(self) -> Record:
        """The record of a finished cell, now in the folder of runs.

        Raises MachineError where the cell could not be recorded for want of a machine that works.
        """

    def stop(self) -> None:
        """End the cell with all its processes, if it still runs; it writes no record."""


class Executor(ABC):
    """A place to run cells in."""

    context: RunContext
    slots: int
    """Cells at a time."""

    @property
    def store(self) -> Store:
        """The folder of runs."""
        return Store(self.context.runs)

    @abstractmethod
    def start(self, cell: Cell) -> Job:
        """Start a cell."""

    @abstractmethod
    def wait(self, jobs: Sequence[Job]) -> None:
        """Wait a moment, or until one of `jobs` has a message."""

    def run(self, cells: Sequence[Cell], watcher: Watcher) -> list[Record]:
        """Run all cells, baselines before the cells that need them; every cell gets its record.

        A cell that another process runs at the same time is waited for, and its record taken. On KeyboardInterrupt,
        and on MachineError (raised where the machine can write no more), running cells are stopped without a record.
        """
        schedule = _Schedule(self, cells, watcher)
        try:
            while schedule.waiting or schedule.running:
                schedule.start()
                self.wait([one.job for one in schedule.running])
                schedule.collect()
        finally:
            schedule.stop()
        return schedule.records

    def run_claimed(self, cell: Cell, watcher: Watcher) -> Record:
        """Run one cell that is already claimed, as the far end of another executor does."""
        job = self.start(cell)
        try:
            while not job.poll(watcher):
                self.wait([job])
            return job.record()
        finally:
            job.stop()


def write_ending(
    cell: Cell,
    ending: Ending,
    started: str,
    context: RunContext,
    log: str = "",
    processes: int = 1,
    seconds: float = 0.0,
) -> Record:
    """Write and return the record of a cell with this ending. Raises MachineError if it cannot be written."""
    record = cell_record(cell.spec, ending, started, context.origin, log=log, world_size=processes, seconds=seconds)
    with writing():
        write_record(record, Store(context.runs).record(cell.spec))
    return record


@contextmanager
def writing() -> Iterator[None]:
    """A context for writing into the folder of runs: makes an error of the file system a MachineError."""
    try:
        yield
    except OSError as error:
        raise MachineError.of(error) from error


@dataclass
class _Running(Watcher):
    """A cell under way. Its progress is also written where other processes find it."""

    job: Job
    claim: Claim
    watcher: Watcher
    stage: str = ""
    """The last that it told."""

    @property
    def cell(self) -> Cell:
        return self.job.cell

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        self.watcher.progressed(cell, stage, share)
        self.claim.progress(stage, share)
        self.stage = stage

    def noticed(self, cell: Cell, line: str) -> None:
        self.watcher.noticed(cell, line)


class _Schedule:
    """Where the cells of one run are: waiting, running, or with their records."""

    def __init__(self, executor: Executor, cells: Sequence[Cell], watcher: Watcher) -> None:
        self.executor = executor
        self.watcher = watcher
        self.waiting = [cell for cell in cells if cell.skip is None]
        self.running: list[_Running] = []
        self.records: list[Record] = []
        self.hung: set[SharedModel] = set()
        """Models whose training stood still: they are not tried again in this run."""
        for cell in cells:
            if cell.skip is not None:
                self._finish(cell, write_ending(cell, Ending(Status.SKIPPED, cell.skip), now(), executor.context))

    def start(self) -> None:
        """Fill the free slots with cells that wait for no models and are claimed by no other process."""
        store = self.executor.store
        for cell in [one for one in self.waiting if not self.hung.isdisjoint(shared_models(one.spec))]:
            reason = "not tried: a model that it shares made no progress in this run; --retry tries again"
            self.waiting.remove(cell)
            self._finish(cell, write_ending(cell, Ending(Status.TIMEOUT, reason), now(), self.executor.context))
        for cell in self._startable():
            if len(self.running) == self.executor.slots:
                return
            with writing():
                taken = claim(store, cell.spec, now())
            if taken is None:
                continue
            self.waiting.remove(cell)
            changed = content_hash(store.record(cell.spec)) != cell.replaces
            record = outcome(cell, store) if changed else None
            if record is None:
                self.running.append(_Running(self.executor.start(cell), taken, self.watcher))
                self.watcher.started(cell)
            else:
                taken.release()
                self.watcher.noticed(cell, "was run by another process in the meantime")
                self._finish(cell, record)

    def collect(self) -> None:
        """Pass on messages of running cells, and take the records of finished ones."""
        for one in list(self.running):
            if one.job.poll(one):
                record = one.job.record()
                self.running.remove(one)
                one.claim.release()
                if record.status is Status.TIMEOUT:
                    models = shared_models(record.spec)
                    self.hung |= {model for model, name in models.items() if one.stage == training_stage(name)}
                self._finish(one.cell, record)

    def stop(self) -> None:
        """End all running cells."""
        for one in self.running:
            one.job.stop()
            one.claim.release()

    def _startable(self) -> list[Cell]:
        """Cells that wait for nobody's models, baselines first."""
        unfinished = [cell for cell in (*self.waiting, *(one.cell for one in self.running)) if cell.is_baseline]
        families = {cell.family for cell in unfinished}
        ready = [cell for cell in self.waiting if cell.is_baseline or cell.family not in families]
        return sorted(ready, key=lambda cell: not cell.is_baseline)

    def _finish(self, cell: Cell, record: Record) -> None:
        self.records.append(record)
        self.watcher.finished(cell, record)
