"""The leaderboard: records come to it whole, verified and with their proof, and changes to it are found."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from published import Published

from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.plan.cells import Cell
from compatbench.plan.selection import EVERYTHING, Selection
from compatbench.records.record import CellSpec, Record, read_record, write_record
from compatbench.records.store import Store
from compatbench.storage.array_files import array_path
from compatbench.storage.group_sums import PARTS
from compatbench.trust.board import read_board
from compatbench.trust.packs import ARRAYS, find_record, pack_scenarios, unpacked_board
from compatbench.trust.problems import Problem, serious
from compatbench.trust.published import published
from compatbench.trust.submit import submit
from compatbench.trust.tables import write_board
from compatbench.trust.verify import verify


def told(store: Store, selection: Selection = EVERYTHING) -> list[str]:
    """The serious problems of a leaderboard."""
    verdict = verify(store, discover(), (), selection, published=True)
    return [f"{problem.where}: {problem.message}" for problem in serious(verdict.problems)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(board: Store, spec: CellSpec) -> Record:
    """The record of a cell on the leaderboard."""
    return find_record(board.packed(spec) / board.record(spec).name)


@pytest.fixture
def board(fresh: Published) -> Store:
    submission = submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert serious(submission.problems) == []
    assert (len(submission.added), submission.replaced, submission.missing) == (2, [], [])
    return fresh.leaderboard


def test_records_are_packed_by_scenario_with_their_arrays_and_tables(fresh: Published, board: Store) -> None:
    copied = files(board.root)
    for cell in fresh.cells:
        run, kept = read_record(fresh.runs.record(cell.spec)), packed(board, cell.spec)
        for one, other in zip(run.metrics, kept.metrics, strict=True):
            assert one.coordinates == other.coordinates
            moved = 2 / (PARTS * one.n)  # of a difference of two means
            if ("update" in one.name or "share" in one.name) and one.value is not None:  # ratios of differences
                base = one.name.partition(":")[2]
                values = [run.metric(base, *at).value for at in (("*1", "*1"), ("0", "0"))]
                moved *= (1 + abs(one.value)) / abs(values[0] - values[1])
            assert other.value == pytest.approx(one.value, abs=moved + 1e-6), one.name
        exact = {"metrics", "backfill", "arrays", "backfilled", "verification"}
        assert kept.model_dump(exclude=exact) == run.model_dump(exclude=exact)
    assert copied.pop("historic/records/extended_class.zip")
    assert not any(name.endswith((".json", ".parquet", ".zip")) for name in copied)
    assert {"historic/README.md", "historic/tables/extended_class.csv"} <= set(copied)
    assert "bct" in copied["historic/tables/extended_class.md"].decode()
    assert told(board) == []
    before = files(board.root)
    submit(fresh.cells, fresh.runs, board, discover())
    assert files(board.root) == before, "a second submission changes nothing"


def test_pairs_are_published_at_the_rate_of_the_tables(fresh: Published, tmp_path: Path) -> None:
    run = read_record(fresh.runs.record(fresh.cells[1].spec))
    assert {one.rate for one in run.verification} == {0.01}
    of_pairs = [one for one in run.metrics if one.name.endswith("@FAR=0.01")]
    assert len(of_pairs) >= 5
    others = [one.model_copy(update={"name": one.name.replace("0.01", "0.001")}) for one in of_pairs]
    stricter = [one.model_copy(update={"rate": 0.001}) for one in run.verification]
    more = {"metrics": [*run.metrics, *others], "verification": [*run.verification, *stricter]}
    kept = published(run.model_copy(update=more), fresh.runs.arrays, tmp_path)
    assert {one.rate for one in kept.verification} == {0.001}
    assert len(kept.verification) == len(run.verification)
    names = [one.name for one in kept.metrics]
    assert names == [one.name for one in (*run.metrics, *others) if one not in of_pairs]


def test_long_work_tells_where_it_is(fresh: Published) -> None:
    lines: list[str] = []
    submit(fresh.cells, fresh.runs, fresh.leaderboard, discover(), watch=lines.append)
    assert lines[:2] == ["historic: 0 of 2 records checked", "historic: 1 of 2 records checked"]
    assert lines[-2:] == ["the leaderboard is packed", "tables and pages are written"]
    lines.clear()
    verify(fresh.leaderboard, discover(), (), Selection(), published=True, watch=lines.append)
    assert "historic: 1 of 2 records checked" in lines


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
    older = packed(board, fresh.cells[1].spec)
    newer = older.spec.model_copy(update={"method": older.spec.method.model_copy(update={"source_hash": "0" * 64})})
    path = board.record(newer)
    with unpacked_board(board) as unpacked:
        write_record(older.model_copy(update={"spec": newer}), unpacked.record(newer))
        unpacked.record(older.spec).unlink()
        pack_scenarios(unpacked, board, [path.relative_to(board.root).parent])
    assert packed(board, newer).spec == newer
    extra = array_path(board.arrays, "1" * 64)
    extra.parent.mkdir()
    extra.write_bytes(b"")
    old_table = board.suite("historic") / "tables" / "gone.md"
    old_table.write_text("gone")
    assert any("outdated: the source of method 'bct' changed" in line for line in told(board))
    submission = submit(fresh.cells, fresh.runs, board, discover())
    assert submission.replaced == [path.relative_to(board.root)]
    assert packed(board, older.spec).spec == older.spec
    assert not extra.exists()
    assert not old_table.exists()
    assert told(board) == []


def test_what_is_changed_on_the_leaderboard_is_found(fresh: Published, board: Store) -> None:
    table = board.suite("historic") / "tables" / "extended_class.csv"
    right = table.read_text()
    table.write_text(right.replace("bct", "bcd"))
    for selection in (EVERYTHING, Selection(methods=("none",))):  # tables are of all records, whichever are selected
        found = told(board, selection)
        assert found == ["historic/tables/extended_class.csv: is not what the records give; " + REMEDY]
    table.unlink()
    assert told(board) == ["historic/tables/extended_class.csv: is missing; " + REMEDY]
    table.write_text(right)
    (table.parent / "more.csv").write_text(right)
    assert told(board) == ["historic/tables/more.csv: no record needs this file; remove it"]
    (table.parent / "more.csv").unlink()
    board.arrays.mkdir()
    array_path(board.arrays, "1" * 64).write_bytes(b"")
    assert told(board) == [f"arrays/{'1' * 64}.parquet: no record needs this file; remove it"]
    shutil.rmtree(board.arrays)
    for leftover in ("gone", "gone/records", "gone/tables"):
        (board.root / leftover).mkdir()
    assert told(board) == ["gone: no record needs what is here; remove it"]
    shutil.rmtree(board.root / "gone")
    with unpacked_board(board) as unpacked:
        unpacked.record(fresh.cells[1].spec).unlink()
        pack_scenarios(unpacked, board, [board.record(fresh.cells[1].spec).relative_to(board.root).parent])
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


def test_what_is_on_the_leaderboard_is_not_missing(fresh: Published) -> None:
    submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    fresh.runs.record(fresh.cells[1].spec).unlink()
    submission = submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert (len(submission.added), submission.missing) == (1, [])


def test_the_page_of_all_suites_and_its_part_of_the_readme_follow_the_records(fresh: Published, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    begin = "<!-- begin: compatbench leaderboard historic -->"
    readme.write_text(f"before\n{begin}\nas it was\n<!-- end -->\nafter\n")
    assert serious(submit(fresh.cells, fresh.runs, fresh.leaderboard, discover()).problems) == []
    shown, page = readme.read_text(), fresh.leaderboard.root.parent / "README.md"
    assert shown.startswith(f"before\n{begin}\n")
    assert shown.endswith("<!-- end -->\nafter\n")
    file = fresh.leaderboard.packed(fresh.cells[1].spec).relative_to(page.parent).as_posix()
    assert f"[{fresh.cells[1].spec.seed}]({file})" in page.read_text(), "a row leads to its records"
    assert "as it was" not in shown
    assert told(fresh.leaderboard) == []
    for path, name in ((page, "fresh/README.md"), (readme, "README.md")):
        right = path.read_bytes()
        path.write_bytes(right.replace(b"bct", b"bcd", 1))
        assert told(fresh.leaderboard) == [f"{name}: is not what the records give; {REMEDY}"]
        write_board(read_board(fresh.leaderboard, discover()), fresh.leaderboard)
        assert path.read_bytes() == right
    readme.write_text(shown.replace("historic -->", "gone -->"))
    problems = verify(fresh.leaderboard, discover(), (), Selection(), published=True).problems
    assert ("README.md", "is to show gone, which is not on the leaderboard", False) in [
        (problem.where, problem.message.partition(";")[0], problem.serious) for problem in problems
    ]


def test_a_page_written_by_hand_is_not_replaced(fresh: Published) -> None:
    page = fresh.leaderboard.root.parent / "README.md"
    page.write_text("# Mine\n")
    with pytest.raises(RequestError, match=r"README\.md was not written by CompatBench and would be replaced"):
        submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    assert page.read_text() == "# Mine\n"
    assert not fresh.leaderboard.root.exists()


def test_a_damaged_file_is_told_and_the_rest_is_checked(fresh: Published, board: Store) -> None:
    scenario = board.packed(fresh.cells[1].spec)
    content = scenario.read_bytes()
    scenario.write_bytes(content[:-100])
    found = told(board)
    assert found[0].startswith("historic/records/extended_class.zip: cannot be unpacked: ")
    with pytest.raises(RequestError, match=r"extended_class\.zip: cannot be unpacked"), unpacked_board(board):
        pass
    with pytest.raises(RequestError, match="no readable zip file of records"):
        find_record(scenario)
    with zipfile.ZipFile(scenario, "w") as file:
        file.writestr("a", bytes(1000))
        file.filelist *= 9
    assert told(board)[0] == (
        "historic/records/extended_class.zip: cannot be unpacked: its members overlap; "
        "restore it, or submit its cells again"
    )
    scenario.write_bytes(content)
    for name in ("more.txt", "more.json"):
        (scenario.parent / name).write_text("")
        assert told(board) == [f"historic/records/{name}: no record needs what is here; remove it"]
        (scenario.parent / name).unlink()


def test_damaged_arrays_are_told_in_one_line(fresh: Published, board: Store) -> None:
    path = board.packed(fresh.cells[1].spec)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members[ARRAYS] = members[ARRAYS][:-9]
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    found: list[Problem] = []
    with unpacked_board(board, found) as unpacked:
        assert unpacked.record_files("historic") == []
    (problem,) = found
    assert problem.where == "historic/records/extended_class.zip"
    assert problem.message.startswith("cannot be unpacked: is cut off")


def test_what_no_record_needs_is_found_inside_of_a_zip_file(fresh: Published, board: Store) -> None:
    path = board.packed(fresh.cells[1].spec)
    right = path.read_bytes()
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(zipfile.ZipInfo("id_rsa"), "a key")
    found: list[Problem] = []
    with unpacked_board(board, found):
        assert [one.message for one in found] == [
            "cannot be unpacked: no record needs its 'id_rsa'; restore it, or submit its cells again"
        ]
    for before, comment in ((b"", b"hello"), (b"x", b"")):
        path.write_bytes(right)
        with zipfile.ZipFile(path, "a") as file:
            file.comment = comment
        path.write_bytes(before + path.read_bytes())
        with pytest.raises(RequestError, match="has a comment, or other bytes"), unpacked_board(board):
            pass


def test_a_changed_score_in_a_row_is_found(fresh: Published, board: Store) -> None:
    spec = fresh.cells[1].spec
    with unpacked_board(board) as unpacked:
        record = read_record(unpacked.record(spec))
        record.metrics[0].value = (record.metrics[0].value or 0) + 1e-5
        write_record(record, unpacked.record(spec))
        pack_scenarios(unpacked, board, [unpacked.record(spec).relative_to(unpacked.root).parent])
    assert any("bct--seed0" in line and "mAP(0,0): value is" in line for line in told(board))
