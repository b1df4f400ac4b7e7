"""The three numbers on top of a comparison's page."""

from __future__ import annotations

from upgrades import interval, references, row

from compatbench.comparison.comparison import Comparison, Inputs, Outcome, Parts
from compatbench.comparison.costs import backfill_costs
from compatbench.comparison.effort import Effort
from compatbench.comparison.headline import headline
from compatbench.records.parts import Environment


def comparison(*rows: Outcome, items: str | None = None) -> Comparison:
    return Comparison(
        inputs=Inputs(old="a.npy", new="b.npy", judged_by="labels", items=30, old_dim=4, new_dim=5, classes=3),
        parts=Parts(
            fitting_pairs=10,
            searched_items=20,
            queries=10,
            candidate_queries=18,
            unanswerable_queries=0,
            fitting_queries=2,
        ),
        seed=0,
        effort=Effort.QUICK,
        rates=[],
        outcomes=[*references(0.05), *rows],
        verdict=[],
        costs=backfill_costs(items, *((300, 0.02, 500) if items else (None, None, None))),
        command="",
        environment=Environment(python="3.11", packages={}, cpu="one", cpu_threads=1),
        started="2026-01-02T03:04:05+00:00",
        timings={},
    )


def test_the_best_adapter_the_backfill_and_what_it_breaks() -> None:
    best = row("fct", 0.034, needs=["gallery rewrite"])
    best.metrics["relative_NFR@1"] = interval(0.071, 0.01)
    today, backfill, breaks = headline(comparison(row("ridge", 0.02), best))
    assert (today.value, today.beside) == ("+3.4", "± 1.0")
    assert today.label == "points of mAP with fct, nothing re-embedded (stored vectors are mapped once)"
    assert (backfill.value, backfill.beside) == ("+5.0", "± 1.0")
    assert (breaks.value, breaks.label.endswith("with fct")) == ("7.1%", True)


def test_the_price_takes_the_third_place() -> None:
    figures = headline(comparison(row("ridge", -0.02), row("slerp", -0.01, needs=["both encoders online"]), items="2M"))
    assert [one.value for one in figures] == ["−2.0", "+5.0", "12"]  # 2M · 300 tokens · 0.02 a million
    assert (figures[2].beside, figures[2].label) == ("and 1 hours", "for re-embedding 2,000,000 items")


def test_without_an_adapter_there_are_two() -> None:
    assert [one.value for one in headline(comparison(Outcome(name="a", role="adapter", skipped="x")))] == ["+5.0", "–"]
