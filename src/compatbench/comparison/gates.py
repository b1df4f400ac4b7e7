"""Requirements for a pipeline to stop at: `cross-gain>0`. Knows nothing of torch."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compatbench.comparison.comparison import FULL_BACKFILL, Gate, Outcome, fitted_adapters
from compatbench.comparison.verdict import gain_of
from compatbench.errors import RequestError
from compatbench.evaluation.estimate import Estimate
from compatbench.storage.validation import did_you_mean
from compatbench.vocabulary import MetricName

_REQUIREMENT = re.compile(r"\s*(?:([\w.]+):)?([a-z0-9@-]+)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*")

NAMES = {
    "cross": ("{metric}", 100),
    "cross-gain": (gain_of("{metric}"), 100),
    "cmc1": (MetricName.CMC1, 100),
    "cmc1-gain": (gain_of(MetricName.CMC1), 100),
    "update-gain": (MetricName.UPDATE_GAIN.of("{metric}"), 1),
    "retention": (MetricName.RETENTION.of("{metric}"), 1),
    "tax": (MetricName.TAX.of("{metric}"), 100),
    "nfr1": (MetricName.NFR.at(1), 100),
    "relative-nfr1": (MetricName.RELATIVE_NFR.at(1), 100),
    "backfill-gain": (gain_of("{metric}"), 100),
}
"""What can be required: a number of an adapter, and what it is shown times; `backfill-gain` is of the full backfill.

`{metric}` is the number that systems are judged by.
"""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class Requirement:
    """One requirement: the whole interval of a number must be on the right side of a bound."""

    text: str
    adapter: str | None
    name: str
    sign: str
    bound: float

    def met_by(self, outcome: Outcome, metric: MetricName) -> bool:
        """Whether this row's number meets it; an undefined number never does."""
        name, factor = NAMES[self.name]
        found: Estimate = outcome.metric(name.format(metric=metric))
        end = found.low if self.sign.startswith(">") else found.high
        return end is not None and _COMPARE[self.sign](factor * end, self.bound)


def parse_requirement(text: str) -> Requirement:
    """A requirement from `cross-gain>0` or `procrustes:cross-gain>0`. Raises RequestError for anything else."""
    match = _REQUIREMENT.fullmatch(text)
    if match is None:
        raise RequestError(
            f"--require {text}: give a number, >, >=, < or <=, and a bound in points (shares for update-gain and "
            "retention), e.g. --require 'cross-gain>0'"
        )
    adapter, name, sign, bound = match.groups()
    if name not in NAMES:
        near = [one for one in NAMES if one.endswith(f"-{name}")][:1]  # `gain` is that of the number judged by
        raise RequestError(f"--require {text}: unknown number '{name}'{did_you_mean(name, near or NAMES)}")
    return Requirement(text, adapter, name, sign, float(bound))


def check_adapters(requirements: Sequence[Requirement], adapters: Sequence[str]) -> None:
    """Raise RequestError if a requirement names an adapter outside the comparison."""
    for one in requirements:
        if one.adapter is not None and one.adapter not in adapters:
            raise RequestError(f"--require {one.text}: no adapter '{one.adapter}'{did_you_mean(one.adapter, adapters)}")


def check_gates(
    requirements: Sequence[Requirement], outcomes: Sequence[Outcome], metric: MetricName = MetricName.MAP
) -> list[Gate]:
    """Which requirements hold. One adapter must meet all requirements without a name.

    Where none meets them all, each is judged by the adapter that meets most of them, the earliest of such.
    """
    adapters = {one.name: one for one in fitted_adapters(outcomes)}
    open_to_all = [one for one in requirements if one.adapter is None and one.name != "backfill-gain"]
    best = max(adapters.values(), key=lambda row: sum(one.met_by(row, metric) for one in open_to_all), default=None)
    gates = []
    for one in requirements:
        if one.name == "backfill-gain":
            row = next((each for each in outcomes if each.name == FULL_BACKFILL), None)
        else:
            row = best if one.adapter is None else adapters.get(one.adapter)
        gates.append(Gate(requirement=one.text, met=row is not None and one.met_by(row, metric)))
    return gates
