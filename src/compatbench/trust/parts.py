"""Consistency of one record's parts: curves, thresholds, shown items and courses of training fit its entries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench import PROTOCOL_VERSION
from compatbench.evaluation.arrays import STEP
from compatbench.evaluation.convergence import verdicts
from compatbench.evaluation.curves import BackfillMeans, CurvePoints
from compatbench.measurement.upgrade import MatrixResults
from compatbench.records.compact import CURVE_DECIMALS
from compatbench.records.record import Record
from compatbench.storage.coded_columns import WIDEST
from compatbench.vocabulary import Order

HALF_DIGIT = 5e-4
"""Of an accuracy by epoch, as records round it."""
APART = 5.0
"""Standard errors between means of followed and of other queries; those of the first 1,227 records are 3.2 at most."""
ROUNDED = 1e-4
"""Of a mean of coded values: all gaps may be 0, as those of a method that changes nothing are."""
FEWEST = 100
"""Queries of each kind without which they are not compared."""


def unfit_parts(record: Record, matrix: MatrixResults, arrays: Path, *, coarse: bool = False) -> Iterator[str]:
    """The parts of `record` that contradict its `matrix` by cosine, or are missing, each in one line.

    `coarse` for the values of a leaderboard, which are off by less than a level each; their mean over some queries by
    four standard errors of the rounding at most.

    Raises RequestError for unreadable arrays.
    """
    if record.protocol_version == PROTOCOL_VERSION:
        yield from _missing_parts(record, matrix)
    yield from _other_relevance(matrix)
    yield from _curve_ends(record, matrix, arrays, coarse)
    yield from _areas(record, matrix, arrays, sum(WIDEST.values()) if coarse else 2.01 * STEP)
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
        if (matrix[old, old].hits(1) & ~matrix[at].hits(1)).any():
            yield f"it shows none of the queries that M({at[0]},{at[1]}) gets wrong and the old system does not"


def _other_relevance(matrix: MatrixResults) -> Iterator[str]:
    """How many items are relevant to a query is the same for every model."""
    first = next(iter(matrix.values()), None)
    for at, results in matrix.items():
        if first is not None and not np.array_equal(results.relevant, first.relevant):
            yield f"M({at[0]},{at[1]}): other numbers of items are relevant than in its first entry"


def _curve_ends(record: Record, matrix: MatrixResults, arrays: Path, coarse: bool) -> Iterator[str]:
    """M(0) is M(n,o) and M(1) is M(n,n), over the queries that were followed."""
    for curve in record.backfill:
        new, old = curve.at
        ids = CurvePoints.read(arrays, curve.array).ids
        rounding = 4 * WIDEST["share"] / np.sqrt(12 * len(ids)) if coarse else 0.51 * STEP
        for value, at in ((curve.mean[0], (new, old)), (curve.mean[-1], (new, new))):
            if at in matrix:
                expected = float(matrix[at].per_query(curve.metric)[matrix[at].rows(ids)].mean())
                if abs(value - expected) > rounding + 0.51 * 10**-CURVE_DECIMALS:
                    yield f"backfill {curve.order}: it ends at {value:.4f}, and M({at[0]},{at[1]}) is {expected:.4f}"


def _areas(record: Record, matrix: MatrixResults, arrays: Path, allowed: float) -> Iterator[str]:
    """Between two generations a whole backfill is that of the curve in random order."""
    curves = [one for one in record.backfill if one.order is Order.RANDOM]
    for whole in record.backfilled:
        for curve in (one for one in curves if one.at == whole.at):
            points, means = CurvePoints.read(arrays, curve.array), BackfillMeans.read(arrays, whole.array)
            place = {sample: row for row, sample in enumerate(means.ids.tolist())}
            rows = [place.get(sample, -1) for sample in points.ids.tolist()]
            if min(rows, default=0) < 0:
                yield "some queries of its backfill in random order were not followed through a whole one"
            elif (np.abs(means.values[curve.metric][rows] - points.area) > allowed).any():
                yield "its means over a backfill are not the areas of the queries' curves in random order"
            else:
                yield from _unlike_the_followed(matrix, whole.at, points.ids, means)


def _unlike_the_followed(
    matrix: MatrixResults, at: tuple[str, str], followed: NDArray[np.int64], means: BackfillMeans
) -> Iterator[str]:
    """Which queries a curve follows was drawn by chance, so the others do neither better nor worse."""
    new, old = at
    if (old, old) not in matrix or at not in matrix:
        return  # which is told elsewhere
    there = np.isin(means.ids, followed)
    for metric, whole in means.values.items():
        cross, after, before = (
            matrix[entry].per_query(metric)[matrix[entry].rows(means.ids)] for entry in (at, (new, new), (old, old))
        )
        gaps = {
            "their means over a backfill": whole - (cross + after) / 2,
            f"M({new},{old}) − M({old},{old})": cross - before,
            f"M({new},{new}) − M({old},{old})": after - before,
        }
        for name, gap in gaps.items():
            parts = [gap[kind & ~np.isnan(gap)] for kind in (there, ~there)]
            if min(map(len, parts)) < FEWEST:
                continue
            error = math.sqrt(sum(float(part.var()) / len(part) for part in parts))
            distance = abs(float(parts[0].mean() - parts[1].mean()))
            if distance > APART * error + ROUNDED:
                yield f"{metric}: queries that its backfill did not follow differ from the followed in {name}"


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
        if at not in matrix or not right:
            continue
        [row] = matrix[at].rows(np.array([sample]))
        if not _fits(right, int(matrix[at].first_rank[row])):
            yield f"the items of query {sample} that are shown do not fit its first rank in M({at[0]},{at[1]})"


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
