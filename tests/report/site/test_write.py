import json
import random
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from golden_case import GOLDEN, QUERIES, TIMED, golden_records
from synthetic import add_curves

from compatbench.errors import RequestError
from compatbench.records.parts import WorstFlip
from compatbench.report.site.page_data.packing import unpacked
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.site.write import write_report
from compatbench.vocabulary import Status

FINISHED = ("good", "independent", "own", "relational", "short", "varied", "weak")


class Samples:
    def label(self, sample):
        return str(sample % 2)

    def name(self, sample):
        return None

    def pixels(self, sample):
        return np.zeros((1, 2, 2), dtype=np.uint8)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_written_and_named(bench, tmp_path):
    out = tmp_path / "out"
    reports = scenario_reports(golden_records(bench), bench.folder, timed=TIMED)
    written = write_report(reports, out, "The <i>suite</i>")
    assert sorted(path.relative_to(out).as_posix() for path in written) == sorted(contents(out)) == [
        "README.md",
        *(f"flips/extended_data/{label}.csv" for label in FINISHED),
        "index.html",
        "plots/extended_data-pareto.svg",
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
    assert "> ✅ controls as expected: independent, relational" in readme
    assert readme.count("- **M(n,o)**") == 1
    assert "](plots/extended_data-pareto.svg)" in readme
    assert "good" in "".join(ET.parse(out / "plots/extended_data-pareto.svg").getroot().itertext())
    assert (out / "tables/extended_data.csv").read_text() == (GOLDEN / "scores.csv").read_text()
    assert (out / "tables/extended_data.tex").read_text() == (GOLDEN / "scores.tex").read_text()
    frame = pd.read_csv(out / "tables/extended_data.csv").set_index("method")
    assert frame.loc["varied", ["gamma", "gamma_low", "gamma_high"]].tolist() == [0.25, -0.371034, 0.871034]


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


def test_flips_are_linked_and_pictured_where_the_images_are_known(bench, tmp_path):
    scores = {"oo": [0.75] * QUERIES, "no": [0.25] * QUERIES, "nn": [0.25] * QUERIES, "ss": [0.75] * QUERIES}
    flip = WorstFlip(
        query_generation="1",
        gallery_generation="1",
        id=3,
        old_top=[1],
        old_right=[True],
        new_top=[2],
        new_right=[False],
    )
    records = [*golden_records(bench), bench.record("own(a=1)", 0, scores, worst_flips=[flip])]
    written = write_report(scenario_reports(records, bench.folder), tmp_path, "t", samples=Samples())
    sheet = tmp_path / "flips/extended_data/own_a=1.html"
    assert [path for path in written if path.suffix == ".html"] == [sheet, tmp_path / "index.html"]
    assert sheet.read_text().count("<img") == 3
    readme, page = (tmp_path / "README.md").read_text(), (tmp_path / "index.html").read_text()
    names = [f"flips/extended_data/own_a=1.{ending}" for ending in ("csv", "html")]
    assert f"own(a=1) ([list]({names[0]}), [pictures]({names[1]}))" in readme
    data = json.loads(re.search(r'id="data">(.*?)</script>', unpacked(page))[1])
    assert names in [row["flips"] for row in data["scenarios"][0]["rows"]]
    (record,) = data["scenarios"][0]["rows"][0]["records"][:1]
    assert record[2].startswith("synthetic/records/extended_data/")
    assert record[2].endswith(".json")
    assert data["records"] == ".."
    assert "weak ([list](flips/extended_data/weak.csv))" in readme


def test_a_red_banner_stands_in_readme_and_table(bench, tmp_path):
    records = [record for record in golden_records(bench) if record.spec.method.name != "independent"]
    write_report(scenario_reports(records, bench.folder), tmp_path, "t")
    for name in ("README.md", "tables/extended_data.md"):
        text = (tmp_path / name).read_text()
        assert "> ❌ controls not as expected" in text
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
