"""Published claims as comparisons of numbers, and whether the records of a scenario bear them out.

A check such as `M(n,o) > M(n,o) of bct` compares two means over the same queries and seeds. It is judged by the one
rule of significance, Holm-corrected over all checks of a board. What two suites computed alike is one comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from compatbench.errors import RequestError
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Values, mean_estimate
from compatbench.evaluation.significance import corrected_p_values, sign
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import LOST, MEAN
from compatbench.storage.canonical import digest
from compatbench.vocabulary import Entry, MetricName, ParameterSetting, row_label

FORM = (
    "`NUMBER > NUMBER`, with <, a factor before a number, `of ROW` after it, `± 2` points, `in SCENARIO, …` at the end"
)
NFR = {f"NFR({place})": entry for place, entry in (("n,o", Entry.CROSS), ("n,n", Entry.NEW))}
"""Negative flips at rank 1 before and after the backfill: queries with a hit in M(o,o) and none there."""
NUMBERS = (*Entry, *NFR, MEAN)

_TERM = rf"(?:(?P<factor@>\d+(?:\.\d+)?) )?(?P<number@>{'|'.join(map(re.escape, NUMBERS))})(?: of (?P<row@>\S+))?"
_CHECK = re.compile(
    rf"{_TERM.replace('@', '_left')} (?P<sign>[<>]) {_TERM.replace('@', '_right')}"
    r"(?: (?P<offset>[+−-] \d+(?:\.\d+)?))?(?: in (?P<scenarios>\w+(?:, \w+)*))?"
)


class ClaimOutcome(StrEnum):
    """What the records say of a check in one scenario, or of a claim as a whole."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    PARTLY_CONFIRMED = "partly confirmed"
    PARTLY_REFUTED = "partly refuted"
    MIXED = "mixed"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Term:
    """A number of a row, times a factor."""

    factor: float
    number: str
    row: str
    """Its label; empty for the row that the claim is about."""


@dataclass(frozen=True)
class Check:
    """`high` is above `low` plus `offset`."""

    text: str
    high: Term
    low: Term
    offset: float
    """A fraction."""
    scenarios: tuple[str, ...]
    """Empty for all."""

    @classmethod
    def parse(cls, text: str) -> Check:
        """The check that a text of the form FORM says. Raises RequestError for other texts."""
        found = _CHECK.fullmatch(text)
        if found is None:
            raise RequestError(f"'{text}' is no check: {FORM}; numbers are {', '.join(NUMBERS)}")
        left, right = (
            Term(float(found[f"factor{side}"] or 1), found[f"number{side}"], found[f"row{side}"] or "")
            for side in ("_left", "_right")
        )
        if (left.number == MEAN) != (right.number == MEAN):
            raise RequestError(f"'{text}': {MEAN} is over fewer queries than other numbers; compare it with itself")
        offset = float((found["offset"] or "0").replace("−", "-").replace(" ", "")) / 100
        scenarios = tuple(found["scenarios"].split(", ")) if found["scenarios"] else ()
        above = found["sign"] == ">"
        high, low = (left, right) if above else (right, left)
        return cls(text, high, low, offset if above else -offset, scenarios)


@dataclass(frozen=True)
class Finding:
    """One check in one scenario, by the rows of one setting."""

    suite: str
    scenario: str
    setting: ParameterSetting | None
    """Of the row that the claim is about."""
    seeds: int
    surplus: Estimate
    """What `high` has beyond `low` plus `offset`, as a fraction."""
    outcome: ClaimOutcome


@dataclass(frozen=True)
class _Difference:
    runs: ScenarioRuns
    row: MethodRow
    seeds: Sequence[int]
    values: Values
    """(S, Q)"""
    computations: tuple[str, ...]
    """Of both sides, by seed."""


