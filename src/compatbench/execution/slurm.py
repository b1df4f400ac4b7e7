"""Runs cells as Slurm jobs through submitit; the folder of runs must be on a disk shared by all nodes.

Each job runs one cell by the local executor, so that it ends there in the same ways as here, and writes its record
where the driver finds it. A job that is preempted, or whose node is lost, is submitted again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from compatbench.errors import MachineError, RequestError, check_installed
from compatbench.execution.cell import Ending, RunContext, now
from compatbench.execution.code_version import check_code_version, code_version
from compatbench.execution.executor import Executor, Job, Watcher, write_ending
from compatbench.execution.gpus import visible_gpus
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell
from compatbench.records.record import CellSpec, Record, read_record
from compatbench.storage.files import content_hash
from compatbench.vocabulary import Status

RETRIES = 3
"""Times that a job is submitted again after it was lost."""

POLL_SECONDS = 1.0

WALL_MINUTES = 24 * 60
"""Of a job, unless its options say otherwise: the cell's own limit is one of progress, which a slow cell makes."""

SLOTS = 1000
"""Jobs in the queue at a time; Slurm decides how many run."""


class SlurmExecutor(Executor):
    """One Slurm job a cell; `cluster="local"` runs them as processes here, for a trial of the same code."""

    def __init__(
        self,
        context: RunContext,
        timeout_seconds: float,
        options: Mapping[str, Any] | None = None,
        cluster: str = "slurm",
    ) -> None:
        check_installed("submitit", "--executor slurm", "slurm")
        import submitit

        self.context = context
        self.timeout_seconds = timeout_seconds
        self.slots = SLOTS
        try:
            self._submitit = submitit.AutoExecutor(folder=context.runs.resolve() / ".submitit", cluster=cluster)
            usual = {"name": "compatbench", "timeout_min": WALL_MINUTES, "cpus_per_task": context.threads}
            self._submitit.update_parameters(**usual | dict(options or {}))
        except (RuntimeError, NameError, ValueError, TypeError) as error:
            raise RequestError(f"--executor slurm: {error}") from error

    def start(self, cell: Cell) -> SlurmJob:
        """Submit a job for `cell`."""
        return SlurmJob(cell, self)

    def submit(self, cell: Cell) -> Any:
        """The submitit job of `cell`."""
        context = replace(
            self.context,
            runs=self.context.runs.resolve(),
            data=self.context.data.resolve(),
            method_folders=tuple(folder.resolve() for folder in self.context.method_folders),
            dataset_folders=tuple(folder.resolve() for folder in self.context.dataset_folders),
        )
        return self._submitit.submit(
            run_in_job, cell.spec.model_dump_json(), context, self.timeout_seconds, code_version()
        )

    def wait(self, jobs: Sequence[Job]) -> None:
        """Wait some seconds: Slurm must be polled rarely."""
        time.sleep(POLL_SECONDS)


class SlurmJob:
    """A cell in the queue or on a node."""

    def __init__(self, cell: Cell, executor: SlurmExecutor) -> None:
        self.cell = cell
        self.executor = executor
        self.started = now()
        self.lost = 0
        self.before = content_hash(executor.store.record(cell.spec))
        self.job = executor.submit(cell)

    def poll(self, watcher: Watcher) -> bool:
        """Whether the cell has ended; submits a lost job again."""
        if not self.job.done():
            return False
        if self._recorded() or self._refused() or self.lost == RETRIES:
            return True
        self.lost += 1
        watcher.noticed(self.cell, f"its job {self.job.job_id} was lost ({self.job.state}); submitted again")
        self.job = self.executor.submit(self.cell)
        return False

    def record(self) -> Record:
        """The record that the job wrote, or one that says that it was lost."""
        store = self.executor.store
        if self._recorded():
            return read_record(store.record(self.cell.spec))
        if refusal := self._refused():
            raise MachineError(refusal)
        reason = f"its job was lost {self.lost + 1} times ({self.job.state})"
        return write_ending(self.cell, Ending(Status.KILLED, reason), self.started, self.executor.context)

    def stop(self) -> None:
        """Cancel the job."""
        if not self.job.done():
            self.job.cancel()

    def _recorded(self) -> bool:
        return content_hash(self.executor.store.record(self.cell.spec)) not in ("", self.before)

    def _refused(self) -> str:
        """Why the node could not run cells at all."""
        if self.job.state not in ("FAILED", "COMPLETED", "FINISHED"):  # the last is submitit's word on one machine
            return ""
        error = self.job.exception()
        said = str(error) if error is not None else ""
        marked = [line for line in said.splitlines() if line.startswith(f"{MachineError.__module__}.MachineError: ")]
        return marked[-1].partition(": ")[2] if marked else ""


def run_in_job(spec_json: str, context: RunContext, timeout_seconds: float, driver: str) -> str:
    """On a node: run one cell and write its record into the shared folder; returns its status.

    Raises MachineError where this node has other code than the driver, or cannot write.
    """
    check_code_version(driver)
    gpus = [gpu.name for gpu in visible_gpus()]
    executor = LocalExecutor(context, 1, timeout_seconds, gpus)
    record = executor.run_claimed(Cell(CellSpec.model_validate_json(spec_json), None), Watcher())
    return record.status.value
