"""The leaderboard: records come to it whole, verified and with their proof, and changes to it are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from published import Published

from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.plan.cells import Cell
from compatbench.plan.selection import Selection
from compatbench.records.record import read_record, record_text
from compatbench.records.store import Store
from compatbench.storage.array_files import array_path
from compatbench.trust.board import gather
from compatbench.trust.problems import serious
from compatbench.trust.submit import submit
from compatbench.trust.tables import write_board
from compatbench.trust.verify import verify


def told(store: Store) -> list[str]:
    """The serious problems of a leaderboard."""
    verdict = verify(store, discover(), (), Selection(), published=True)
    return [f"{problem.where}: {problem.message}" for problem in serious(verdict.problems)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def board(fresh: Published) -> Store:
    submission = submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert serious(submission.problems) == []
    assert (len(submission.added), submission.replaced, submission.missing) == (2, [], [])
    return fresh.leaderboard


def test_records_are_copied_byte_for_byte_with_their_arrays_and_tables(fresh: Published, board: Store) -> None:
    copied = files(board.root)
    for cell in fresh.cells:
        path = fresh.runs.record(cell.spec)
        assert copied.pop(path.relative_to(fresh.runs.root).as_posix()) == path.read_bytes()
        for sha256 in read_record(path).array_files:
            copied.pop(f"arrays/{sha256}.parquet", None)
    assert not any(name.endswith((".json", ".parquet")) for name in copied)
    assert {"historic/README.md", "historic/tables/extended_class.csv"} <= set(copied)
    assert "bct" in copied["historic/tables/extended_class.md"].decode()
    assert told(board) == []
    before = files(board.root)
    submit(fresh.cells, fresh.runs, board, discover())
    assert files(board.root) == before, "a second submission changes nothing"


def test_a_changed_score_is_not_submitted(fresh: Published) -> None:
    path = fresh.runs.record(fresh.cells[1].spec)
    data = json.loads(path.read_text())
    data["metrics"][0]["numbers"]["mAP"][0] += 0.01
    path.write_text(json.dumps(data))
    submission = submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert serious(submission.problems)
    assert submission.added == []
    assert not fresh.leaderboard.root.exists()


def test_a_record_takes_the_place_of_an_older_one_of_its_row(fresh: Published, board: Store) -> None:
    older = read_record(board.record(fresh.cells[1].spec))
    newer = older.spec.model_copy(update={"method": older.spec.method.model_copy(update={"source_hash": "0" * 64})})
    path = board.record(newer)
    path.write_text(record_text(older.model_copy(update={"spec": newer})))
    board.record(older.spec).unlink()
    extra = array_path(board.arrays, "1" * 64)
    extra.write_bytes(b"")
    old_table = board.suite("historic") / "tables" / "gone.md"
    old_table.write_text("gone")
    assert any("outdated: the source of method 'bct' changed" in line for line in told(board))
    submission = submit(fresh.cells, fresh.runs, board, discover())
    assert submission.replaced == [path]
    assert not path.exists()
    assert not extra.exists()
    assert not old_table.exists()
    assert told(board) == []


def test_what_is_changed_on_the_leaderboard_is_found(fresh: Published, board: Store) -> None:
    table = board.suite("historic") / "tables" / "extended_class.csv"
    right = table.read_text()
    table.write_text(right.replace("bct", "bcd"))
    assert told(board) == ["historic/tables/extended_class.csv: is not what the records give; " + REMEDY]
    table.unlink()
    assert told(board) == ["historic/tables/extended_class.csv: is missing; " + REMEDY]
    table.write_text(right)
    (table.parent / "more.csv").write_text(right)
    assert told(board) == ["historic/tables/more.csv: no record needs this file; remove it"]
    (table.parent / "more.csv").unlink()
    array_path(board.arrays, "1" * 64).write_bytes(b"")
    assert told(board) == [f"arrays/{'1' * 64}.parquet: no record needs this file; remove it"]
    array_path(board.arrays, "1" * 64).unlink()
    for leftover in ("gone", "gone/records", "gone/tables"):
        (board.root / leftover).mkdir()
    assert told(board) == ["gone: no record needs what is here; remove it"]
    shutil.rmtree(board.root / "gone")
    board.record(fresh.cells[1].spec).unlink()
    assert "historic/tables/extended_class.md: is not what the records give; " + REMEDY in told(board), (
        "a record was taken away"
    )


REMEDY = "`compatbench tables` writes it again"


def test_what_cannot_be_submitted_is_refused(fresh: Published, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no records to submit; run it first"):
        submit(fresh.cells, Store(tmp_path / "none"), fresh.leaderboard, discover())
    own = [Cell(cell.spec.model_copy(update={"suite": "mine"}), None) for cell in fresh.cells]
    with pytest.raises(RequestError, match="suite 'mine' is not built in"):
        submit(own, fresh.runs, fresh.leaderboard, discover())
    fresh.leaderboard.root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    fresh.leaderboard.suite("historic").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="is a link: nothing is written through it"):
        submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("what", ["record", "array", "folder"])
def test_a_link_in_runs_is_not_published(fresh: Published, tmp_path: Path, what: str) -> None:
    record = fresh.runs.record(fresh.cells[1].spec)
    path = {"record": record, "array": next(fresh.runs.arrays.iterdir()), "folder": record.parent}[what]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="is a link: nothing is published through it"):
        submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert not fresh.leaderboard.root.exists()


def test_a_record_whose_arrays_are_gone_is_not_submitted(fresh: Published) -> None:
    shutil.rmtree(fresh.runs.arrays)
    submission = submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert ["per-query arrays not readable" in one.message for one in serious(submission.problems)] == [True, True]
    assert not fresh.leaderboard.root.exists()


def test_part_of_a_suite_can_be_submitted(fresh: Published) -> None:
    fresh.runs.record(fresh.cells[1].spec).unlink()
    submission = submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert [cell.spec.method.name for cell in submission.missing] == ["bct"]
    assert told(fresh.leaderboard) == []


def test_the_page_of_all_suites_and_its_part_of_the_readme_follow_the_records(fresh: Published, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    begin = "<!-- begin: compatbench leaderboard historic/extended_class -->"
    readme.write_text(f"before\n{begin}\nas it was\n<!-- end -->\nafter\n")
    assert serious(submit(fresh.cells, fresh.runs, fresh.leaderboard, discover()).problems) == []
    shown, page = readme.read_text(), fresh.leaderboard.root.parent / "README.md"
    assert shown.startswith(f"before\n{begin}\n")
    assert shown.endswith("<!-- end -->\nafter\n")
    record = fresh.leaderboard.record(fresh.cells[1].spec).relative_to(tmp_path).as_posix()
    assert f"[{fresh.cells[1].spec.seed}]({record})" in shown, "a row leads to its record"
    assert "as it was" not in shown
    assert told(fresh.leaderboard) == []
    for path, name in ((page, "fresh/README.md"), (readme, "README.md")):
        right = path.read_bytes()
        path.write_bytes(right.replace(b"bct", b"bcd", 1))
        assert told(fresh.leaderboard) == [f"{name}: is not what the records give; {REMEDY}"]
        write_board(gather(fresh.leaderboard, discover()), fresh.leaderboard)
        assert path.read_bytes() == right
    readme.write_text(shown.replace("historic/extended_class -->", "historic/gone -->"))
    problems = verify(fresh.leaderboard, discover(), (), Selection(), published=True).problems
    assert ("README.md", "is to show historic/gone, which is not on the leaderboard", False) in [
        (problem.where, problem.message.partition(";")[0], problem.serious) for problem in problems
    ]


def test_a_page_written_by_hand_is_not_replaced(fresh: Published) -> None:
    page = fresh.leaderboard.root.parent / "README.md"
    page.write_text("# Mine\n")
    with pytest.raises(RequestError, match=r"README\.md was not written by CompatBench and would be replaced"):
        submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert page.read_text() == "# Mine\n"
    assert not fresh.leaderboard.root.exists()
