"""Recomputes the scores of a record from its per-query arrays, and lists the differences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compatbench import PROTOCOL_VERSION
from compatbench.evaluation.arrays import RETRIEVAL, STEP
from compatbench.evaluation.curves import CurvePoints, area
from compatbench.evaluation.grouped_results import GroupedResults
from compatbench.measurement.metrics import ArrayScorer
from compatbench.records.compact import BOUND_DECIMALS, CURVE_DECIMALS, VALUE_DECIMALS
from compatbench.records.parts import ArrayRef, BackfillCurve, Metric
from compatbench.records.record import Record
from compatbench.storage.array_files import read_columns
from compatbench.storage.group_sums import PARTS
from compatbench.trust.identities import broken_identities
from compatbench.trust.parts import unfit_parts

TOLERANCE = 1e-9
"""Between means that were summed in another order, beside what records round them to."""

ROUNDING = 0.51 * STEP + 0.51 * 10**-CURVE_DECIMALS
"""Between curves as records round them, and the steps of the queries' values."""

Coordinates = tuple[str, str, str, str, str]
"""Name, query generation, gallery generation, subset, distance."""


class Rescorer:
    """Re-scores the records of one folder of arrays; scores an array shared by several records once."""

    def __init__(self, arrays: Path) -> None:
        self.arrays = arrays
        self.scorer = ArrayScorer(arrays)
        self._broken: dict[str, list[str]] = {}
        self._last: tuple[Record, dict[Coordinates, Metric]] | None = None

    def differences(self, record: Record) -> Iterator[str]:
        """Differences between `record` and its arrays, each in one line; an early record's are only looked for.

        Raises RequestError for unreadable arrays.
        """
        if record.is_early:
            for entry in record.array_entries:
                read_columns(self.arrays, entry.array)
            return
        for ref in record.arrays:
            for broken in self._identities(ref):
                yield f"{_entry(ref.at)} by {ref.distance}: {broken}"
        yield from self._missing_entries(record)
        said = {metric.coordinates: metric for metric in record.metrics}
        if len(said) < len(record.metrics):
            yield "a number is there twice"
        found = self._found(record)
        if missing := [_name(at) for at in found if at not in said]:
            yield f"lacks {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}; run its cell again"
        for at, metric in found.items():
            if at in said:
                same_rule = record.protocol_version == PROTOCOL_VERSION  # protocol 1 had other intervals
                yield from _compare(at, said[at], metric, intervals=same_rule)
        for at in said:
            if at not in found and at[0] in RETRIEVAL and at[3] == "all":
                yield f"{_name(at)} has no per-query arrays"
        in_groups = any(isinstance(self.scorer.results(ref.array), GroupedResults) for ref in record.arrays)
        yield from _subsets(said, 2 / PARTS if in_groups else 0.0)
        for curve in record.backfill:
            yield from self._curve(record, curve)
        yield from unfit_parts(record, self.scorer.by_cosine(record.arrays), self.arrays)

    def unchecked(self, record: Record) -> list[str]:
        """Names of the numbers that the arrays alone cannot prove: they take vectors or labels."""
        found = {} if record.is_early else self._found(record)
        others = [one.name for one in record.metrics if one.coordinates not in found and one.name not in RETRIEVAL]
        return sorted({name.partition(":")[0] for name in others})

    def _found(self, record: Record) -> dict[Coordinates, Metric]:
        """The numbers by the arrays. Those of the last record are kept: both questions are asked of one record."""
        if self._last is None or self._last[0] is not record:
            self._last = record, {metric.coordinates: metric for metric in self.scorer.metrics(record)}
        return self._last[1]

    def _identities(self, ref: ArrayRef) -> list[str]:
        if ref.array not in self._broken:
            self._broken[ref.array] = list(broken_identities(self.scorer.results(ref.array)))
        return self._broken[ref.array]

    def _missing_entries(self, record: Record) -> Iterator[str]:
        newest = len(record.spec.generations) - 1
        there = {ref.at for ref in record.arrays if ref.distance == "cosine"}
        needed = {(str(q), str(g)) for q in range(newest + 1) for g in range(q + 1)} | {(f"*{newest}", f"*{newest}")}
        for at in sorted(needed - there):
            yield f"no per-query arrays of {_entry(at)}"
        first = self.scorer.results(record.arrays[0].array) if record.arrays else None
        for ref in record.arrays:
            results = self.scorer.results(ref.array)
            if first is not None and not np.array_equal(results.ids, first.ids):
                yield f"{_entry(ref.at)} is of other queries than the first entry"

    def _curve(self, record: Record, curve: BackfillCurve) -> Iterator[str]:
        """The mean curve and M(o,o) of a backfill against what is kept of each query's curve."""
        points = CurvePoints.read(self.arrays, curve.array)
        where = f"backfill {curve.order} {curve.metric}"
        if not len(curve.beta) == len(curve.mean) == len(curve.low) == len(curve.high):
            yield f"{where}: it has not as many shares as values"
            return
        minimum, whole = min(curve.mean), float(area(curve.beta, curve.mean))
        allowed = ROUNDING + (1 / (PARTS * len(points.ids)) if points.grouped else 0.0)
        if abs(whole - points.area.mean(dtype=np.float64)) > allowed:
            yield f"{where}: the area is not the mean of the queries' areas"
        if abs(minimum - points.minimum.mean(dtype=np.float64)) > allowed:
            yield f"{where}: the minimum is not the mean of the queries' values there"
        low, mean, high = (np.asarray(one) for one in (curve.low, curve.mean, curve.high))
        if (low > mean + ROUNDING).any() or (high < mean - ROUNDING).any():
            yield f"{where}: the mean lies outside of what its repeats reach"
        if abs(curve.mean[curve.beta.index(curve.minimum_beta)] - minimum) > ROUNDING:
            yield f"{where}: it is not lowest where the record says"
        unchanged = self.scorer.by_cosine(record.arrays).get((curve.gallery_generation, curve.gallery_generation))
        if unchanged is not None:
            status_quo = float(points.of_entry(unchanged, curve.metric).mean())
            if not math.isclose(status_quo, curve.status_quo, rel_tol=0, abs_tol=ROUNDING):
                yield f"{where}: M(o,o) over its queries is {status_quo:.6f}, the record says {curve.status_quo:.6f}"


