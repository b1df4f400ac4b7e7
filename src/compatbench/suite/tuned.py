"""Tuned values of a suite's methods, with their trials: tuned/<suite>.yaml beside its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from compatbench import PROTOCOL_VERSION
from compatbench.errors import RequestError
from compatbench.storage.files import write_whole
from compatbench.storage.strict_yaml import read_mapping
from compatbench.storage.validation import validated

HEAD = """\
# Written by `compatbench tune {name}`. `chosen` are the values of the best trial, by the mean of A over the scenarios,
# on held-out images; none where the published values were the best. `compatbench run` takes them for tuned rows.
"""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Trial(_Part):
    """One setting of a method's parameters, and how well it did."""

    params: dict[str, JsonValue]
    """Of the parameters with ranges; the first trial has the published ones."""
    score: float | None
    """Mean of `scenarios`; None where a cell did not succeed, or A is undefined in one."""
    scenarios: dict[str, float | None] = Field(default_factory=dict)
    """A by scenario."""
    problem: str = ""


class TunedMethod(_Part):
    """The trials of one row."""

    chosen: dict[str, JsonValue]
    source_hash: str
    """Of the method's files when it was tuned."""
    trials: tuple[Trial, ...]


class Tuned(_Part):
    """The content of the file."""

    protocol: int = PROTOCOL_VERSION
    seed: int = 0
    """Of every trial; none of the suite's."""
    methods: dict[str, TunedMethod] = Field(default_factory=dict)
    """By the name of the row."""

    @property
    def values(self) -> dict[str, dict[str, JsonValue]]:
        """The chosen values by the name of the row."""
        return {label: one.chosen for label, one in self.methods.items()}

    @property
    def sources(self) -> dict[str, str]:
        """The hash of the method's files by the name of the row."""
        return {label: one.source_hash for label, one in self.methods.items()}


def tuned_file(suite: Path) -> Path:
    """Where the tuned values are of the suite in the file `suite`."""
    return suite.parent / "tuned" / f"{suite.stem}.yaml"


def read_tuned(path: Path) -> Tuned:
    """The tuned values at `path`; none where there is no file.

    Raises RequestError for a file of another form, or of another version of the protocol.
    """
    if not path.exists():
        return Tuned()
    found = validated(Tuned, read_mapping(path), f"{path}: ")
    if found.protocol != PROTOCOL_VERSION:
        raise RequestError(f"{path}: tuned under protocol {found.protocol}, this is {PROTOCOL_VERSION}; delete it")
    return found


def write_tuned(path: Path, seed: int, methods: Mapping[str, TunedMethod]) -> None:
    """Write `methods` into the file at `path`, beside those that are there and were not tuned again."""
    before = read_tuned(path)
    kept = before.methods if before.seed == seed else {}
    found = Tuned(seed=seed, methods=dict(sorted({**kept, **methods}.items())))
    text = yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, HEAD.format(name=path.stem) + text)
