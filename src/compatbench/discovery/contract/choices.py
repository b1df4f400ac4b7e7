"""The variants of a method: every value of its enumerable parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from compatbench.discovery.plugins import Plugin


@dataclass(frozen=True)
class Choice:
    """Parameters with at most one value other than the default."""

    name: str = ""
    value: Any = None

    @property
    def params(self) -> dict[str, Any]:
        """As a suite would give them."""
        return {self.name: self.value} if self.name else {}

    def __str__(self) -> str:
        return f"{self.name}={self.value}" if self.name else "defaults"


DEFAULTS = Choice()


def choices(plugin: Plugin) -> list[Choice]:
    """One choice for each other value of each `Literal` or boolean parameter of the method."""
    found = []
    for name, field in plugin.cls.Params.model_fields.items():
        values: tuple[Any, ...] = ()
        if get_origin(field.annotation) is Literal:
            values = get_args(field.annotation)
        elif field.annotation is bool:
            values = (False, True)
        found += [Choice(name, value) for value in values if value != field.get_default(call_default_factory=True)]
    return found
