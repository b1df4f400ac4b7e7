"""A small leaderboard with one of everything that its page shows; every number is known beforehand."""

from __future__ import annotations

import io
from collections.abc import Mapping

from boards import row
from PIL import Image
from synthetic import Bench, add_curves, at_chance

from compatbench.records.parts import ExampleRetrieval, FirstFound
from compatbench.records.record import Record
from compatbench.report.rows.gaps import SuitePlan
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.page_data.pictures import Thumbnail
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status

EVIL = "<script>alert(1)</script>"
CURVES = ([0.25, 0.25, 0.75], [0.5, 0.75, 0.75])
QUERY, ITEMS = 7, (11, 12, 13, 14, 15)
METHODS = {
    "strong": (0.625, ["old encoder"]),
    "own": (0.5, ["own first generation"]),
    EVIL: (0.4375, []),
    "twice": (0.375, ["both encoders online", "old features"]),
    "rewriter": (0.3125, ["gallery rewrite"]),
    "weak": (0.125, ["old classifier"]),
}
"""M(n,o) and needs; M(o,o) = 25 and M(*,*) = 75, so Γ = 2·M(n,o) − 0.5; M(n,n) = 62.5, so Φ = 0.75, and of weak 1."""


def page_records(bench: Bench) -> list[Record]:
    """Two scenarios: in the second one a control misbehaves, and one method is missing."""
    records = []
    for scenario, leak in (("extended_data", 0.125), ("backbone", 0.5)):
        controls = {"expects": ["cross at chance"], "scenario": scenario}
        records += row(bench, "independent", 0.125, new=0.75, role="reference", extra=at_chance(0.125), **controls)
        extra = at_chance(leak)
        records += row(bench, "relational", leak, role="control", needs=["old encoder"], extra=extra, **controls)
        for label, (cross, needs) in METHODS.items():
            if (label, scenario) == ("weak", "backbone"):
                continue
            several = row(bench, label, cross, scenario, needs=needs, new=0.75 if label == "weak" else 0.625)
            if label == "strong":
                several = [_in_full(bench, record) for record in several]
            records += several
        reason = "needs 9 dimensions, not 8"
        records += [
            bench.record("narrow", seed, scenario=scenario, status=Status.SKIPPED, reason=reason) for seed in range(3)
        ]
    records += [bench.record("broken", seed, status=Status.FAILED, reason=f"ValueError: {EVIL}") for seed in range(3)]
    return [_with_backbones(record) for record in records]


def page_board(bench: Bench) -> Board:
    """The records of `page_records`, and the same as a suite of another dataset."""
    records = page_records(bench)
    other = [
        record.model_copy(update={"spec": record.spec.model_copy(update={"suite": "other", "dataset": "zoo"})})
        for record in records
    ]
    plan = SuitePlan(
        ("extended_data", "backbone"),
        tuple(METHODS),
        (0, 1, 2),
    )
    return Board(
        (
            BoardSuite("other", None, tuple(scenario_reports(other, bench.folder)), "The zoo"),
            BoardSuite("synthetic", plan, tuple(scenario_reports(records, bench.folder)), "Plain numbers"),
        )
    )


def pictures() -> Mapping[str, Mapping[int, Thumbnail]]:
    """Of all samples that the examples name but one."""
    return {"toy": {one: Thumbnail(one, f"class {one}", picture(one)) for one in (QUERY, *ITEMS[:-1])}}


def picture(shade: int, side: int = 8, kind: str = "webp") -> bytes:
    file = io.BytesIO()
    Image.new("L", (side, side), shade * 10).save(file, kind)
    return file.getvalue()


def _in_full(bench: Bench, record: Record) -> Record:
    for order in ("random", "class-wise"):
        add_curves(bench, record, order, CURVES, spread=0.05)
    found = FirstFound(ids=list(ITEMS), right=[True, False, True, True, False])
    example = ExampleRetrieval(
        query_generation="1", gallery_generation="0", id=QUERY, old=found, cross=found, new=found
    )
    losses = {"0": {"classification": [3.0]}, "1": {"classification": [2.0, 1.0], "influence": [1.5, float("nan")]}}
    summary = "A strong method (Nobody et al., 2020, arXiv 2003.11942)."
    method = record.spec.method.model_copy(update={"summary": summary, "params": {"weight": 1.0, "variant": "a<b>"}})
    spec = record.spec.model_copy(update={"method": method})
    return record.model_copy(update={"spec": spec, "examples": [example], "losses": losses})


def _with_backbones(record: Record) -> Record:
    if record.spec.scenario != "extended_data":
        return record
    generations = (GenerationSpec(backbone="small", dim=8),) * 2
    return record.model_copy(update={"spec": record.spec.model_copy(update={"generations": generations})})
