from pathlib import Path

import pytest
from synthetic import Bench

from compatbench.errors import RequestError
from compatbench.records.parts import Environment
from compatbench.report.site.insert import insert_tables
from compatbench.report.site.scenario_report import ScenarioReport, scenario_reports

MARKED = "before\n<!-- begin: compatbench report x --into README.md -->\nstale\n<!-- end -->\nafter\n"


def test_tables_stand_between_the_marks_and_nothing_else_changes(golden: ScenarioReport, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(MARKED)
    insert_tables([golden], "x", path)
    once = path.read_text()
    assert once.startswith("before\n<!-- begin: compatbench report x --into README.md -->\n")
    assert once.endswith("<!-- end -->\nafter\n")
    assert "stale" not in once
    assert golden.scores.title in once
    insert_tables([golden], "x", path)
    assert path.read_text() == once


def test_a_file_without_marks_is_named_and_left_alone(golden: ScenarioReport, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("no marks")
    with pytest.raises(RequestError, match=r"README\.md: has no place for tables"):
        insert_tables([golden], "x", path)
    assert path.read_text() == "no marks"


def test_the_marks_of_other_suites_are_left_alone(golden: ScenarioReport, tmp_path: Path) -> None:
    path = tmp_path / "tables.md"
    other = "<!-- begin: compatbench report x_two -->\nkept\n<!-- end -->\n"
    path.write_text(other + MARKED + other)
    insert_tables([golden], "x", path)
    text = path.read_text()
    assert text.startswith(other)
    assert text.endswith(other)
    assert "stale" not in text
    assert golden.scores.title in text


def test_tables_say_what_they_are_made_of(bench: Bench, tmp_path: Path) -> None:
    scores = {entry: [0.5] * 4 for entry in ("oo", "no", "nn", "ss")}
    environment = Environment(
        python="3.11.2", packages={}, cpu="one", cpu_threads=1, git_sha="0123456789abcdef" + "0" * 24
    )
    records = [
        bench.record("m", seed, scores, scenario=scenario, environment=environment)
        for scenario in ("a", "b")
        for seed in (0, 1)
    ]
    path = tmp_path / "tables.md"
    path.write_text(MARKED)
    insert_tables(scenario_reports(records, bench.folder), "x", path)
    text = path.read_text()
    assert "4 records, seeds 0, 1, code of commit 0123456789ab." in text
    assert text.index("All scenarios: what queries gain on day one") < text.index("a on toy: compatibility")


def test_a_lost_end_mark_takes_no_text_of_others_with_it(golden: ScenarioReport, tmp_path: Path) -> None:
    path = tmp_path / "tables.md"
    text = "<!-- begin: compatbench report x -->\nprose\n<!-- begin: compatbench report y -->\n<!-- end -->\n"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"has no place for tables"):
        insert_tables([golden], "x", path)
    assert path.read_text() == text


def test_the_overview_is_explained(bench: Bench, tmp_path: Path) -> None:
    scores = {entry: [0.5] * 4 for entry in ("oo", "no", "nn", "ss")}
    path = tmp_path / "tables.md"
    path.write_text(MARKED)
    insert_tables(
        scenario_reports([bench.record("m", 0, scores, scenario=one) for one in "ab"], bench.folder), "x", path
    )
    assert "- **compatible in**: " in path.read_text()
