"""Runs cells on this machine, one process each, started from a warm fork server.

The server imports torch once; every cell is forked from it, so a cell costs no import, and one that dies takes
nothing with it. The parent never computes: it starts cells, watches the clock, and writes the record of those
that could not write their own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from compatbench.errors import MachineError
from compatbench.execution.cell import Workplace, now
from compatbench.execution.executor import Job, Watcher
from compatbench.execution.logs import log_tail
from compatbench.execution.schedule import run_cells, write_outcome
from compatbench.execution.worker import TELL_WHERE, work
from compatbench.machine.processes import Group
from compatbench.machine.vector_sort import prefer_fast_sort
from compatbench.plan.cells import Cell
from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

POLL_SECONDS = 0.5
FORK_ATTEMPTS, FORK_PAUSE = 50, 0.1
"""A fork server that was killed refuses connections for a while before the system gives its process back."""

LAST_WORDS_SECONDS = 1.0
"""What a cell that is over its time gets to write into its log where it hangs."""


class LocalExecutor:
    """Up to `jobs` cells at a time, each within `timeout_seconds`.

    With `gpus`, the n-th free slot gives its cell the n-th of them (see `gpu_slots`), turn by turn.
    """

    def __init__(self, workplace: Workplace, jobs: int, timeout_seconds: float, gpus: Sequence[str] = ()) -> None:
        self.workplace = workplace
        self.store = Store(workplace.runs)
        self.origin = workplace.origin
        self.slots = jobs
        self.timeout_seconds = timeout_seconds
        self._free_gpus = [gpus[slot % len(gpus)] for slot in range(jobs)] if gpus else []
        # numerical libraries size their thread pools from the environment they are loaded in
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[variable] = str(workplace.threads)
        prefer_fast_sort()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["compatbench.execution.worker", "compatbench.execution.warm"])

    def run(self, cells: Sequence[Cell], watcher: Watcher) -> list[Record]:
        """Run all cells, see `run_cells`."""
        return run_cells(self, cells, self.store, watcher)

    def start(self, cell: Cell) -> LocalJob:
        """Fork a process for `cell`; from a new fork server where something ended the last one."""
        gpu = self._free_gpus.pop(0) if self._free_gpus else None
        started = now()
        process, pipe = self.fork(cell, self.store.log(cell.spec), gpu)
        job = LocalJob(cell, self.workplace, process, pipe, started, self.timeout_seconds)
        if gpu is not None:
            job.at_end = partial(self._free_gpus.append, gpu)
        return job

    def fork(
        self, cell: Cell, log: Path, gpu: str | None, group: Group | None = None
    ) -> tuple[BaseProcess, Connection]:
        """A process that runs `cell`, as one of `group` where there is one, and the pipe that it tells through."""
        for _ in range(FORK_ATTEMPTS - 1):
            try:
                return self._fork(cell, log, gpu, group)
            except (OSError, EOFError):
                time.sleep(FORK_PAUSE)
        return self._fork(cell, log, gpu, group)

    def _fork(self, cell: Cell, log: Path, gpu: str | None, group: Group | None) -> tuple[BaseProcess, Connection]:
        mine, theirs = self._context.Pipe()
        arguments = (cell.spec.model_dump_json(), self.workplace, log, theirs, gpu, group)
        process = self._context.Process(target=work, args=arguments)
        process.start()
        theirs.close()
        return process, mine

    def wait(self, jobs: Sequence[Job]) -> None:
        """Until a process says something or ends, and half a second at most."""
        local = [job for job in jobs if isinstance(job, LocalJob)]
        wait([each for job in local for each in (job.pipe, job.process.sentinel)], timeout=POLL_SECONDS)

    def close(self) -> None:
        """Nothing is held between cells."""


@dataclass(frozen=True)
class Failure:
    """How a cell ended whose process left no record."""

    status: Status
    reason: str
    error: str = ""
    """Traceback."""


class LocalJob:
    """A cell in a process of its own."""

    processes = 1
    """World size."""

    def __init__(
        self,
        cell: Cell,
        workplace: Workplace,
        process: BaseProcess,
        pipe: Connection,
        started: str,
        timeout_seconds: float,
    ) -> None:
        self.cell = cell
        self.store = Store(workplace.runs)
        self.origin = workplace.origin
        self.process = process
        self.pipe = pipe
        self.started = started
        self.timeout_seconds = timeout_seconds
        self.deadline = time.monotonic() + timeout_seconds
        self.done = False
        self.timed_out = False
        self.lost = ""
        """What it said when another process of the same cell was gone."""
        self.told: Failure | None = None
        """What a process says that others write the record for."""
        self.halt = ""
        """Why the machine cannot go on."""
        self.at_end: Callable[[], object] = lambda: None
        """Gives back what the cell had, once it has ended."""

    def poll(self, watcher: Watcher) -> bool:
        """Pass messages on, stop what is over its time; once the cell has ended, nothing of it runs on."""
        self._drain(watcher)
        if not self.done and time.monotonic() > self.deadline and self.process.is_alive():
            self.timed_out = True
            self._ask_where()
            self.stop()
        if not self.done and self.process.is_alive():
            return False
        self._drain(watcher)
        self.stop()  # what the cell started must not outlive it, such as a thread that keeps it alive
        self.pipe.close()
        self.at_end()
        return True

    def record(self) -> Record:
        """The record that the cell wrote, or the one that its parent writes for it."""
        if self.halt:
            raise MachineError(self.halt)
        failure = self.failure()
        return read_record(self.store.record(self.cell.spec)) if failure is None else self.write(failure)

    def failure(self) -> Failure | None:
        """How the process of a cell that has ended failed; None where it did all that it was to do."""
        if self.done or self.told is not None:
            return self.told
        if self.lost:
            return Failure(Status.FAILED, self.lost)
        if self.timed_out:
            return Failure(Status.TIMEOUT, f"stopped after {self.timeout_seconds / 60:g} minutes")
        if self.halt:
            return Failure(Status.FAILED, self.halt)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = " (by hand, or by the system for want of memory)" if -code == signal.SIGKILL else ""
            return Failure(Status.KILLED, f"killed by {name}{hint}")
        return Failure(Status.FAILED, f"its process ended early with exit code {code}")

    def stop(self) -> None:
        """Kill the cell's whole process group; the process alone where it has no group of its own yet."""
        if self.process.pid is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.kill()
        self.process.join()

    def _drain(self, watcher: Watcher) -> None:
        try:
            while self.pipe.poll():
                match self.pipe.recv():
                    case ("done",):
                        self.done = True
                    case ("halt", reason):
                        self.halt = reason
                    case ("lost", reason):
                        self.lost = reason
                    case ("failed", status, reason, error):
                        self.told = Failure(Status(status), reason, error)
                    case ("progress", stage, share):
                        watcher.progressed(self.cell, stage, share)
                    case ("notice", line):
                        watcher.noticed(self.cell, line)
        except (EOFError, OSError):
            pass  # the process is gone; its sentinel says so too

    def _ask_where(self) -> None:
        """Have the cell write into its log where it is."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, TELL_WHERE)
            self.process.join(LAST_WORDS_SECONDS)

    def write(self, failure: Failure) -> Record:
        """Leave the record of a cell that could not."""
        tail = log_tail(self.store.log(self.cell.spec))
        return write_outcome(
            *(self.cell, failure.status, self.started, failure.reason, self.store, self.origin),
            *(tail, failure.error, self.processes),
        )
