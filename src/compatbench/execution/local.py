"""Runs cells on this machine, one process each, started from a warm fork server.

The server imports torch once; every cell is forked from it, so a cell costs no import, and one that dies takes
nothing with it. The parent never computes: it starts cells, watches the clock, and writes the record of those
that could not write their own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from compatbench.errors import MachineError
from compatbench.execution.cell import Ending, RunContext, now
from compatbench.execution.executor import Executor, Job, Watcher, write_ending
from compatbench.execution.logs import log_tail
from compatbench.execution.worker import TELL_WHERE, State, work
from compatbench.machine.cores import queued_seconds
from compatbench.machine.processes import ProcessGroup
from compatbench.plan.cells import Cell
from compatbench.records.record import Record, read_record
from compatbench.vocabulary import Status

POLL_SECONDS = 0.5
FORK_ATTEMPTS, FORK_PAUSE = 50, 0.1
"""A fork server that was killed refuses connections for a while before the system gives its process back."""

CLOSING_SECONDS = 1.0
"""What a cell that stands still gets to write into its log where it hangs."""

SOCKET_FOLDER = 75
"""Bytes of a temporary folder that a socket can be in: the system takes 107 of its whole path."""

LOST_SERVER = 255
"""What multiprocessing takes for the exit code of a process whose fork server is gone, also while the process lives."""


class LocalExecutor(Executor):
    """Up to `jobs` cells at a time; one that makes no progress for `timeout_seconds` is stopped.

    With `gpus`, the n-th free slot gives its cell the n-th of them (see `gpu_slots`), turn by turn.
    """

    def __init__(self, context: RunContext, jobs: int, timeout_seconds: float, gpus: Sequence[str] = ()) -> None:
        self.context = context
        self.slots = jobs
        self.timeout_seconds = timeout_seconds
        self.free_gpus = [gpus[slot % len(gpus)] for slot in range(jobs)] if gpus else []
        # numerical libraries size their thread pools from the environment they are loaded in
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[variable] = str(context.threads)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["compatbench.execution.worker", "compatbench.execution.warm"])

    def start(self, cell: Cell) -> LocalJob:
        """Fork a process for `cell`."""
        return LocalJob(cell, self, self.store.log(cell.spec))

    def fork(
        self, cell: Cell, log: Path, gpu: str | None, group: ProcessGroup | None
    ) -> tuple[BaseProcess, Connection]:
        """A process that runs `cell`, as one of `group` if there is one, and the pipe of its messages.

        It comes from a new fork server where something ended the last one.
        """
        for _ in range(FORK_ATTEMPTS - 1):
            try:
                return self._fork(cell, log, gpu, group)
            except (OSError, EOFError):
                time.sleep(FORK_PAUSE)
        return self._fork(cell, log, gpu, group)

    def _fork(
        self, cell: Cell, log: Path, gpu: str | None, group: ProcessGroup | None
    ) -> tuple[BaseProcess, Connection]:
        mine, theirs = self._context.Pipe()
        arguments = (cell.spec.model_dump_json(), self.context, log, theirs, gpu, group)
        process = self._context.Process(target=work, args=arguments)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for the run, not for the server
        try:
            with _short_temporary_folder():
                forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        process.start()
        theirs.close()
        return process, mine

    def wait(self, jobs: Sequence[Job]) -> None:
        """Wait until a process has a message or ends, at most half a second."""
        local = [job for job in jobs if isinstance(job, LocalJob)]
        wait([each for job in local for each in job.signs()], timeout=POLL_SECONDS)


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """While the fork server makes its socket: TMPDIR may be too long for that. Raises MachineError if all are."""
    before = tempfile.gettempdir()
    short = [place for place in (before, "/tmp", "/var/tmp", "/dev/shm") if len(os.fsencode(place)) <= SOCKET_FOLDER]
    chosen = next((place for place in short if os.access(place, os.W_OK)), None)
    if chosen is None:
        raise MachineError(f"the temporary folder {before} is too long for a socket: set TMPDIR to a shorter one")
    tempfile.tempdir = chosen
    try:
        yield
    finally:
        tempfile.tempdir = before


class LocalJob:
    """A cell in a process of its own, or in one of each of a `group`."""

    def __init__(self, cell: Cell, executor: LocalExecutor, log: Path, group: ProcessGroup | None = None) -> None:
        self.cell = cell
        self.executor = executor
        self.log = log
        self.processes = 1 if group is None else group.size
        self.started = now()
        self.gpu = executor.free_gpus.pop(0) if executor.free_gpus else None
        self.process, self.pipe = executor.fork(cell, log, self.gpu, group)
        self.queued = 0.0
        """Seconds that it has waited for a CPU."""
        self.begun, self.moved = time.monotonic(), self._clock()
        """When it began, and when it last made progress by its own clock."""
        self.place: tuple[str, float] = ("start", 0.0)
        """Its stage, and the share of it that is done."""
        self.server = 0
        """Process id of its fork server."""
        self.hung_up = False
        """Whether its end of the pipe is closed, as the system does when it dies."""
        self.state = State.RUNNING
        self.seconds = 0.0
        """That it had, once it has ended."""
        self.ending: Ending | None = None
        """How it ended, unless its record is written."""

    def poll(self, watcher: Watcher) -> bool:
        """Pass messages on, stop cells that stand still; after the end of the cell, end all its processes."""
        if self.pipe.closed:
            return True
        self._drain(watcher)
        if self.state is State.RUNNING and self._lives():
            if self._clock() - self.moved <= self.executor.timeout_seconds:
                return False
            self._ask_where()
            self._end(State.TIMED_OUT, Ending(Status.TIMEOUT, self._stillness()))
        self.stop()  # what the cell started must not outlive it, such as a thread that keeps it alive
        self._drain(watcher)
        if self.state is State.RUNNING:
            self._end(State.DIED, self._exit_ending())
        self.seconds = round(time.monotonic() - self.begun, 2)
        self.pipe.close()
        if self.gpu is not None:
            self.executor.free_gpus.append(self.gpu)
        return True

    def signs(self) -> Iterator[Connection | int]:
        """What becomes readable when the process has a message or ends."""
        yield self.pipe
        if self.process.exitcode is None:
            yield self.process.sentinel

    def record(self) -> Record:
        """The record that the cell wrote, or the one that its parent writes for it."""
        if self.ending is None:
            return read_record(self.executor.store.record(self.cell.spec))
        if self.state is State.HALTED:
            raise MachineError(self.ending.reason)
        return self.write(self.ending)

    def write(self, ending: Ending) -> Record:
        """Write the record of a cell that could not."""
        log, context = log_tail(self.log), self.executor.context
        return write_ending(self.cell, ending, self.started, context, log, self.processes, self.seconds)

    def stop(self) -> None:
        """Kill the cell's whole process group, or the process alone if it has no group of its own yet."""
        if self.process.pid is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self.process.kill()
        self.process.join()

    def _lives(self) -> bool:
        """Whether the process goes on. Where its fork server is gone, only its end of the pipe says so."""
        return self.process.is_alive() or (self.process.exitcode == LOST_SERVER and not self.hung_up)

    def _drain(self, watcher: Watcher) -> None:
        try:
            while self.pipe.poll():
                match self.pipe.recv():
                    case ("end", state, ending):
                        self._end(state, ending)
                    case ("server", server):
                        self.server = server
                    case ("progress", stage, share):
                        if (stage, share) != self.place:
                            self.place, self.moved = (stage, share), self._clock()
                        watcher.progressed(self.cell, stage, share)
                    case ("notice", line):
                        watcher.noticed(self.cell, line)
        except (EOFError, OSError):
            self.hung_up = True

    def _clock(self) -> float:
        """Seconds by a clock that stops while the process waits for a CPU: to be kept waiting is not to stand still."""
        self.queued = max(self.queued, queued_seconds(self.process.pid))
        return time.monotonic() - self.queued

    def _end(self, state: State, ending: Ending | None) -> None:
        self.state, self.ending = state, ending

    def _ask_where(self) -> None:
        """Have the cell write into its log where it is."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, TELL_WHERE)
            self.process.join(CLOSING_SECONDS)

    def _stillness(self) -> str:
        stage, share = self.place
        minutes, whole = self.executor.timeout_seconds / 60, (time.monotonic() - self.begun) / 60
        return f"no progress for {minutes:g} minutes at {share:.0%} of '{stage}'; it ran for {whole:.0f} minutes"

    def _exit_ending(self) -> Ending:
        """Of a process that said nothing."""
        code = self.process.exitcode
        if code == LOST_SERVER and self._server_is_gone():
            return Ending(Status.KILLED, "killed together with the server that had started it")
        if code is None or code >= 0:
            return Ending(Status.FAILED, f"its process ended early with exit code {code}")
        hint = " (by hand, or by the system for want of memory)" if -code == signal.SIGKILL else ""
        return Ending(Status.KILLED, f"killed by {signal.Signals(-code).name}{hint}")

    def _server_is_gone(self) -> bool:
        try:
            return not self.server or os.waitid(os.P_PID, self.server, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True  # and another has taken its place
