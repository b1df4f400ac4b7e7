"""Consistency of one record's parts: curves, thresholds, shown items and courses of training fit its entries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench import PROTOCOL_VERSION
from compatbench.evaluation.arrays import STEP, QueryResults
from compatbench.evaluation.convergence import verdicts
from compatbench.evaluation.curves import BackfillMeans, CurvePoints
from compatbench.evaluation.flips import CUTOFFS, negative_flips
from compatbench.evaluation.grouped_results import GroupedResults, Results
from compatbench.measurement.upgrade import MatrixResults
from compatbench.records.array_names import BACKFILLED, entry_array
from compatbench.records.compact import CURVE_DECIMALS
from compatbench.records.record import Record
from compatbench.storage.array_files import read_columns
from compatbench.storage.group_sums import sums_path
from compatbench.storage.query_groups import GroupedColumns, count_of_groups, entry_column, lost_column, most_groups
from compatbench.vocabulary import DERIVED_FROM, MetricName, Order

HALF_DIGIT = 5e-4
"""Of an accuracy by epoch, as records round it."""
APART = 5.0
"""Standard errors between means of followed and of other queries; those of the first 1,227 records are 3.2 at most."""
ROUNDED = 1e-4
"""Of a mean of steps or sums: all gaps may be 0, as those of a method that changes nothing are."""
AREAS = 0.08
"""Root mean square difference of two queries' areas in groups: the first records had them in eight levels."""
LEVEL = 0.066
"""The widest of the levels that AP was in when the first 1,389 records of the leaderboard were published."""
FEWEST = 100
"""Queries of each kind without which they are not compared."""


def unfit_parts(record: Record, matrix: MatrixResults, arrays: Path) -> Iterator[str]:
    """The parts of `record` that contradict its `matrix` by cosine, or are missing, each in one line.

    Raises RequestError for unreadable arrays.
    """
    if record.protocol_version == PROTOCOL_VERSION:
        yield from _missing_parts(record, matrix)
    yield from _other_groups(record, matrix, arrays)
    yield from _other_relevance(matrix)
    yield from _impossible_flips(matrix)
    yield from _curve_ends(record, matrix, arrays)
    yield from _areas(record, matrix, arrays)
    yield from _thresholds(record)
    yield from _shown_items(record, matrix)
    yield from _training(record)


def _missing_parts(record: Record, matrix: MatrixResults) -> Iterator[str]:
    chain = [str(place) for place in range(len(record.spec.generations))]
    models = {*chain, *(f"*{place}" for place in chain[1:])}
    if record.parents.keys() != models:
        yield f"its parents are {', '.join(sorted(record.parents))}, and its models {', '.join(sorted(models))}"
    if record.convergence.keys() != models or record.losses.keys() != set(chain):
        yield "it lacks the course of training of some model, or has that of another"
    answered = any(one.value is not None for one in record.metrics if one.name == "mAP")
    curves = [one.order for one in record.backfill]
    if answered and not (record.backfilled and {Order.RANDOM, Order.CLASS_WISE} <= set(curves)):
        yield "it lacks its backfill in random order or class after class"
    new, old = chain[-1], chain[-2]
    for at in ((new, old), (new, new)):
        if at not in matrix or (old, old) not in matrix or any(flip.at == at for flip in record.worst_flips):
            continue
        if np.nansum(negative_flips(matrix[old, old], matrix[at], 1)) > 0:
            yield f"it shows none of the queries that M({at[0]},{at[1]}) gets wrong and the old system does not"


def _other_groups(record: Record, matrix: MatrixResults, arrays: Path) -> Iterator[str]:
    """All records of a scenario have the same groups of queries, since rows and seeds are compared by them."""
    most = most_groups(len(record.spec.generations))
    found = [(one.name, len(one.ids), len(one)) for one in matrix.values() if isinstance(one, GroupedResults)]
    for part in (*record.backfill, *record.backfilled, *record.verification, *record.protocols):
        sha256, _, name = part.array.partition("#")
        if sums_path(arrays, sha256).is_file():
            sums = read_columns(arrays, part.array)
            queries = len(sums.pop("ids"))
            found += [(name, queries, count) for count in {len(one) for one in sums.values()}]
    for name, queries, count in found:
        if count != (right := count_of_groups(queries, most)):
            yield f"{name}: it has {count} groups of queries in place of {right}"


def _other_relevance(matrix: MatrixResults) -> Iterator[str]:
    """How many items are relevant to a query is the same for every model."""
    first = next(iter(matrix.values()), None)
    for at, results in matrix.items():
        if first is not None and not np.array_equal(results.relevant, first.relevant):
            yield f"M({at[0]},{at[1]}): other numbers of items are relevant than in its first entry"


