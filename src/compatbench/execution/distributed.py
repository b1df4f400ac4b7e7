"""One cell over the processes of a launcher such as accelerate's or torchrun.

The first of them plans, shows and records, as a run does without a launcher; the others follow it, cell by cell. What
computes is a process of each of them, as with the local executor: one that dies ends its cell, and the run goes on.
They talk through the launcher's key-value store:

    order N         from the first: the cell to run next, or nothing more
    failed N        from one whose process failed, so that the first does not wait for it
    over N          from the first: the cell has ended, however it did
    end N RANK      from each of the others: its process is gone, and how it failed if it did
    gone RANK       from each of the others: it ends
"""

from __future__ import annotations

import itertools
import math
import time
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter

from compatbench.errors import MachineError
from compatbench.execution.cell import Ending, RunContext
from compatbench.execution.executor import Watcher
from compatbench.execution.launch import Launch
from compatbench.execution.local import CLOSING_SECONDS, LocalExecutor, LocalJob
from compatbench.execution.worker import State
from compatbench.plan.cells import Cell
from compatbench.records.record import CellSpec, Record
from compatbench.records.store import Store

LOOK_SECONDS = 0.05
"""Between two looks into the store."""

GRACE_SECONDS = 5.0
"""For the first process to end by itself after another one failed: it often fails alike, and tells more."""

ANSWER_SECONDS = 60.0
"""Within which the others leave a cell that is over."""

ORDER = TypeAdapter(tuple[CellSpec, RunContext] | None)
ENDING = TypeAdapter(Ending | None)


class Coordinator:
    """The first process's side of the store."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._store = launch.connect()
        self._numbers = itertools.count()

    def order(self, spec: CellSpec, context: RunContext) -> int:
        """Have the others start a cell, and return its number."""
        number = next(self._numbers)
        self._store.set(f"order {number}", ORDER.dump_json((spec, context)))
        return number

    def has_failed(self, number: int) -> bool:
        """Whether another process has reported a failure of the cell."""
        return bool(self._store.check([f"failed {number}"]))

    def over(self, number: int) -> None:
        """Have the others end the cell."""
        self._store.set(f"over {number}", "")

    def failures(self, number: int) -> dict[int, Ending]:
        """Failures of the other processes in a finished cell, by rank, once all have left it.

        Raises MachineError where one does not answer.
        """
        failures = {}
        for rank in range(1, self.launch.size):
            if not _comes(self._store, f"end {number} {rank}", ANSWER_SECONDS):
                raise MachineError(f"{self.launch.name(rank)} does not answer; end them all, and run again")
            ending = ENDING.validate_json(self._store.get(f"end {number} {rank}"))
            if ending is not None:
                failures[rank] = ending
        return failures

    def close(self) -> None:
        """Let the others end, and wait a moment for them: the store may end with this process."""
        with suppress(RuntimeError):  # the launcher is gone, and they with it
            self._store.set(f"order {next(self._numbers)}", ORDER.dump_json(None))
            for rank in range(1, self.launch.size):
                _comes(self._store, f"gone {rank}", CLOSING_SECONDS)


class DistributedExecutor(LocalExecutor):
    """One cell at a time, with a process for each of the launcher's processes."""

    def __init__(self, coordinator: Coordinator, context: RunContext, timeout_seconds: float) -> None:
        super().__init__(context, 1, timeout_seconds, coordinator.launch.gpus())
        self.coordinator = coordinator

    def start(self, cell: Cell) -> DistributedJob:
        """Fork a process for `cell`, and have the others do so."""
        return DistributedJob(cell, self, self.coordinator)


class DistributedJob(LocalJob):
    """A cell under way in several processes."""

    def __init__(self, cell: Cell, executor: LocalExecutor, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.number = coordinator.order(cell.spec, executor.context)
        super().__init__(cell, executor, executor.store.log(cell.spec), coordinator.launch.group(self.number))

    def poll(self, watcher: Watcher) -> bool:
        """Poll as for a cell in one process; stop this one if another failed."""
        if not super().poll(watcher) and self.coordinator.has_failed(self.number):
            self.process.join(GRACE_SECONDS)
            self.stop()
        return self.pipe.closed

    def stop(self) -> None:
        """End the cell, also in the other processes."""
        super().stop()
        self.coordinator.over(self.number)

    def record(self) -> Record:
        """The record of this process, or of the first failed one if this process was the last."""
        failures = self.coordinator.failures(self.number)
        if not failures or self.state not in (State.LOST, State.DIED):
            return super().record()
        rank, ending = min(failures.items())
        return self.write(Ending(ending.status, f"{self.coordinator.launch.name(rank)}: {ending.reason}", ending.error))


def follow(launch: Launch) -> None:
    """Take part in the first process's cells until it orders no more.

    Raises MachineError where the first process is gone.
    """
    gpus = launch.gpus()
    try:
        store = launch.connect()
        for number in itertools.count():
            _comes(store, f"order {number}")
            order = ORDER.validate_json(store.get(f"order {number}"))
            if order is None:
                break
            spec, context = order
            log = Store(context.runs).log(spec).with_suffix(f".process{launch.rank + 1}.log")
            job = LocalJob(Cell(spec, None), LocalExecutor(context, 1, math.inf, gpus), log, launch.group(number))
            _take_part(store, job, number)
            failure = None if job.state is State.LOST else job.ending
            store.set(f"end {number} {launch.rank}", ENDING.dump_json(failure))
        store.set(f"gone {launch.rank}", "")
    except RuntimeError as error:
        raise MachineError(f"{launch.name(0)} is gone: {error}") from error


def _take_part(store: Any, job: LocalJob, number: int) -> None:
    """Run this process's part of a cell until it is over."""
    try:
        while not store.check([f"over {number}"]):
            if job.poll(Watcher()) and job.state not in (State.DONE, State.LOST):
                store.set(f"failed {number}", "")
            time.sleep(LOOK_SECONDS)
        job.process.join(CLOSING_SECONDS)
        job.poll(Watcher())
    finally:
        job.stop()


def _comes(store: Any, key: str, seconds: float = math.inf) -> bool:
    """Whether `key` is in the store, within `seconds`."""
    end = time.monotonic() + seconds
    while not store.check([key]):
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True
