"""The table of thresholds, by hand: every query has 10 genuine and 1,000 impostor pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compatbench.evaluation.acceptance import Acceptance
from compatbench.records.parts import VerifiedPairs
from compatbench.records.record import Record
from compatbench.report.site.page_data.packing import unpacked
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.site.write import write_report

QUERIES = 40
SCORES = {pair: [0.5] * QUERIES for pair in ("oo", "no", "nn", "ss")}


def record(
    bench: Any, label: str, seed: int, accepted: dict[tuple[str, str, bool], tuple[int, int]], rate: float = 1e-3
) -> Record:
    """Each query of a system accepts so many genuine and impostor pairs."""
    made = bench.record(label, seed, SCORES)
    for (query, gallery, transferred), counts in accepted.items():
        columns = [np.full(QUERIES, number) for number in (10, 1000, *counts)]
        sha256 = Acceptance(np.arange(QUERIES), *columns).write(bench.folder)
        made.verification.append(
            VerifiedPairs(
                query_generation=query,
                gallery_generation=gallery,
                rate=rate,
                transferred=transferred,
                threshold=0.5,
                queries=QUERIES,
                array=sha256,
            )
        )
    return made


SYSTEMS = {
    ("0", "0", False): (6, 1),
    ("1", "0", False): (7, 1),
    ("1", "0", True): (9, 20),
    ("1", "1", False): (8, 1),
    ("1", "1", True): (10, 30),
    ("*1", "*1", False): (9, 1),
}


def test_rates_by_hand(bench: Any) -> None:
    table = scenario_reports([record(bench, "m", 0, SYSTEMS)], bench.folder)[0].tables["thresholds"]
    assert table is not None
    cells = table.groups[0].rows[0].cells
    expected = {
        "tar_oo": 60, "tar_no": 70, "tar_no_moved": 90, "far_no_moved": 2,
        "tar_nn": 80, "far_nn_moved": 3, "tar_reference": 90,
    }  # fmt: skip
    assert {key: cells[key].value for key in expected} == pytest.approx(expected)
    assert (cells["far_no_moved"].low, cells["far_no_moved"].high) == pytest.approx((2, 2)), "all queries are alike"
    assert "of 0.1%: each" in table.caption
    assert set(cells) == {column.key for column in table.columns}


def test_seeds_are_pooled(bench: Any) -> None:
    """0 and 1% by two seeds: ± 12.706 · 0.707 / √2 by t with one degree of freedom, and a share is not below 0."""
    records = [record(bench, "m", seed, SYSTEMS | {("1", "0", True): (9, 10 * seed)}) for seed in (0, 1)]
    table = scenario_reports(records, bench.folder)[0].tables["thresholds"]
    assert table is not None
    cell = table.groups[0].rows[0].cells["far_no_moved"]
    assert (cell.value, cell.low, cell.high) == pytest.approx((0.5, 0, 0.5 + 12.7062 / 2))


def test_a_rate_that_all_records_hold_is_shown(bench: Any) -> None:
    both = record(bench, "a", 0, SYSTEMS)
    both.verification.extend(record(bench, "a", 0, SYSTEMS, rate=1e-2).verification)
    table = scenario_reports([both, record(bench, "b", 0, SYSTEMS, rate=1e-2)], bench.folder)[0].tables["thresholds"]
    assert table is not None
    assert "of 1%: each" in table.caption


def test_rows_without_verified_pairs_are_left_out(bench: Any) -> None:
    without = bench.record("old", 0, SCORES)
    assert scenario_reports([without], bench.folder)[0].tables.get("thresholds") is None
    report = scenario_reports([without, record(bench, "m", 0, SYSTEMS)], bench.folder)[0]
    assert [row.cells["method"].value for group in report.tables["thresholds"].groups for row in group.rows] == ["m"]


def test_it_is_on_the_page_in_the_readme_and_a_file_of_its_own(bench: Any, tmp_path: Path) -> None:
    reports = scenario_reports([record(bench, "m", 0, SYSTEMS)], bench.folder)
    write_report(reports, tmp_path, "title")
    for name in ("index.html", "README.md", "tables/extended_data-thresholds.md"):
        assert "FAR n,o old t" in unpacked((tmp_path / name).read_text()), name
