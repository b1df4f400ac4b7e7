"""The tables and the heat map of a chain, from matrices that are known beforehand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from synthetic import results

from compatbench.records.parts import ArrayRef
from compatbench.report.site.page_data.packing import unpacked
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.site.write import write_report
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status

QUERIES = 40
MATRIX = [[0.5], [0.5, 0.6], [0.4, 0.7, 0.8], [0.6, 0.5, 0.8, 0.9]]
"""Pairs: (2,1) tied, (3,1) below, (4,1) above; (3,2) above, (4,2) below; (4,3) tied."""
NUMBERS = {
    "AC": 4 / 6,
    "AC_strict": 2 / 6,
    "AC_significant": 4 / 6,
    "AM": 100 * (0.5 + 1.1 + 1.9 + 2.8) / 10,
    "BC": 100 * (0.1 - 0.1 + 0.0) / 3,
    "FC": 100 * (-0.1 - 0.1 - 0.1) / 3,
}


def chain_record(bench, label, matrix=MATRIX, seed=0, seconds=(4.0, 1.0, 2.0, 3.0), **fields):
    """A record of four generations whose queries all score what the matrix says."""
    record = bench.record(label, seed, scenario="sequence", **fields)
    record.spec.generations = (GenerationSpec(backbone="small", dim=8),) * len(matrix)
    entries = {(str(q), str(g)): value for q, row in enumerate(matrix) for g, value in enumerate(row)}
    entries |= {(f"*{step}", f"*{step}"): 0.9 for step in range(1, len(matrix))}
    for (query, gallery), value in entries.items():
        sha256 = results([value] * QUERIES).write(bench.folder)
        record.arrays.append(ArrayRef(query_generation=query, gallery_generation=gallery, array=sha256))
    costs = {str(step): {"train_seconds": one} for step, one in enumerate(seconds)}
    return record.model_copy(update={"step_costs": costs})


def by_label(table):
    return {row.cells["method"].value: row.cells for group in table.groups for row in group.rows}


def test_numbers_by_hand(bench):
    report = scenario_reports([chain_record(bench, "m")], bench.folder)[0]
    cells = by_label(report.tables["chain"])["m"]
    for name, value in NUMBERS.items():
        assert cells[name].value == pytest.approx(value, abs=1e-5), name
        if name != "AC_significant":  # all queries score alike, so the intervals have no width
            assert (cells[name].low, cells[name].high) == pytest.approx((value, value), abs=1e-5), name
    assert cells["AC_significant"].low is None


def test_the_matrix_has_a_line_a_generation_and_marks_what_is_below_the_gallerys_own(bench):
    report = scenario_reports([chain_record(bench, "m")], bench.folder)[0]
    lines = [row.cells for row in report.tables["matrix"].groups[0].rows]
    shown = [[line[f"gallery {g}"].value for g in range(1, 5) if f"gallery {g}" in line] for line in lines]
    assert shown == [pytest.approx([100 * value for value in row], abs=1e-5) for row in MATRIX]
    marked = {
        (line["queries"].value, gallery)
        for line in lines
        for gallery in range(1, 5)
        if f"gallery {gallery}" in line and line[f"gallery {gallery}"].marks
    }
    assert marked == {(3, 1), (4, 2)}
    assert set(report.tables["matrix"].footnotes) == {"↓"}


def test_noise_is_no_violation(bench):
    """A pair that is lower on average and whose interval holds 0: below by AC, not by the significant rule."""
    record = chain_record(bench, "m", [[0.5], [0.5, 0.5], [0.5, 0.5, 0.5]], seconds=(1.0, 1.0, 1.0))
    noisy = 0.499 + 0.2 * np.where(np.arange(QUERIES) % 2 == 0, 1, -1)
    sha256 = results(noisy.tolist()).write(bench.folder)
    place = next(i for i, a in enumerate(record.arrays) if (a.query_generation, a.gallery_generation) == ("2", "0"))
    record.arrays[place] = record.arrays[place].model_copy(update={"array": sha256})
    report = scenario_reports([record], bench.folder)[0]
    cells = by_label(report.tables["chain"])["m"]
    assert cells["AC"].value == pytest.approx(2 / 3)
    assert cells["AC_significant"].value == 1
    assert not any(cell.marks for row in report.tables["matrix"].groups[0].rows for cell in row.cells.values())


def test_steps_add_up_and_are_compared_with_independent(bench):
    records = [
        chain_record(bench, "independent", role="reference", seconds=(4.0, 1.0, 1.0, 2.0)),
        chain_record(bench, "m", needs=["own first generation"]),
    ]
    records[1].step_costs["3"]["fit_seconds"] = 0.5
    table = scenario_reports(records, bench.folder)[0].tables["steps"]
    cells = by_label(table)
    assert [cells["m"][f"step {n}"].value for n in range(1, 5)] == [4.0, 1.0, 2.0, 3.5]
    assert cells["m"]["upgrades"].value == 6.5
    assert cells["independent"]["upgrades"].value == 4.0
    assert cells["m"]["method"].marks == tuple(table.footnotes) == ("†",)


def test_the_steps_of_a_needed_independent_model_count(bench):
    records = [
        chain_record(bench, "independent", role="reference", seconds=(4.0, 1.0, 1.0, 2.0)),
        chain_record(bench, "m", needs=["independent model"]),
    ]
    cells = by_label(scenario_reports(records, bench.folder)[0].tables["steps"])["m"]
    assert [cells[f"step {n}"].value for n in range(1, 5)] == [4.0, 2.0, 3.0, 5.0]
    assert cells["upgrades"].value == 10.0


def test_a_record_without_step_costs_leaves_them_undefined(bench):
    record = chain_record(bench, "m", seconds=())
    cells = by_label(scenario_reports([record], bench.folder)[0].tables["steps"])["m"]
    assert cells["step 2"].value is None
    assert cells["upgrades"].value is None


def test_a_single_upgrade_and_an_unfinished_chain_have_no_chain_tables(bench):
    single = bench.record("m", 0, {"oo": [0.5], "no": [0.5], "nn": [0.5], "ss": [0.5]})
    assert scenario_reports([single], bench.folder)[0].tables.keys() == {"scores", "flips", "costs"}
    unfinished = chain_record(bench, "m", status=Status.TIMEOUT)
    assert scenario_reports([unfinished], bench.folder)[0].tables.keys() == {"scores", "flips", "costs"}


def test_the_heat_map_shows_every_entry_of_every_row_and_frames_violations(bench):
    records = [chain_record(bench, "independent", role="reference"), chain_record(bench, "m(variant=a & b)")]
    report, again = (scenario_reports(records, bench.folder)[0] for _ in range(2))
    svg = str(report.figures["matrix"].svgs[0])
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    expected = [f"{100 * value:.0f}" for row in MATRIX for value in row]
    assert [text for text in texts if re.fullmatch(r"\d\d", text)] == expected * 2
    assert svg.count('class="below"') == 2 * 2
    assert texts.index("independent") < texts.index("m (variant=a &amp; b)")
    assert str(again.figures["matrix"].svgs[0]) == svg


def test_the_report_has_the_chain_in_every_file(bench, tmp_path):
    reports = scenario_reports([chain_record(bench, "m")], bench.folder)
    written = {path.relative_to(tmp_path).as_posix() for path in write_report(reports, tmp_path, "Chains")}
    tables = {f"tables/sequence-{name}.{suffix}" for name in ("chain", "matrix", "steps") for suffix in ("md", "csv")}
    assert tables | {"plots/sequence-matrix.svg"} <= written
    readme, page = (tmp_path / "README.md").read_text(), unpacked((tmp_path / "index.html").read_text())
    assert "](plots/sequence-matrix.svg)" in readme
    assert "(tables/sequence-matrix.md)" in readme
    assert page.count('class="panel"') == 1
