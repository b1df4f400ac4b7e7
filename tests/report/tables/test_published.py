"""Published figures beside a leaderboard: marked, with their source, and without influence on anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from compatbench.errors import RequestError
from compatbench.report.render.to_markdown import to_markdown
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.tables import published
from compatbench.report.tables.published import MARK, TITLE, PublishedRow, published_rows, with_published
from compatbench.storage.builtin import builtin_folder
from compatbench.suite.suite import available_suites, load_suite

ROW = {
    "scenario": "extended_data",
    "method": "BCT (them)",
    "source": "Somebody, Somewhere",
    "setting": "a larger backbone",
    "old": {"mAP": 20.0},
    "cross": {"mAP": 99.9, "CMC1": 98.5},
}


def records(bench):
    scores = {"oo": [0.5, 0.6], "no": [0.6, 0.7], "nn": [0.7, 0.8], "ss": [0.75, 0.85]}
    worse = {**scores, "no": [0.5, 0.55]}
    return [bench.record(label, seed, one) for label, one in (("m", scores), ("w", worse)) for seed in range(3)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of benchmarks whose published figures a test writes."""
    monkeypatch.setattr(published, "builtin_folder", lambda name: tmp_path)
    (tmp_path / "published").mkdir()
    return tmp_path / "published"


def test_rows_stand_in_a_group_of_their_own_with_mark_and_source(bench):
    table = scenario_reports(records(bench), bench.folder)[0].scores
    shown = with_published(table, [PublishedRow.model_validate(ROW)], "extended_data")
    assert [group.title for group in shown.groups] == [*(group.title for group in table.groups), TITLE]
    (row,) = shown.groups[-1].rows
    assert row.cells["method"].marks == (MARK,)
    values = {key: cell.value for key, cell in row.cells.items() if cell.value is not None}
    assert values == {
        "method": "BCT (them)", "oo": 20.0, "no": 99.9, "cmc1": 98.5, "verdict": "published, not measured here",
    }  # fmt: skip
    assert (
        "BCT (them): M(o,o) mAP 20; M(n,o) mAP 99.9, CMC@1 98.5 (a larger backbone; Somebody" in shown.footnotes[MARK]
    )
    assert "published by others" in to_markdown(shown)


def test_nothing_that_was_measured_changes_not_even_by_a_higher_number(bench, folder):
    before = scenario_reports(records(bench), bench.folder)[0]
    lines = [f"  {key}: {value}" for key, value in ROW.items()]
    (folder / "synthetic.yaml").write_text("rows:\n- " + "\n".join(lines).strip() + "\n")
    after = scenario_reports(records(bench), bench.folder)[0]
    assert after.scores.groups[:-1] == before.scores.groups
    assert after.scores.groups[-1].title == TITLE
    assert after.points == before.points
    assert after.banner == before.banner
    assert "rank" not in after.scores.groups[-1].rows[0].cells
    assert not any(cell.bold for cell in after.scores.groups[-1].rows[0].cells.values())


def test_other_scenarios_and_other_suites_stay_as_they_are(bench):
    table = scenario_reports(records(bench), bench.folder)[0].scores
    assert with_published(table, [PublishedRow.model_validate(ROW)], "extended_class") is table
    assert published_rows("a_suite_of_my_own") == ()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"source": ""}, "source"),
        ({"cross": {"mAP": 101}}, "mAP"),
        ({"crss": {}}, "crss"),
        ({"setting": None}, "setting"),
    ],
)
def test_a_row_without_a_source_or_with_an_impossible_figure_is_refused(change, key):
    with pytest.raises(ValidationError, match=key):
        PublishedRow.model_validate({**ROW, **change})


def test_a_broken_file_is_named(folder):
    (folder / "mine.yaml").write_text("rows:\n- {scenario: a, method: b, setting: c}\n")
    with pytest.raises(RequestError, match=r"mine\.yaml: rows\.0\.source: is required"):
        published_rows("mine")


FILES = sorted(path.stem for path in (builtin_folder("benchmarks") / "published").glob("*.yaml"))


@pytest.mark.parametrize("suite", FILES)
def test_every_file_belongs_to_a_suite_and_every_row_to_one_of_its_scenarios(suite: str) -> None:
    assert suite in available_suites()
    assert {row.scenario for row in published_rows(suite)} <= set(load_suite(suite)[1].scenarios)


def test_the_published_figures_are_those_of_the_sources() -> None:
    """Some of them once more by hand."""
    rows = {row.method: row for row in published_rows("cifar100")}
    assert (rows["BCT (BT²)"].cross.CMC1, rows["BCT (BT²)"].cross.mAP) == (25.0, 24.7)
    assert rows["BCT (BT²)"].cross.CMC1 < rows["BCT (BT²)"].old.CMC1, "below the old model on top-1"
    assert rows["BCT (BT²)"].cross.mAP > rows["BCT (BT²)"].old.mAP, "and above it on mAP"
    assert {row.old.mAP for row in published_rows("imagenet")} == {33.6}
