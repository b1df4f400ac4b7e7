"""What the tables of a comparison say of their rows."""

from __future__ import annotations

import pytest
from upgrades import references, row

from compatbench.comparison.comparison import Comparison, Inputs, Outcome, Parts
from compatbench.comparison.effort import Effort
from compatbench.comparison.tables import scores_table, thresholds_table
from compatbench.records.parts import Environment


def comparison(*rows: Outcome, rates: tuple[float, ...] = ()) -> Comparison:
    return Comparison(
        inputs=Inputs(old="a.npy", new="b.npy", judged_by="labels", items=30, old_dim=4, new_dim=5, classes=3),
        parts=Parts(
            fitting_pairs=1000,
            searched_items=20,
            queries=10,
            candidate_queries=18,
            unanswerable_queries=1,
            fitting_queries=2,
        ),
        seed=0,
        effort=Effort.QUICK,
        rates=list(rates),
        outcomes=[*references(0.05), *rows],
        verdict=[],
        command="",
        environment=Environment(python="3.11", packages={}, cpu="one", cpu_threads=1),
        started="2026-01-02T03:04:05+00:00",
        timings={},
    )


def test_adapters_stand_by_their_gain_and_skipped_ones_last_with_the_reason() -> None:
    skipped = Outcome(name="fct", role="adapter", skipped="no time")
    table = scores_table(comparison(skipped, row("mlp", -0.02), row("slerp", 0.005, 0.01), row("ridge", 0.03)))
    cells = [one.cells for one in table.groups[1].rows]
    assert [one["name"].value for one in cells] == ["ridge", "slerp", "mlp", "fct"]
    assert [one["verdict"].value for one in cells] == ["compatible", "undecided", "not compatible", "skipped: no time"]
    assert (cells[0]["gain"].value, cells[0]["gain"].low, cells[0]["gain"].high) == pytest.approx((3, 2, 4))


def test_quick_schedules_are_marked_and_explained() -> None:
    changed, published = row("mlp", 0.01, changes="epochs 6 (50)"), row("ridge", 0.02)
    table = scores_table(comparison(changed, published))
    marks = {one.cells["name"].value: one.cells["fit"].marks for one in table.groups[1].rows}
    assert marks == {"ridge": (), "mlp": ("†",)}
    assert "--effort full" in table.footnotes["†"]
    assert "mlp: epochs 6 (50)" in table.footnotes["†"]
    assert scores_table(comparison(published)).footnotes == {}


def test_what_serving_needs_is_named() -> None:
    rows = [
        row("a", 0.3, needs=["both encoders online"]),
        row("b", 0.2, needs=["gallery rewrite", "labels"]),
        row("c", 0.1),
    ]
    table = scores_table(comparison(*rows))
    assert [one.cells["online"].value for one in table.groups[1].rows] == [
        "old encoder",
        "index rewritten once",
        "nothing",
    ]


def test_the_caption_says_who_was_left_out() -> None:
    caption = scores_table(comparison()).caption
    assert "10 of 18 queries, drawn at random, search 20 items" in caption
    assert "1 query left out: no relevant item is searched. 2 queries left out: among the fitting items." in caption


def test_without_enough_pairs_there_is_no_table_of_thresholds() -> None:
    assert thresholds_table(comparison(row("a", 0.1))) is None
    table = thresholds_table(comparison(row("a", 0.1), rates=(0.01,)))
    assert table is not None
    assert [one.cells["name"].value for group in table.groups for one in group.rows][-1] == "a"
    assert {column.key for column in table.columns[1:]} == {
        "TAR@FAR=0.01", "transfer_TAR@FAR=0.01", "transfer_FAR@FAR=0.01",
    }  # fmt: skip
