"""The executor of a run, as the command line names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compatbench.errors import RequestError
from compatbench.execution.cell import RunContext
from compatbench.execution.distributed import Coordinator, DistributedExecutor
from compatbench.execution.executor import Executor
from compatbench.execution.gpus import gpu_slots, visible_gpus
from compatbench.execution.local import LocalExecutor
from compatbench.storage.validation import did_you_mean

NAMES = ("local", "ray", "slurm")


@dataclass(frozen=True)
class Choice:
    """An executor and its options."""

    name: str = "local"
    address: str | None = None
    """Of a Ray cluster; one is started on this machine where it is None."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the Slurm jobs: submitit's parameters, e.g. `slurm_partition`."""
    coordinator: Coordinator | None = None
    """Of the processes that a launcher started, which then run every cell together."""


def make_executor(choice: Choice, context: RunContext, jobs: int, timeout_seconds: float) -> Executor:
    """The executor of `choice`. Raises RequestError for an unknown one, options of another, or a missing package."""
    if choice.options and choice.name != "slurm":
        raise RequestError(f"--option {next(iter(choice.options))} is of --executor slurm, not of {choice.name}")
    match choice.name:
        case "local" if choice.coordinator is not None:
            return DistributedExecutor(choice.coordinator, context, timeout_seconds)
        case "local":
            return LocalExecutor(context, jobs, timeout_seconds, gpu_slots(visible_gpus()))
        case "ray":
            from compatbench.execution.ray import RayExecutor

            return RayExecutor(context, timeout_seconds, choice.address)
        case "slurm":
            from compatbench.execution.slurm import SlurmExecutor

            return SlurmExecutor(context, timeout_seconds, choice.options)
    raise RequestError(f"no executor '{choice.name}'{did_you_mean(choice.name, NAMES)}")
