"""A report is made again where anything that it was made from, or one of its files, has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import compatbench
from compatbench.report.site import current
from compatbench.report.site.current import STAMP, inputs, is_current, stamp


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """The hash of the inputs as they are now: one fact, a record, a file that is not there, and a package."""
    package = tmp_path / "package"
    (package / "templates").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "templates" / "page.css").write_text("a {}")
    (tmp_path / "record.json").write_text("{}")
    (tmp_path / "title").write_text("Digits")
    monkeypatch.setattr(compatbench, "__file__", str(package / "__init__.py"))
    return lambda: inputs(
        {"title": (tmp_path / "title").read_text()}, [tmp_path / "record.json", tmp_path / "speed.json"]
    )


@pytest.fixture
def report(tmp_path: Path, made: Callable[[], str]) -> Path:
    """A folder with a report of two files, stamped, and one of somebody else's."""
    folder = tmp_path / "report"
    (folder / "tables").mkdir(parents=True)
    files = [folder / "README.md", folder / "tables" / "one.csv"]
    for path in (*files, folder / "notes.txt"):
        path.write_text(path.name)
    stamp(folder, made(), files)
    return folder


def test_nothing_has_changed(report: Path, made: Callable[[], str]) -> None:
    (report / "notes.txt").write_text("mine")
    assert is_current(report, made())


@pytest.mark.parametrize(
    "name", ["title", "record.json", "speed.json", "package/__init__.py", "package/templates/new.js"]
)
def test_an_input_has_changed(report: Path, made: Callable[[], str], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("other")
    assert not is_current(report, made())


def test_a_library_has_changed(report: Path, made: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "version", lambda package: "0")
    assert not is_current(report, made())


@pytest.mark.parametrize("name", ["README.md", "tables/one.csv"])
def test_a_file_of_the_report_has_changed(report: Path, made: Callable[[], str], name: str) -> None:
    content = (report / name).read_text()
    (report / name).write_text("other")
    assert not is_current(report, made())
    (report / name).unlink()
    assert not is_current(report, made())
    (report / name).write_text(content)
    assert is_current(report, made())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"inputs": 1}', '{"inputs": "x", "files": 3}'])
def test_a_damaged_stamp_counts_as_none(report: Path, made: Callable[[], str], content: str) -> None:
    (report / STAMP).write_text(content)
    assert not is_current(report, made())
    (report / STAMP).unlink()
    assert not is_current(report, made())
