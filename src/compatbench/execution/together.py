"""One cell over several processes that a launcher started, such as accelerate's or torchrun.

The first of them plans, shows and records, as a run does without a launcher; the others follow it, cell by cell. What
computes is a process of each of them, as with the local executor: one that dies ends its cell, and the run goes on.
They talk through the launcher's key-value store:

    order N         from the first: the cell to run next, or nothing more
    failed N        from one whose process failed, so that the first does not wait for it
    over N          from the first: the cell has ended, however it did
    left N RANK     from each of the others: its process is gone, and how it failed if it did
"""

from __future__ import annotations

import itertools
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from compatbench.errors import MachineError, RequestError
from compatbench.execution.cell import Workplace, now
from compatbench.execution.executor import Watcher
from compatbench.execution.gpus import gpu_names
from compatbench.execution.local import LAST_WORDS_SECONDS, Failure, LocalExecutor, LocalJob
from compatbench.machine.processes import Group
from compatbench.plan.cells import Cell
from compatbench.records.record import CellSpec, Record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

LOOK_SECONDS = 0.05
"""Between two looks into the store."""

GRACE_SECONDS = 5.0
"""For the first process to end by itself after another one failed: it often fails alike, and tells more."""

ANSWER_SECONDS = 60.0
"""Within which the others leave a cell that is over."""


@dataclass(frozen=True)
class Launch:
    """What a launcher says to one of the processes that it started."""

    rank: int
    size: int
    local_rank: int
    """Which one it is on its machine."""
    local_size: int
    address: str
    port: int
    attempt: str = "0"

    @classmethod
    def found_in(cls, environment: Mapping[str, str]) -> Launch | None:
        """As torch's and accelerate's launchers say it; None without one, and where it started a single process."""
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
            if {"ACCELERATE_USE_CPU", "MASTER_PORT"} <= environment.keys():
                raise RequestError(
                    "on a machine without GPUs accelerate starts one process, whatever --num_processes says, unless "
                    "--multi_gpu is given (and --cpu is not); torchrun --nproc-per-node does it too"
                )
            return None
        size = int(environment["WORLD_SIZE"])
        if size == 1:
            return None
        return cls(
            rank=int(environment["RANK"]),
            size=size,
            local_rank=int(environment.get("LOCAL_RANK", environment["RANK"])),
            local_size=int(environment.get("LOCAL_WORLD_SIZE", size)),
            address=environment["MASTER_ADDR"],
            port=int(environment["MASTER_PORT"]),
            attempt=environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
        )

    def connect(self) -> Any:
        """The launcher's store, which the first process keeps where the launcher itself does not."""
        from torch.distributed.rendezvous import rendezvous

        store, _, _ = next(rendezvous("env://"))
        return store

    def group(self, number: int) -> Group:
        """The processes of the cell of this number, as this one's process is told."""
        return Group(self.rank, self.size, self.address, self.port, f"{self.attempt}/cell {number}")

    def gpu(self) -> str | None:
        """The GPU of this process; None on a machine without. Raises RequestError where there are too few."""
        names = gpu_names()
        if names and len(names) < self.local_size:
            raise RequestError(
                f"{self.local_size} processes on a machine with {len(names)} GPUs: launch one for each GPU"
            )
        return names[self.local_rank] if names else None

    def name(self, rank: int) -> str:
        """A process, for people."""
        return f"process {rank + 1} of {self.size}"


