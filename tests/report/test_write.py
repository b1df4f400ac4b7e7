import random
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from golden_case import GOLDEN, QUERIES, golden_records
from synthetic import add_curves

from compatbench.errors import RequestError
from compatbench.records import Status
from compatbench.report.scenario_report import scenario_reports
from compatbench.report.write import write_report


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_written_and_named(bench, tmp_path):
    out = tmp_path / "out"
    written = write_report(scenario_reports(golden_records(bench), bench.folder), out, "The <i>suite</i>")
    assert sorted(path.relative_to(out).as_posix() for path in written) == sorted(contents(out)) == [
        "README.md",
        "index.html",
        "tables/extended_data-costs.csv",
        "tables/extended_data-costs.md",
        "tables/extended_data-costs.tex",
        "tables/extended_data-flips.csv",
        "tables/extended_data-flips.md",
        "tables/extended_data-flips.tex",
        "tables/extended_data.csv",
        "tables/extended_data.md",
        "tables/extended_data.tex",
    ]  # fmt: skip
    readme = (out / "README.md").read_text()
    assert readme.startswith("# The \\<i\\>suite\\</i\\>\n")
    assert "> **✓ controls as expected: independent, relational**" in readme
    assert readme.count("- **M(n,o)**") == 1
    assert (out / "tables/extended_data.csv").read_text() == (GOLDEN / "scores.csv").read_text()
    assert (out / "tables/extended_data.tex").read_text() == (GOLDEN / "scores.tex").read_text()
    frame = pd.read_csv(out / "tables/extended_data.csv").set_index("method")
    assert frame.loc["varied", ["gamma", "gamma_low", "gamma_high"]].tolist() == [0.25, 0.0, 0.5]


def test_backfill_curves_are_a_table_and_a_picture(bench, tmp_path):
    records = golden_records(bench)
    for record in records:
        if record.status is Status.OK:
            add_curves(bench, record, "random", [[0.25, 0.5]] * QUERIES)
    written = write_report(scenario_reports(records, bench.folder), tmp_path, "t")
    readme = (tmp_path / "README.md").read_text()
    picture = tmp_path / "plots/extended_data-backfill.svg"
    assert "](plots/extended_data-backfill.svg)" in readme
    assert "### extended_data on toy: the course of the backfill" in readme
    assert ET.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    tables = {tmp_path / f"tables/extended_data-backfill.{ending}" for ending in ("md", "csv", "tex")}
    assert {picture, *tables} <= set(written)


def test_a_red_banner_stands_in_readme_and_table(bench, tmp_path):
    records = [record for record in golden_records(bench) if record.spec.method.name != "independent"]
    write_report(scenario_reports(records, bench.folder), tmp_path, "t")
    for name in ("README.md", "tables/extended_data.md"):
        text = (tmp_path / name).read_text()
        assert "> **✗ controls not as expected" in text
        assert "> - independent: not among the records" in text


def test_equal_records_give_equal_bytes_in_any_order(bench, tmp_path):
    records = golden_records(bench)
    write_report(scenario_reports(records, bench.folder), tmp_path / "first", "t")
    random.Random(0).shuffle(records)
    write_report(scenario_reports(records, bench.folder), tmp_path / "second", "t")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_a_bad_speed_file_writes_nothing(bench, tmp_path):
    with pytest.raises(RequestError, match="pytest-benchmark"):
        write_report(
            scenario_reports(golden_records(bench), bench.folder), tmp_path / "out", "t", tmp_path / "missing.json"
        )
    assert not (tmp_path / "out").exists()
