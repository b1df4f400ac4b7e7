"""The suite behind the golden files, and the command that writes them: `python tests/report/golden_case.py`.

Every query of a seed has the same average precision, a multiple of 1/8. So means are exact, and all that varies is the
seed: intervals are those of Student's t. That makes all numbers of the tables checkable by hand;
tests/report/tables/test_leaderboard.py does so.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from synthetic import Bench, at_chance, cross_metric

from compatbench.records.record import Record
from compatbench.report.render.table import Place
from compatbench.report.render.to_csv import to_csv
from compatbench.report.render.to_html import to_html
from compatbench.report.render.to_latex import to_latex
from compatbench.report.render.to_markdown import to_markdown
from compatbench.report.site.scenario_report import ScenarioReport, scenario_reports
from compatbench.suite.times import Times
from compatbench.vocabulary import Status

GOLDEN = Path(__file__).parent / "golden"
QUERIES = 20
EVIL = "=1+1|<b>&_50%_`x`"
TIMED = Times(
    device="a processor",
    steps=48,
    rows={"varied": (1.25, 1.0, 0.8), "good": (2.0,) * 3}
    | dict.fromkeys(("independent", "relational", "weak", "own", "short"), (1.0,) * 3),
)


def golden_records(bench: Bench) -> list[Record]:
    """Three seeds of every row: M(o,o) = 25, M(*,*) = 75, so Γ = (M(n,o) − 25) / 50."""
    records = []
    for seed in range(3):

        def row(label, cross, new, seed=seed, old=0.25, rate=1000.0, oracle=None, **options):
            entries = {"oo": old, "no": cross, "nn": new, "ss": 0.75}
            entries |= {} if oracle is None else {"oracle": oracle}
            precisions = {pair: [value] * QUERIES for pair, value in entries.items()}
            return bench.record(
                label, seed, precisions, costs={"train_images_per_second": rate, "bytes_per_vector": 32}, **options
            )

        chance = {"expects": ["cross at chance"], "extra": at_chance(0.125)}
        good = [cross_metric("mAP", 0.375, distance="l2")]
        good += [cross_metric("mAP", 0.75, subset="seen"), cross_metric("mAP", 0.25, subset="unseen")]
        records += [
            row("independent", 0.125, 0.75, role="reference", **chance),
            row("relational", 0.125, 0.625, role="control", needs=["old encoder"], **chance),
            row("good", 0.5, 0.625, rate=500.0, needs=["old encoder", "old features"], extra=good, oracle=0.875),
            row(
                "varied",
                (0.25, 0.375, 0.5)[seed],
                0.625,
                rate=(800.0, 1000.0, 1250.0)[seed],
                oracle=None if seed else 1.0,
            ),
            row("weak", 0.125, 0.75),
            row("own", 0.5, 0.5, old=0.375, needs=["own first generation"]),
            row("short", 0.375, 0.5) if seed < 2 else bench.record("short", seed, status=Status.OOM),
            bench.record("narrow", seed, status=Status.SKIPPED, reason="needs 9 dimensions, not 8"),
            bench.record(EVIL, seed, status=Status.FAILED, reason="ValueError: <i>no</i>"),
        ]
    return records


def golden_report() -> ScenarioReport:
    """The one scenario of the golden suite."""
    with tempfile.TemporaryDirectory() as folder:
        return scenario_reports(golden_records(Bench(Path(folder))), Path(folder), timed=TIMED)[0]


def golden_files(report: ScenarioReport) -> dict[str, str]:
    """Content by file name."""
    return {
        "scores.md": to_markdown(report.scores),
        "scores.csv": to_csv(report.scores),
        "scores.html": str(to_html(report.scores)),
        "scores.tex": to_latex(report.scores.narrow(Place.COMPACT)),
        "costs.md": to_markdown(report.tables["costs"]),
    }


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, content in golden_files(golden_report()).items():
        (GOLDEN / name).write_text(content, encoding="utf-8")
        print(f"wrote {GOLDEN / name}")
