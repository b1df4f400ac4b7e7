"""Training times of a suite's methods beside independent's: times/<suite>.yaml beside its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from compatbench.storage.builtin import builtin_folder
from compatbench.storage.files import write_whole
from compatbench.storage.strict_yaml import read_mapping
from compatbench.storage.validation import validated
from compatbench.vocabulary import plain_label

HEAD = """\
# Written by `compatbench time {name}`: time of an optimiser step of each method, as a multiple of that of independent,
# by repeat; in every repeat all of them were trained in turn.
"""


class Times(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    device: str = ""
    """The processor or accelerator that it was measured on."""
    steps: int = 0
    """Optimiser steps of a repeat."""
    rows: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Of each repeat, by the name of the row; tuned and published rows have one name, since values cost no time."""

    def of(self, label: str) -> tuple[float, ...]:
        """The repeats of a row; none if it was not measured."""
        return self.rows.get(plain_label(label), ())


def times_file(suite: Path) -> Path:
    """Where the times are of the suite in the file `suite`."""
    return suite.parent / "times" / f"{suite.stem}.yaml"


def read_times(path: Path) -> Times:
    """The times at `path`; none where there is no file. Raises RequestError for a file of another form."""
    return validated(Times, read_mapping(path), f"{path}: ") if path.exists() else Times()


def built_in_times(suite: str) -> Times:
    """Those of a built-in suite; none of any other."""
    return read_times(times_file(builtin_folder("benchmarks") / f"{suite}.yaml"))


def write_times(path: Path, device: str, steps: int, rows: Mapping[str, tuple[float, ...]]) -> None:
    """Write `rows` into the file at `path`, in place of what was there."""
    text = yaml.safe_dump(Times(device=device, steps=steps, rows=dict(rows)).model_dump(mode="json"), sort_keys=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, HEAD.format(name=path.stem) + text)
