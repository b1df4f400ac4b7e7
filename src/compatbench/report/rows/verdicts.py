"""The verdict on a row: whether new queries beat the old system, or whether an expectation was met."""

from __future__ import annotations

from enum import StrEnum

from compatbench.evaluation.significance import sign
from compatbench.report.rows.controls import misbehaviour
from compatbench.report.rows.row import MethodRow
from compatbench.vocabulary import MetricName


class Verdict(StrEnum):
    """The sign of the cross gain on mAP, `n.s.` if its interval contains 0; or whether an expectation was met."""

    COMPATIBLE = "compatible"
    COMPATIBLE_NOT_SIGNIFICANT = "compatible, n.s."
    NOT_COMPATIBLE = "not compatible"
    NOT_COMPATIBLE_NOT_SIGNIFICANT = "not compatible, n.s."
    AS_EXPECTED = "as expected"
    NOT_AS_EXPECTED = "✗ not as expected"


def verdict(row: MethodRow) -> Verdict | None:
    """The verdict on a row; None if no seed ended well."""
    if row.scores is None:
        return None
    if row.runs.method.expects:
        return Verdict.NOT_AS_EXPECTED if misbehaviour(row) else Verdict.AS_EXPECTED
    gain = row.number(MetricName.CROSS_GAIN)
    if gain.value is not None and gain.value > 0:
        return Verdict.COMPATIBLE if sign(gain) else Verdict.COMPATIBLE_NOT_SIGNIFICANT
    return Verdict.NOT_COMPATIBLE if sign(gain) else Verdict.NOT_COMPATIBLE_NOT_SIGNIFICANT


def ordering(row: MethodRow) -> str | None:
    """Whether M(n,n) > M(n,o) > M(o,o); `n.s.` if the interval of one step contains 0; None as for the verdict."""
    steps = (row.number(MetricName.CROSS_GAIN), row.number(MetricName.BACKFILL_GAIN))
    if row.scores is None:
        return None
    if not all(step.value is not None and step.value > 0 for step in steps):
        return "no"
    return "yes" if all(sign(step) for step in steps) else "yes, n.s."
