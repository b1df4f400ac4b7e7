"""Pairs accepted by each row's systems at a threshold, over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compatbench.evaluation.acceptance import FARS, Acceptance, acceptance_rates
from compatbench.evaluation.estimate import Estimate
from compatbench.records.parts import VerifiedPairs
from compatbench.records.record import Record
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.scores import ScoreReader

PREFERRED = (1e-3, *FARS)
"""The false accept rate of the table: the first of these that all records hold."""

SystemPlace = tuple[str, str, bool]
"""Generations of query (o, n or *) and gallery, and whether the threshold is the old system's."""

OLD, CROSS, CROSS_MOVED = ("o", "o", False), ("n", "o", False), ("n", "o", True)
NEW, NEW_MOVED, REFERENCE = ("n", "n", False), ("n", "n", True), ("*", "*", False)


@dataclass(frozen=True)
class Accepted:
    """Pairs accepted by the systems of each row, all at one false accept rate."""

    rate: float
    """That the thresholds are set for."""
    queries: tuple[int, ...]
    """How many queries were looked at; one number where all records agree."""
    rates: Mapping[tuple[str, SystemPlace], tuple[Estimate, Estimate]]
    """TAR and FAR by label and place."""


def accepted(rows: Sequence[MethodRow], reader: ScoreReader) -> Accepted | None:
    """Of all rows with one common rate in their finished records; None if there are none."""
    rate = _common_rate(rows)
    if rate is None:
        return None
    shown = [row for row in rows if row.runs.finished and all(_pairs(one, rate) for one in row.runs.finished)]
    systems: dict[tuple[str, SystemPlace], list[Acceptance]] = {}
    for row in shown:
        for record in row.runs.finished:
            for place, entry in _pairs(record, rate).items():
                systems.setdefault((row.label, place), []).append(Acceptance.read(reader.folder, entry.array))
    queries = sorted({entry.queries for row in shown for one in row.runs.finished for entry in one.verification})
    return Accepted(rate, tuple(queries), acceptance_rates(systems))


def _common_rate(rows: Sequence[MethodRow]) -> float | None:
    held = [{entry.rate for entry in one.verification} for row in rows for one in row.runs.finished if one.verification]
    common = set.intersection(*held) if held else set()
    return next((rate for rate in PREFERRED if rate in common), None)


def _pairs(record: Record, rate: float) -> dict[SystemPlace, VerifiedPairs]:
    newest = len(record.spec.generations) - 1
    names = {str(newest): "n", str(newest - 1): "o", f"*{newest}": "*"}
    return {
        (names[entry.query_generation], names[entry.gallery_generation], entry.transferred): entry
        for entry in record.verification
        if entry.rate == rate
    }