def findings(
    claims: Mapping[str, Sequence[Check]], scenarios: Iterable[tuple[ScenarioRuns, Sequence[MethodRow]]]
) -> dict[str, list[tuple[Check, list[Finding]]]]:
    """What the rows of all `scenarios` say of the checks of each method; rows of fewer than two seeds say nothing.

    Where several suites, or rows of several settings, have the same computations, the first of them alone counts.
    """
    tables = list(scenarios)
    differences: dict[tuple[str, int, int], _Difference] = {}
    for name, checks in claims.items():
        for place, check in enumerate(checks):
            found: dict[tuple[str, ...], _Difference] = {}
            for runs, rows in tables:
                for one in _differences(check, name, runs, rows):
                    found.setdefault(one.computations, one)
            differences |= {(name, place, number): one for number, one in enumerate(found.values())}
    p_values = corrected_p_values({key: one.values for key, one in differences.items()})
    told: dict[str, list[tuple[Check, list[Finding]]]] = {
        name: [(check, []) for check in checks] for name, checks in claims.items()
    }
    for (name, place, number), one in differences.items():
        surplus = mean_estimate(one.values)
        told[name][place][1].append(
            Finding(
                suite=one.runs.suite,
                scenario=one.runs.scenario,
                setting=one.row.setting,
                seeds=len(one.seeds),
                surplus=surplus,
                outcome={1: ClaimOutcome.CONFIRMED, 0: ClaimOutcome.UNDECIDED, -1: ClaimOutcome.REFUTED}[
                    sign(surplus, p_values[name, place, number])
                ],
            )
        )
    return told


def overall(outcomes: Iterable[ClaimOutcome]) -> ClaimOutcome:
    """That of every check in every scenario; partly so beside undecided ones; mixed of confirmed and refuted ones."""
    several = set(outcomes)
    decided = several - {ClaimOutcome.UNDECIDED}
    if len(decided) > 1:
        return ClaimOutcome.MIXED
    if not decided:
        return ClaimOutcome.UNDECIDED if several else ClaimOutcome.NOT_TESTED
    (outcome,) = decided
    if several == decided:
        return outcome
    return ClaimOutcome.PARTLY_CONFIRMED if outcome is ClaimOutcome.CONFIRMED else ClaimOutcome.PARTLY_REFUTED


def _differences(check: Check, name: str, runs: ScenarioRuns, rows: Sequence[MethodRow]) -> Iterable[_Difference]:
    """In one scenario, for the row of each setting that has all that the check compares."""
    if check.scenarios and runs.scenario not in check.scenarios:
        return
    by_label = {row.label: row for row in rows}
    for setting in (None, ParameterSetting.TUNED, ParameterSetting.PUBLISHED):
        high, low = (_row(by_label, term.row or name, setting) for term in (check.high, check.low))
        own = low if check.high.row and not check.low.row else high
        if high is None or low is None or own is None or _apart(own.setting) is not setting:
            continue
        one, other = high.scores, low.scores
        if one is None or other is None:
            continue
        seeds = [seed for seed in one.seeds if seed in other.seeds]
        values = [_values(row, term, seeds) for row, term in ((high, check.high), (low, check.low))]
        if len(seeds) > 1 and values[0] is not None and values[1] is not None:
            computations = (*_computations(high, seeds), *_computations(low, seeds))
            yield _Difference(runs, own, seeds, values[0] - values[1] - check.offset, computations)


def _apart(setting: ParameterSetting | None) -> ParameterSetting | None:
    """None for a method's only row, which has no setting in its label."""
    return setting if setting in (ParameterSetting.TUNED, ParameterSetting.PUBLISHED) else None


def _row(by_label: Mapping[str, MethodRow], label: str, setting: ParameterSetting | None) -> MethodRow | None:
    """The row of this label and setting, else its only one; beside another's only row, the tuned one."""
    return by_label.get(row_label(label, setting or ParameterSetting.TUNED), by_label.get(label))


def _values(row: MethodRow, term: Term, seeds: Sequence[int]) -> Values | None:
    """(S, Q) of the seeds; None if the records lack the number."""
    scores = row.scores
    if scores is None:
        return None
    at = [scores.seeds.index(seed) for seed in seeds]
    if term.number in NFR:
        return np.asarray(term.factor * scores.of(LOST, NFR[term.number])[at])
    found = scores.values.get((MetricName.MAP, term.number))
    return None if found is None else np.asarray(term.factor * found[at])


def _computations(row: MethodRow, seeds: Sequence[int]) -> Iterable[str]:
    """A hash for each seed, equal for cells that compute the same scores: by the spec without what changes none."""
    for record in row.runs.finished:
        if record.spec.seed in seeds:
            method = record.spec.method.model_dump(mode="json", exclude={"label", "setting", "summary"})
            others = record.spec.model_dump(mode="json", exclude={"suite", "scenario", "index_search", "method"})
            yield digest([method, others])
