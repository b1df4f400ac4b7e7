"""What comes next, as tables: the course of a backfill, and its costs. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.comparison.comparison import (
    FULL_BACKFILL,
    Comparison,
    CurvePoint,
    MixedCurve,
    Outcome,
    fitted_adapters,
)
from compatbench.comparison.costs import Backfill
from compatbench.comparison.verdict import by_gain, gain_of
from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.tables.cells import points
from compatbench.vocabulary import Order

RANK_MERGE = "rank merge"


def backfill_table(comparison: Comparison) -> Table | None:
    """One line for each way to serve and order; None if nothing was followed."""
    curves = comparison.curves
    if not curves:
        return None
    columns = [
        Column("name", "serving", "How old and new vectors are searched, and in which order items come.", Unit.TEXT),
        *(
            Column(_percent(point.share), _percent(point.share), "Share that is re-embedded.", interval=True)
            for point in curves[0].points
        ),
    ]
    return Table(
        name="backfill",
        title="While a backfill runs",
        caption=f"{comparison.metric}, in points, of {curves[0].queries:,} of the queries, by the share of the "
        "searched items that is re-embedded. rank merge: old queries search old vectors, new queries new ones, both "
        "encoders online; at 0% it is the old system. An adapter: new queries, mapped, search old vectors. Either way "
        "both scores are ranked in one list.",
        columns=tuple(columns),
        groups=(Group("Share re-embedded", tuple(_course(curve) for curve in curves)),),
    )


def costs_table(comparison: Comparison) -> Table | None:
    """What each way brings and costs; None if nothing is said of the index."""
    costs = comparison.costs
    if costs is None:
        return None
    columns = [
        Column("name", "way", "What is done.", Unit.TEXT),
        Column("gain", "gain", f"{comparison.metric} minus that of the status quo, in points.", interval=True),
    ]
    if costs.money is not None:
        columns.append(Column("money", "money", "In the currency of the price.", Unit.AMOUNT))
    if costs.hours is not None:
        columns.append(Column("hours", "hours", "At the given items a second.", Unit.AMOUNT))
    columns.append(Column("online", "needs", "Beside the new encoder.", Unit.TEXT))
    adapters = by_gain(fitted_adapters(comparison.outcomes), comparison.metric)
    return Table(
        name="costs",
        title=f"What it costs: {costs.items:,.0f} items",
        caption=_assumptions(costs) + " Gains of a part are those of the curves, on fewer queries.",
        columns=tuple(columns),
        groups=(
            Group("No item is re-embedded", tuple(_system(one, comparison, 0.0) for one in adapters)),
            Group("A part is", tuple(_parts(comparison))),
            Group("All are", (_system(comparison.outcome(FULL_BACKFILL), comparison, 1.0),)),
        ),
    )


def sentences(comparison: Comparison) -> list[str]:
    """What a backfill costs, and what its first quarter brings, in words."""
    said = []
    if (costs := comparison.costs) is not None:
        parts = [f"costs {costs.money:,.0f}"] if costs.money is not None else []
        parts += [f"takes {costs.hours:,.0f} hours"] if costs.hours is not None else []
        said.append(f"Re-embedding {costs.items:,.0f} items {' and '.join(parts)}.")
    quarters = [
        f"{100 * gain:+.1f} with {_serving(curve)}".replace("-", "−", 1)
        for curve in comparison.curves
        if (gain := _gain(comparison, curve, next(one for one in curve.points if one.share == 0.25))) is not None
    ]
    if quarters:
        said.append(f"With a quarter re-embedded, points over the old system: {'; '.join(quarters)}.")
    return said


def _course(curve: MixedCurve) -> Row:
    cells = {_percent(point.share): points(point.value) for point in curve.points}
    return Row({"name": TableCell(_serving(curve))} | cells)


def _serving(curve: MixedCurve) -> str:
    return curve.serving if curve.order is Order.RANDOM else f"{curve.serving}, its own order"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _gain(comparison: Comparison, curve: MixedCurve, point: CurvePoint) -> float | None:
    """Over the status quo on the same queries: rank merge before anything is re-embedded."""
    before = next((one for one in comparison.curves if one.serving == RANK_MERGE), None)
    if before is None or before.points[0].value.value is None or point.value.value is None:
        return None
    return point.value.value - before.points[0].value.value


def _system(outcome: Outcome, comparison: Comparison, share: float) -> Row:
    cells = {"gain": points(outcome.metric(gain_of(comparison.metric))), "online": TableCell(outcome.serving_needs)}
    return Row({"name": TableCell(outcome.name)} | cells | _price(comparison, share))


def _parts(comparison: Comparison) -> Sequence[Row]:
    rows = []
    for curve in comparison.curves:
        for point in curve.points:
            if point.share in (0.1, 0.25, 0.5):
                gain = _gain(comparison, curve, point)
                merged = curve.serving == RANK_MERGE
                needs = "old encoder" if merged else comparison.outcome(curve.serving).serving_needs
                cells = {
                    "name": TableCell(f"{_percent(point.share)}, {_serving(curve)}"),
                    "gain": TableCell(None if gain is None else 100 * gain),
                    "online": TableCell(needs),
                }
                rows.append(Row(cells | _price(comparison, point.share)))
    return rows


def _price(comparison: Comparison, share: float) -> dict[str, TableCell]:
    costs = comparison.costs
    assert costs is not None
    amounts = {"money": costs.money, "hours": costs.hours}
    return {name: TableCell(share * amount) for name, amount in amounts.items() if amount is not None}


def _assumptions(costs: Backfill) -> str:
    said = []
    if costs.tokens_per_item is not None:
        said.append(f"{costs.tokens_per_item:g} tokens an item at {costs.price_per_million:g} a million")
    if costs.items_per_second is not None:
        said.append(f"{costs.items_per_second:g} items a second")
    return f"For {' and '.join(said)}."
