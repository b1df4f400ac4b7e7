"""Checks that a name is valid and unique."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compatbench.discovery.contract.report import Finding
from compatbench.discovery.finding import Kind, check_name, find


def check_naming(kind: Kind[Any], cls: type[Any], path: Path) -> None:
    """Raise ContractError or Finding if the name of `cls`, from `path`, cannot be used."""
    check_name(cls)
    other = find(kind, wanted=lambda name: False).paths.get(cls.name, path)
    if other != path:
        raise Finding(f"the name '{cls.name}' is taken by {other.name}: choose another")
