"""How long adapters are trained: a quick schedule, or the published one. Steps are counted, never seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

QUICK_STEPS = 400
"""Steps of a trained adapter that declares no quick schedule."""

SHORTER: Mapping[str, Mapping[str, Any]] = {
    "fastfill": {"steps": 300, "batch_size": 64, "inner": 512, "lr": 7e-4, "warmup": 1},
    "fct": {"steps": 300, "batch_size": 64, "inner": 512, "lr": 2e-3, "warmup": 1},
    "lambda_orthogonal": {"steps": 300},
    "slerp": {"support": 200},
}
"""By adapter: a quick schedule that is shorter than what its file declares; docs/compare.md has what each reaches.

Records name the bytes of that file: a change there would make them stale, though no record has a quick fit.
"""


class Effort(StrEnum):
    """A schedule for adapters that are trained in steps; closed forms are the same in both."""

    QUICK = "quick"
    FULL = "full"


def quick_changes(published: Mapping[str, Any], quick: Mapping[str, Any], pairs: int) -> dict[str, Any]:
    """The parameters of a quick fit that differ from the `published` ones of an adapter.

    `quick` is what the adapter declares, see `compatbench.method.Adapter.quick`. Its `steps` bound the epochs for this
    many pairs; an adapter never gets more epochs than published.
    """
    changes = {name: value for name, value in quick.items() if name != "steps"}
    if "epochs" in published:
        batch = int(changes.get("batch_size", published.get("batch_size", pairs)))
        epochs = math.ceil(int(quick.get("steps", QUICK_STEPS)) / steps_of_epoch(pairs, batch))
        changes["epochs"] = min(int(published["epochs"]), epochs)
    return {name: value for name, value in changes.items() if published.get(name) != value}


def steps_of_epoch(pairs: int, batch: int) -> int:
    """Batches of an epoch."""
    return max(1, math.ceil(pairs / batch))


def said(changes: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    """The changed parameters with their published values, as in "epochs 4 (80)"."""
    return ", ".join(
        f"{name} {_short(value)} ({_short(published[name])})" for name, value in sorted(changes.items())
    ).replace("_", " ")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
