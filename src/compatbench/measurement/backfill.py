"""The course of a backfill: retrieval while stored vectors are re-embedded, in several orders."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.backfill import Permutation, backfill, class_wise_order, highest_first
from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.curves import BackfillMeans, CurvePoints, backfill_numbers, mean_curves
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Means, mean_estimate
from compatbench.machine.seeds import stream_seed
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import ServedChain
from compatbench.measurement.upgrade import MatrixResults
from compatbench.records.array_names import BACKFILLED, curve_array
from compatbench.records.compact import CURVE_DECIMALS, VALUE_DECIMALS
from compatbench.records.parts import BackfillCurve, BackfilledQueries, Metric
from compatbench.vocabulary import DERIVED_FROM, MetricName, Order

BACKFILL_QUERIES = 200, 1000
"""Queries that are followed through a backfill: half of all, within these bounds, in proportion to their labels.

The gallery is whole. A curve takes 21 times the room of an entry of the matrix.
"""
SHARE_QUERIES = 5000
"""Queries whose mean over a random backfill is kept, for the number that ranks: all, up to so many."""
RANDOM_ORDERS = 3
"""Seeded orders of each kind that is left to chance."""


def backfill_curves(chain: ServedChain, unchanged: QueryResults) -> list[BackfillCurve]:
    """Curves from the second newest generation, with its own results `unchanged`, to the newest, in every order."""
    new, old = chain.upgrade
    chain.progress("backfill", 0.0)
    queries = int(np.clip(len(chain.dataset.query) // 2, *BACKFILL_QUERIES))
    before, after = (chain.sampled(chain.pair(new, gallery), queries) for gallery in (old, new))
    found = []
    for order, backfills in backfill(before, after, refresh_orders(chain)).items():
        curves = mean_curves(backfills)
        if not curves.answerable.any():
            continue
        name = MetricName.MAP
        status_quo = unchanged.per_query(name)[unchanged.rows(curves.ids[curves.answerable])]
        numbers = backfill_numbers(curves.betas, curves.curve(name), float(status_quo.mean()))
        each = np.stack([one.curve(name) for one in backfills])
        found.append(
            BackfillCurve(
                order=order,
                metric=name,
                query_generation=str(new),
                gallery_generation=str(old),
                repeats=len(backfills),
                n=len(status_quo),
                status_quo=float(status_quo.mean()),
                beta=list(curves.betas),
                mean=curves.curve(name).tolist(),
                low=each.min(axis=0).tolist(),
                high=each.max(axis=0).tolist(),
                minimum_beta=numbers.minimum_beta,
                array=CurvePoints.of(curves).put(chain.arrays, curve_array(order)),
            )
        )
    return found


def backfilled_queries(chain: ServedChain) -> list[BackfilledQueries]:
    """Every query's mean over the random backfills of the first generation's gallery to the newest; empty if none."""
    new = chain.upgrade[0]
    chain.progress("backfill share", 0.0)
    before, after = (chain.sampled(chain.pair(new, gallery), SHARE_QUERIES) for gallery in (0, new))
    orders = refresh_orders(chain)[Order.RANDOM]
    means = BackfillMeans.of(backfill(before, after, {Order.RANDOM: orders})[Order.RANDOM])
    if not means.answerable.any():
        return []
    name = means.put(chain.arrays, BACKFILLED)
    return [BackfilledQueries(query_generation=str(new), gallery_generation="0", repeats=len(orders), array=name)]


def refresh_orders(chain: ServedChain) -> dict[Order, list[Permutation]]:
    """Orders for re-embedding the stored vectors of the second newest generation.

    `random` and `class-wise` are seeded, the same for all methods of a cell; `uncertainty` is left out if the old
    model was trained without a classifier, `own` if the method has none.
    """
    old, new = chain.generations[-2:]
    labels = chain.dataset.gallery.labels.numpy()

    def seeded(kind: Order) -> list[np.random.Generator]:
        return [np.random.default_rng(stream_seed(chain.seed, "backfill", kind, n)) for n in range(RANDOM_ORDERS)]

    orders = {
        Order.RANDOM: [generator.permutation(len(labels)) for generator in seeded(Order.RANDOM)],
        Order.CLASS_WISE: [class_wise_order(labels, generator) for generator in seeded(Order.CLASS_WISE)],
    }
    if old.uncertainty is not None:
        orders[Order.UNCERTAINTY] = [highest_first(old.uncertainty.numpy())]
    if new.order is not None:
        orders[Order.OWN] = [highest_first(new.order(old.gallery).numpy())]
    return orders


def share_metrics(entry: BackfilledQueries, means: BackfillMeans, results: MatrixResults) -> Iterator[Metric]:
    """The shares A and Φ, if there is a reference; all of their terms are over the queries that were followed."""
    new, old = entry.at
    ends = ((new, new), (old, old), (f"*{new}", f"*{new}"))
    for name in DERIVED_FROM if results.keys() >= {*ends} else ():
        columns = {at: means.of_entry(results[at], name) for at in ends}
        columns[entry.at] = means.values[name][means.answerable].astype(np.float64)
        found = Means(columns)
        for share, at in ((MetricName.BACKFILL_SHARE, entry.at), (MetricName.FINAL_SHARE, (new, new))):
            yield metric(share.of(name), entry.at, found.estimate(gain_share, ends[1], at, ends[2]), means.count)


def curve_metrics(curve: BackfillCurve, points: CurvePoints) -> Iterator[Metric]:
    """Area, minimum and crossing of a curve; the minimum's interval is that of M(β) at its β."""
    found = {
        MetricName.BACKFILL_AREA: mean_estimate(points.area.astype(np.float64)),
        MetricName.BACKFILL_MIN: mean_estimate(points.minimum.astype(np.float64)),
        MetricName.BACKFILL_CROSSING: Estimate(_crossing(curve)),
    }
    for name, number in found.items():
        yield metric(name.of(curve.metric, curve.order), curve.at, number, curve.n)


def _crossing(curve: BackfillCurve) -> float | None:
    """The crossing of the curve as the record's file has it: more digits may lie on the other side of M(o,o)."""
    written = np.round(curve.mean, CURVE_DECIMALS)
    return backfill_numbers(curve.beta, written, round(curve.status_quo, VALUE_DECIMALS)).crossing
