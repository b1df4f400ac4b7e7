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
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from compatbench.cell import Workplace, empty_record, now
from compatbench.execution.worker import work
from compatbench.plan import Cell
from compatbench.records import Record, Status, read_record, write_record
from compatbench.store import Store

POLL_SECONDS = 0.5


class Watcher(Protocol):
    """Told what happens; the progress display is one."""

    def started(self, cell: Cell) -> None:
        """A cell's process has started."""

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """A cell is at `share` of `stage`."""

    def noticed(self, cell: Cell, line: str) -> None:
        """A cell has something to say to the user."""

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has left its record."""


@dataclass
class _Running:
    cell: Cell
    process: BaseProcess
    pipe: Connection
    started: str
    deadline: float
    done: bool = False
    timed_out: bool = False


class LocalExecutor:
    """Up to `jobs` cells at a time, each within `timeout_seconds`."""

    def __init__(self, workplace: Workplace, jobs: int, timeout_seconds: float) -> None:
        self.workplace = workplace
        self.store = Store(workplace.runs)
        self.jobs = jobs
        self.timeout_seconds = timeout_seconds
        # numerical libraries size their thread pools from the environment they are loaded in
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[variable] = str(workplace.threads)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["compatbench.execution.worker", "compatbench.execution.warm"])

    def run(self, cells: Sequence[Cell], watcher: Watcher) -> list[Record]:
        """Run all cells, baselines before those that build on them; every cell gets its record.

        On KeyboardInterrupt the running cells are stopped and leave no record.
        """
        waiting: list[Cell] = []
        running: list[_Running] = []
        records: list[Record] = []
        for cell in cells:
            if cell.skip is None:
                waiting.append(cell)
            else:
                records.append(self._write(cell, Status.SKIPPED, now(), cell.skip))
                watcher.finished(cell, records[-1])
        try:
            while waiting or running:
                for cell in self._startable(waiting, running):
                    waiting.remove(cell)
                    running.append(self._start(cell))
                    watcher.started(cell)
                for one in self._ended(running, watcher):
                    running.remove(one)
                    records.append(self._record_of(one))
                    watcher.finished(one.cell, records[-1])
        finally:
            for one in running:
                _stop(one.process)
        return records

    def _startable(self, waiting: list[Cell], running: list[_Running]) -> list[Cell]:
        """Cells to start now: as many as there are free slots, none ahead of its baseline."""
        unfinished = {_family(cell) for cell in waiting if cell.is_baseline}
        unfinished |= {_family(one.cell) for one in running if one.cell.is_baseline}
        ready = [cell for cell in waiting if cell.is_baseline or _family(cell) not in unfinished]
        ready.sort(key=lambda cell: not cell.is_baseline)
        return ready[: self.jobs - len(running)]

    def _start(self, cell: Cell) -> _Running:
        mine, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work,
            args=(cell.spec.model_dump_json(), self.workplace, self.store.log(cell.spec), theirs),
        )
        started = now()
        process.start()
        theirs.close()
        return _Running(cell, process, mine, started, time.monotonic() + self.timeout_seconds)

    def _ended(self, running: list[_Running], watcher: Watcher) -> list[_Running]:
        """Wait a moment, pass messages on, stop what is over its time; return those that ended, none running on."""
        wait([one.pipe for one in running] + [one.process.sentinel for one in running], timeout=POLL_SECONDS)
        for one in running:
            self._drain(one, watcher)
            if not one.done and time.monotonic() > one.deadline and one.process.is_alive():
                one.timed_out = True
                _stop(one.process)
        ended = [one for one in running if one.done or not one.process.is_alive()]
        for one in ended:
            self._drain(one, watcher)
            _stop(one.process)  # what the cell started must not outlive it, such as a thread that keeps it alive
            one.pipe.close()
        return ended

    def _drain(self, one: _Running, watcher: Watcher) -> None:
        try:
            while one.pipe.poll():
                message = one.pipe.recv()
                if message[0] == "done":
                    one.done = True
                elif message[0] == "progress":
                    watcher.progressed(one.cell, message[1], message[2])
                else:
                    watcher.noticed(one.cell, message[1])
        except (EOFError, OSError):
            pass  # the process is gone; its sentinel says so too

    def _record_of(self, one: _Running) -> Record:
        """The record that the cell wrote, or the one that its parent writes for it."""
        if one.done:
            return read_record(self.store.record(one.cell.spec))
        if one.timed_out:
            limit = f"{self.timeout_seconds / 60:g} minutes"
            return self._write(one.cell, Status.TIMEOUT, one.started, f"stopped after {limit}")
        code = one.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = " (by hand, or by the system for want of memory)" if -code == signal.SIGKILL else ""
            return self._write(one.cell, Status.KILLED, one.started, f"killed by {name}{hint}")
        return self._write(one.cell, Status.FAILED, one.started, f"its process ended early with exit code {code}")

    def _write(self, cell: Cell, status: Status, started: str, reason: str) -> Record:
        record = empty_record(cell.spec, status, started, reason)
        write_record(record, self.store.record(cell.spec))
        return record


def _family(cell: Cell) -> tuple[str, int]:
    """Cells that share a baseline."""
    return cell.spec.scenario, cell.spec.seed


def _stop(process: BaseProcess) -> None:
    """Kill a cell's whole process group; the process alone where it has no group of its own yet."""
    if process.pid is None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.join()
