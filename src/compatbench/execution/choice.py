"""Which executor a run uses, as the command line names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from compatbench.cell import Workplace
from compatbench.errors import RequestError
from compatbench.execution.gpus import gpu_slots, visible_gpus
from compatbench.execution.local import LocalExecutor
from compatbench.validation import did_you_mean

NAMES = ("local", "ray", "slurm")


@dataclass(frozen=True)
class Choice:
    """An executor and what it takes."""

    name: str = "local"
    address: str | None = None
    """Of a Ray cluster; one is started on this machine where it is None."""
    options: tuple[str, ...] = ()
    """`name=value`, for the Slurm jobs: submitit's parameters, e.g. `slurm_partition=gpu`."""


def make_executor(choice: Choice, workplace: Workplace, jobs: int, timeout_seconds: float) -> Any:
    """The executor of `choice`, with a method `run`. Raises RequestError for an unknown one, or a missing package."""
    match choice.name:
        case "local":
            return LocalExecutor(workplace, jobs, timeout_seconds, gpu_slots(visible_gpus()))
        case "ray":
            from compatbench.execution.ray import RayExecutor

            return RayExecutor(workplace, timeout_seconds, choice.address)
        case "slurm":
            from compatbench.execution.slurm import SlurmExecutor

            return SlurmExecutor(workplace, timeout_seconds, parse_options(choice.options))
    raise RequestError(f"no executor '{choice.name}'{did_you_mean(choice.name, NAMES)}")


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Values by name from `name=value`. Raises RequestError for other words."""
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise RequestError(f"--option {word}: give name=value, e.g. --option slurm_partition=gpu")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RequestError(f"--option {word}: '{value}' is no value") from error
    return options
