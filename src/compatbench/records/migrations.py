"""Records of earlier schema versions, brought to the present one by one pure function a version.

A field that is new and may be absent needs no version of its own; one that changes its meaning or place does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
"""A record as parsed JSON, not validated yet."""


def migrate(data: Data, version: int) -> Data:
    """Bring `data`, of any version up to `version`, to that version."""
    for step in range(data["schema_version"], version):
        data = {**MIGRATIONS[step](data), "schema_version": step + 1}
    return data


def _to_2(data: Data) -> Data:
    """Version 2 keeps the end of the cell's log, and how many processes trained together: always one until then."""
    environment = data.get("environment")
    if isinstance(environment, dict):
        environment = {**environment, "processes": 1}
    return {**data, "log": "", "environment": environment}


def _to_3(data: Data) -> Data:
    """Version 3 names arrays in files of several, and says of a number what is better by its name alone."""
    parts = "arrays", "backfill", "backfilled", "verification", "protocols", "pairs"
    renamed = {part: [_renamed(entry) for entry in data[part]] for part in parts if part in data}
    metrics = [{key: value for key, value in one.items() if key != "direction"} for one in data.get("metrics", [])]
    return {**data, **renamed, "metrics": metrics}


def _renamed(entry: Data) -> Data:
    return {"array" if key == "sha256" else key: value for key, value in entry.items()}


MIGRATIONS: dict[int, Callable[[Data], Data]] = {1: _to_2, 2: _to_3}
"""By the version that they start from."""
