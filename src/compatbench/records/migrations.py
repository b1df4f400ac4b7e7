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


MIGRATIONS: dict[int, Callable[[Data], Data]] = {1: _to_2}
"""By the version that they start from."""