def _impossible_flips(matrix: MatrixResults) -> Iterator[str]:
    """Of no group an upgrade loses more hits than there were, or fewer than the new system has less."""
    for (query, gallery), results in matrix.items():
        for place in range(int(query) if query.isdecimal() else 0):
            old = matrix.get((str(place), str(place)))
            if not isinstance(results, GroupedResults) or not isinstance(old, GroupedResults):
                continue
            for k in CUTOFFS:
                lost = results.sums.get(lost_column(old.name, k))
                if lost is None:
                    continue
                hit, before = (one.sums[f"CMC@{k}"] for one in (results, old))
                if ((lost < before - hit) | (lost > np.minimum(before, results.sizes - hit))).any():
                    yield f"M({query},{gallery}): its flips at {k} do not fit the hits before and after"


def _curve_ends(record: Record, matrix: MatrixResults, arrays: Path) -> Iterator[str]:
    """M(0) is M(n,o) and M(1) is M(n,n), over the queries that were followed."""
    for curve in record.backfill:
        new, old = curve.at
        points = CurvePoints.read(arrays, curve.array)
        rounding = 0.51 * STEP if points.grouped is None else _of_levels(points)
        for value, at in ((curve.mean[0], (new, old)), (curve.mean[-1], (new, new))):
            if at in matrix:
                expected = float(points.of_entry(matrix[at], curve.metric).mean())
                if abs(value - expected) > rounding + 0.51 * 10**-CURVE_DECIMALS:
                    yield f"backfill {curve.order}: it ends at {value:.4f}, and M({at[0]},{at[1]}) is {expected:.4f}"


def _areas(record: Record, matrix: MatrixResults, arrays: Path) -> Iterator[str]:
    """Between two generations a whole backfill is that of the curve in random order."""
    curves = [one for one in record.backfill if one.order is Order.RANDOM]
    for whole in record.backfilled:
        means = BackfillMeans.read(arrays, whole.array)
        if means.grouped is not None:
            yield from _other_entries(matrix, means.grouped)
        for curve in (one for one in curves if one.at == whole.at):
            points = CurvePoints.read(arrays, curve.array)
            place = {sample: row for row, sample in enumerate(means.ids.tolist())}
            rows = [place.get(sample, -1) for sample in points.ids.tolist()]
            if min(rows, default=0) < 0:
                yield "some queries of its backfill in random order were not followed through a whole one"
            elif means.grouped is not None and points.grouped is not None:
                there = points.grouped.values(entry_column(BACKFILLED, curve.metric))
                apart = math.sqrt(float(((there - points.area) ** 2).mean()) * len(points.ids) / len(points.grouped))
                if apart > AREAS:
                    yield "its means over a backfill are not the areas of the queries' curves in random order"
                yield from _unlike_the_followed(matrix, whole.at, points, means)
            elif (np.abs(means.values[curve.metric][rows] - points.area) > 2.01 * STEP).any():
                yield "its means over a backfill are not the areas of the queries' curves in random order"
            else:
                yield from _unlike_the_others(matrix, whole.at, points.ids, means)


def _other_entries(matrix: MatrixResults, grouped: GroupedColumns) -> Iterator[str]:
    """Where a whole backfill is of all queries, what is kept of the matrix beside it is the matrix."""
    for at, results in matrix.items():
        if not isinstance(results, GroupedResults) or not np.array_equal(results.ids, grouped.ids):
            continue
        for metric in DERIVED_FROM:
            there = grouped.sums.get(entry_column(entry_array(*at), metric))
            if there is not None and not np.array_equal(there, results.sums[metric]):
                yield f"{metric} of M({at[0]},{at[1]}) beside its backfill is not that of the entry itself"


def _unlike_the_others(
    matrix: MatrixResults, at: tuple[str, str], followed: NDArray[np.int64], means: BackfillMeans
) -> Iterator[str]:
    """Which queries a curve follows was drawn by chance, so the others do neither better nor worse."""
    there = np.isin(means.ids[means.answerable], followed)
    for metric, values in means.values.items():
        for name, gap in _gaps(matrix, at, metric, means, values[means.answerable]):
            parts = [gap[kind] for kind in (there, ~there)]
            if min(map(len, parts)) < FEWEST:
                continue
            error = math.sqrt(sum(float(part.var()) / len(part) for part in parts))
            if abs(float(parts[0].mean() - parts[1].mean())) > APART * error + ROUNDED:
                yield f"{metric}: queries that its backfill did not follow differ from the followed in {name}"


