"""Whether two runs must agree to the last bit, and how far apart they may lie where not."""

from __future__ import annotations

from compatbench.records.parts import Environment

TOLERANCE = 0.02
"""Of a score, between runs on different hardware or versions: rounding makes another training of the same recipe."""


def same_arithmetic(one: Environment, other: Environment) -> bool:
    """Whether both ran on a CPU with the same versions and threads; the commit may differ."""
    ignored = {"git_sha", "git_dirty"}
    return one.gpu is None and one.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)
