"""The three numbers on top of the page of a comparison. Knows nothing of torch."""

from __future__ import annotations

from dataclasses import dataclass

from compatbench.comparison.comparison import FULL_BACKFILL, Comparison, Outcome, fitted_adapters
from compatbench.comparison.verdict import beats_the_old_model, best_adapter, by_gain, gain_of
from compatbench.evaluation.estimate import Estimate
from compatbench.report.render.table import Unit, number
from compatbench.vocabulary import MetricName


@dataclass(frozen=True)
class KeyFigure:
    """One number, and what it is."""

    value: str
    beside: str
    """Its interval, or its unit."""
    label: str


def headline(comparison: Comparison) -> list[KeyFigure]:
    """What can be had today, what a full backfill would bring, and what one or the other costs."""
    gain = gain_of(comparison.metric)
    backfill = comparison.outcome(FULL_BACKFILL).metric(gain)
    chosen = _chosen(comparison)
    figures = []
    if chosen is not None:
        how = "stored vectors are mapped once" if chosen.rewrites_index else "stored vectors stay"
        both = ", old encoder online too" if chosen.needs_both_encoders else ""
        figures.append(
            KeyFigure(
                _points(chosen.metric(gain)),
                _interval(chosen.metric(gain)),
                f"points of {comparison.metric} with {chosen.name}, nothing re-embedded ({how}{both})",
            )
        )
    figures.append(
        KeyFigure(_points(backfill), _interval(backfill), f"points of {comparison.metric} with everything re-embedded")
    )
    figures.append(_price(comparison, chosen))
    return figures


def _chosen(comparison: Comparison) -> Outcome | None:
    """The best of the adapters that beat the old model, else the best one that serves with one encoder."""
    metric = comparison.metric
    better = [one for one in fitted_adapters(comparison.outcomes) if beats_the_old_model(one, metric)]
    return by_gain(better, metric)[0] if better else best_adapter(comparison.outcomes, metric)


def _price(comparison: Comparison, chosen: Outcome | None) -> KeyFigure:
    costs = comparison.costs
    if costs is not None and costs.money is not None:
        hours = "" if costs.hours is None else f"and {costs.hours:,.0f} hours"
        return KeyFigure(f"{costs.money:,.0f}", hours, f"for re-embedding {costs.items:,.0f} items")
    if costs is not None and costs.hours is not None:
        return KeyFigure(f"{costs.hours:,.0f} h", "", f"for re-embedding {costs.items:,.0f} items")
    outcome = chosen or comparison.outcome(FULL_BACKFILL)
    broken = outcome.metric(MetricName.RELATIVE_NFR.at(1))
    value = "–" if broken.value is None else f"{number(100 * broken.value, Unit.POINTS)}%"
    return KeyFigure(value, "", f"of the queries whose first hit is right today lose it with {outcome.name}")


def _points(gain: Estimate) -> str:
    if gain.value is None:
        return "–"
    sign = "+" if gain.value > 0 else ""
    return f"{sign}{number(100 * gain.value, Unit.POINTS)}"


def _interval(gain: Estimate) -> str:
    return f"± {number(100 * gain.margin, Unit.POINTS)}"