def _entry(at: tuple[str, str]) -> str:
    return f"M({at[0]},{at[1]})"


def _name(at: Coordinates) -> str:
    name, query, gallery, subset, distance = at
    details = [word for word in (subset, distance) if word not in ("all", "cosine")]
    return f"{name}({query},{gallery}{''.join(', ' + word for word in details)})"


def _compare(at: Coordinates, said: Metric, found: Metric, *, intervals: bool) -> Iterator[str]:
    if (said.n, said.direction) != (found.n, found.direction):
        yield f"{_name(at)} is over {found.n} queries ({found.direction} is better), the record says otherwise"
    for part in ("value", "ci_low", "ci_high") if intervals else ("value",):
        one, other = getattr(said, part), getattr(found, part)
        if not _equal(one, other, VALUE_DECIMALS if part == "value" else BOUND_DECIMALS):
            yield f"{_name(at)}: {part} is {other} by its arrays, the record says {one}"


def _equal(one: float | None, other: float | None, decimals: int, slack: float = 0.0) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=0, abs_tol=TOLERANCE + slack + 0.5 * 10**-decimals)


def _subsets(said: dict[Coordinates, Metric], slack: float) -> Iterator[str]:
    """Seen and unseen queries together are all of them: n and the sums must agree, to `slack`."""
    for at, whole in said.items():
        parts = [said.get((*at[:3], subset, at[4])) for subset in ("seen", "unseen")]
        if at[0] not in RETRIEVAL or at[3] != "all" or parts == [None, None]:
            continue
        there = [part for part in parts if part is not None]
        total = sum(part.n * part.value for part in there if part.value is not None)
        if len(there) < 2 or sum(part.n for part in there) != whole.n:
            yield f"{_name(at)}: seen and unseen queries do not add up to all"
        elif whole.value is None or not _equal(total / whole.n, whole.value, VALUE_DECIMALS - 1, slack / whole.n):
            yield f"{_name(at)}: seen and unseen queries have another mean than all"
