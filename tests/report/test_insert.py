from pathlib import Path

import pytest

from compatbench.errors import RequestError
from compatbench.report.insert import insert_tables
from compatbench.report.scenario_report import ScenarioReport

MARKED = "before\n<!-- begin: compatbench report x --into README.md -->\nstale\n<!-- end -->\nafter\n"


def test_tables_stand_between_the_marks_and_nothing_else_changes(golden: ScenarioReport, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(MARKED)
    insert_tables([golden], path)
    once = path.read_text()
    assert once.startswith("before\n<!-- begin: compatbench report x --into README.md -->\n")
    assert once.endswith("<!-- end -->\nafter\n")
    assert "stale" not in once
    assert golden.scores.title in once
    insert_tables([golden], path)
    assert path.read_text() == once


def test_a_file_without_marks_is_named_and_left_alone(golden: ScenarioReport, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("no marks")
    with pytest.raises(RequestError, match=r"README\.md: has no place for tables"):
        insert_tables([golden], path)
    assert path.read_text() == "no marks"