def _unlike_the_followed(
    matrix: MatrixResults, at: tuple[str, str], points: CurvePoints, means: BackfillMeans
) -> Iterator[str]:
    """The same of groups, in which the followed are: their means against those of all."""
    metric = MetricName.MAP
    followed, everyone = (
        dict(_gaps(matrix, at, metric, some, values))
        for some, values in ((points, points.area), (means, means.values[metric]))
    )
    few, all_queries = len(points.ids), means.count
    for name, gap in everyone.items():
        one_query = float(gap.var()) * all_queries / len(gap)
        error = math.sqrt(one_query * max(0.0, 1 / few - 1 / all_queries))
        if min(few, all_queries - few) < FEWEST:
            continue
        if abs(float(followed[name].mean() - gap.mean())) > APART * error + ROUNDED + _of_levels(points):
            yield f"{metric}: queries that its backfill did not follow differ from the followed in {name}"


def _of_levels(points: CurvePoints) -> float:
    """Four standard errors of a mean over the followed queries whose values were rounded to levels."""
    return 4 * LEVEL / math.sqrt(12 * len(points.ids))


def _gaps(
    matrix: MatrixResults,
    at: tuple[str, str],
    metric: str,
    some: CurvePoints | BackfillMeans,
    areas: NDArray[np.float32],
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """What cannot be seen in other queries but by chance, with its name; nothing if entries are missing."""
    new, old = at
    if (old, old) not in matrix or at not in matrix or (new, new) not in matrix:
        return  # which is told elsewhere
    cross, after, before = (some.of_entry(matrix[entry], metric) for entry in (at, (new, new), (old, old)))
    yield "their means over a backfill", areas - (cross + after) / 2
    yield f"M({new},{old}) − M({old},{old})", cross - before
    yield f"M({new},{new}) − M({old},{old})", after - before


def _thresholds(record: Record) -> Iterator[str]:
    before = str(len(record.spec.generations) - 2)
    own = {(*one.at, one.rate): one.threshold for one in record.verification if not one.transferred}
    for one in (one for one in record.verification if one.transferred):
        old = own.get((before, before, one.rate))
        if old is not None and abs(old - one.threshold) > 2e-7:
            yield f"its transferred threshold at {one.rate:g} is not the old system's"


def _shown_items(record: Record, matrix: MatrixResults) -> Iterator[str]:
    """The first relevant item among those that are shown is that of the first rank."""
    new, old = str(len(record.spec.generations) - 1), str(len(record.spec.generations) - 2)
    shown = [(one.id, (old, old), one.old.right) for one in record.examples]
    shown += [(one.id, (new, old), one.cross.right) for one in record.examples]
    shown += [(one.id, (new, new), one.new.right) for one in record.examples]
    for flip in record.worst_flips:
        before = str(int(flip.query_generation) - 1)
        shown += [(flip.id, (before, before), flip.old_right), (flip.id, flip.at, flip.new_right)]
    for sample, at, right in shown:
        if at in matrix and right and not _is_possible(matrix[at], sample, right):
            yield f"the items of query {sample} that are shown do not fit its first rank in M({at[0]},{at[1]})"


def _is_possible(results: Results, sample: int, right: Sequence[bool]) -> bool:
    """Whether the query can have these first items; in a group, whether any of its queries can."""
    if isinstance(results, QueryResults):
        [row] = results.rows(np.array([sample]))
        return _fits(right, int(results.first_rank[row]))
    place = np.flatnonzero(results.ids == sample)
    if not len(place):
        return not any(right)  # nothing is relevant to it
    group = results.groups[place[0]]
    hits = float(results.sums[MetricName.CMC1][group])
    return hits >= 1 if right[0] else hits <= results.sizes[group] - 1


def _fits(right: Sequence[bool], rank: int) -> bool:
    """Ranks are pessimistic: an irrelevant item with the same score may stand behind in the list that is shown."""
    return rank >= list(right).index(True) + 1 if any(right) else rank == 0 or rank > len(right)


def _training(record: Record) -> Iterator[str]:
    epochs = record.spec.recipe.epochs
    for label, terms in record.losses.items():
        if any(len(values) != epochs for values in terms.values()):
            yield f"the losses of generation {label} are not of {epochs} epochs"
    for label, one in record.convergence.items():
        place = int(label.lstrip("*"))
        published = place < len(record.spec.generations) and record.spec.generations[place].head.none
        if not one.accuracy or published:
            continue
        if one.converged not in verdicts(one.accuracy, HALF_DIGIT):
            yield f"whether generation {label} has converged does not follow from its accuracy by epoch"