class Lead:
    """The first process's side of the store."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._store = launch.connect()
        self._number = 0

    def order(self, spec: CellSpec, workplace: Workplace) -> int:
        """Have the others start a cell, and return its number."""
        number, self._number = self._number, self._number + 1
        places = {"runs": str(workplace.runs), "data": str(workplace.data)}
        methods = [str(folder) for folder in workplace.method_folders]
        order = {"spec": spec.model_dump(mode="json"), **places, "methods": methods, "threads": workplace.threads}
        self._store.set(f"order {number}", json.dumps(order))
        return number

    def has_failed(self, number: int) -> bool:
        """Whether one of the others has said so of the cell."""
        return bool(self._store.check([f"failed {number}"]))

    def over(self, number: int) -> None:
        """Have the others end the cell."""
        self._store.set(f"over {number}", "")

    def failures(self, number: int) -> dict[int, Failure]:
        """How others failed in a cell that is over, by rank, once all have left it.

        Raises MachineError where one does not answer.
        """
        failures = {}
        for rank in range(1, self.launch.size):
            answer = self._wait(f"left {number} {rank}", ANSWER_SECONDS)
            if answer is None:
                raise MachineError(f"{self.launch.name(rank)} does not answer; end them all, and run again")
            failure = json.loads(answer)
            if failure is not None:
                failures[rank] = Failure(Status(failure["status"]), failure["reason"], failure["error"])
        return failures

    def dismiss(self) -> None:
        """Let the others end, and wait a moment for them: the store may end with this process."""
        self._store.set(f"order {self._number}", json.dumps(None))
        for rank in range(1, self.launch.size):
            self._wait(f"gone {rank}", LAST_WORDS_SECONDS)

    def _wait(self, key: str, seconds: float) -> bytes | None:
        end = time.monotonic() + seconds
        while not self._store.check([key]):
            if time.monotonic() > end:
                return None
            time.sleep(LOOK_SECONDS)
        value: bytes = self._store.get(key)
        return value


@contextmanager
def leading(launch: Launch) -> Iterator[Lead]:
    """Lead the other processes of `launch`, and dismiss them at the end."""
    lead = Lead(launch)
    try:
        yield lead
    finally:
        with suppress(RuntimeError):  # the launcher is gone, and they with it
            lead.dismiss()


class TogetherExecutor(LocalExecutor):
    """One cell at a time, in a process of each process that the launcher started."""

    def __init__(self, lead: Lead, workplace: Workplace, timeout_seconds: float) -> None:
        super().__init__(workplace, 1, timeout_seconds)
        self.lead = lead
        self.gpu = lead.launch.gpu()

    def start(self, cell: Cell) -> TogetherJob:
        """Fork a process for `cell`, and have the others do so."""
        number = self.lead.order(cell.spec, self.workplace)
        started = now()
        process, pipe = self.fork(cell, self.store.log(cell.spec), self.gpu, self.lead.launch.group(number))
        return TogetherJob(cell, self.workplace, process, pipe, started, self.timeout_seconds, self.lead, number)


class TogetherJob(LocalJob):
    """A cell under way in several processes."""

    def __init__(
        self,
        cell: Cell,
        workplace: Workplace,
        process: BaseProcess,
        pipe: Connection,
        started: str,
        timeout_seconds: float,
        lead: Lead,
        number: int,
    ) -> None:
        super().__init__(cell, workplace, process, pipe, started, timeout_seconds)
        self.processes = lead.launch.size
        self.lead = lead
        self.number = number
        self.failing_since: float | None = None

    def poll(self, watcher: Watcher) -> bool:
        """As of a cell in one process, which is stopped where another one failed."""
        if super().poll(watcher):
            return True
        if self.failing_since is None and self.lead.has_failed(self.number):
            self.failing_since = time.monotonic()
        if self.failing_since is not None and time.monotonic() - self.failing_since > GRACE_SECONDS:
            self.stop()
        return False

    def stop(self) -> None:
        """Also in the other processes."""
        super().stop()
        self.lead.over(self.number)

    def record(self) -> Record:
        """The record of this process, or of the first that failed where this one was left alone."""
        failures = self.lead.failures(self.number)
        if self.done or self.halt or self.timed_out or not failures:
            return super().record()
        rank, failure = min(failures.items())
        return self.write(Failure(failure.status, f"{self.lead.launch.name(rank)}: {failure.reason}", failure.error))


class _Nobody:
    """A watcher that the first process's stands in for."""

    def started(self, cell: Cell) -> None:
        """Nothing."""

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """Nothing."""

    def noticed(self, cell: Cell, line: str) -> None:
        """Nothing."""

    def finished(self, cell: Cell, record: Record) -> None:
        """Nothing."""


def follow(launch: Launch) -> None:
    """Take part in every cell that the first process orders, until it orders no more.

    Raises MachineError where the first process is gone.
    """
    gpu = launch.gpu()
    try:
        store = launch.connect()
        for number in itertools.count():
            while not store.check([f"order {number}"]):
                time.sleep(LOOK_SECONDS)
            order = json.loads(store.get(f"order {number}"))
            if order is None:
                break
            failure = _take_part(store, launch, number, order, gpu)
            store.set(f"left {number} {launch.rank}", json.dumps(failure and asdict(failure)))
        store.set(f"gone {launch.rank}", "")
    except RuntimeError as error:
        raise MachineError(f"{launch.name(0)} is gone: {error}") from error


def _take_part(store: Any, launch: Launch, number: int, order: dict[str, Any], gpu: str | None) -> Failure | None:
    """Run this process's part of a cell until it is over; how it failed, if it did."""
    methods = tuple(Path(folder) for folder in order["methods"])
    workplace = Workplace(Path(order["runs"]), Path(order["data"]), methods, order["threads"])
    cell = Cell(CellSpec.model_validate(order["spec"]), None)
    runs = Store(workplace.runs)
    log = runs.log(cell.spec).with_suffix(f".process{launch.rank + 1}.log")
    started = now()
    process, pipe = LocalExecutor(workplace, 1, math.inf).fork(cell, log, gpu, launch.group(number))
    job = LocalJob(cell, workplace, process, pipe, started, math.inf)
    ended = False
    try:
        while not store.check([f"over {number}"]):
            if not ended and job.poll(_Nobody()):
                ended = True
                if _own_failure(job) is not None:
                    store.set(f"failed {number}", "")
            time.sleep(LOOK_SECONDS)
        process.join(LAST_WORDS_SECONDS)
        return _own_failure(job) if ended or job.poll(_Nobody()) else None
    finally:
        job.stop()


def _own_failure(job: LocalJob) -> Failure | None:
    return None if job.lost else job.failure()


def launched() -> Launch | None:
    """The launch that this process is part of, if it is."""
    return Launch.found_in(os.environ)
