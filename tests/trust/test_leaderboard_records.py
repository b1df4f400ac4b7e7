"""Gathering the leaderboard: what is planned, what is outdated, and what may not stand beside newer records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from published import Published

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.errors import RequestError
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.records.record import write_record
from compatbench.records.store import Store
from compatbench.report.rows.runs import file_of
from compatbench.suite.suite import load_suite
from compatbench.trust.board import read_board, suite_plan
from compatbench.trust.packs import find_record
from compatbench.trust.submit import submit


@pytest.fixture
def board(fresh: Published) -> Store:
    submit(fresh.cells, fresh.runs, fresh.leaderboard, discover())
    return fresh.leaderboard


def packed_record(store: Store, fresh: Published) -> Path:
    """The file of the record of bct, in that of its scenario."""
    spec = fresh.cells[1].spec
    return store.packed(spec) / store.record(spec).name


def add_bct(store: Store, fresh: Published, *, seed: int, source_hash: str) -> str:
    """Another record of bct, of other code; returns its file below the leaderboard's folder."""
    record = find_record(packed_record(store, fresh))
    method = record.spec.method.model_copy(update={"source_hash": source_hash})
    spec = record.spec.model_copy(update={"seed": seed, "method": method})
    write_record(record.model_copy(update={"spec": spec}), store.record(spec))
    return file_of(record.model_copy(update={"spec": spec}))


def test_the_plan_is_that_of_a_run(digits: Dataset) -> None:
    suite = load_suite("digits")[1]
    plan = suite_plan(suite, discover())
    cells = make_plan("digits", suite, digits, discover(), Selection())
    assert {(cell.spec.scenario, cell.spec.method.label, cell.spec.seed) for cell in cells} == {
        (scenario, label, seed) for scenario in plan.scenarios for label in plan.labels for seed in plan.seeds
    }
    assert plan.scenarios == tuple(suite.scenarios)


def test_rows_of_other_parameters_are_planned_under_their_labels() -> None:
    labels = suite_plan(load_suite("fashion")[1], discover()).labels
    assert {"bct(variant=prototypes)", "random_rotation"} <= set(labels)


def test_the_plan_holds_built_in_methods_only() -> None:
    catalogue = discover()
    foreign = replace(catalogue.get("bct"), name="foreign", path=catalogue.get("bct").path.parents[1] / "bct.py")
    more = Catalogue({**catalogue.plugins, "foreign": foreign})
    suite = load_suite("digits")[1]
    assert suite_plan(suite, more) == suite_plan(suite, catalogue)


def test_records_of_changed_code_are_shown_and_named(fresh: Published, board: Store) -> None:
    catalogue = discover()
    changed = replace(catalogue.get("bct"), source_hash="0" * 64)
    (suite,) = read_board(board, Catalogue({**catalogue.plugins, "bct": changed})).suites
    record = find_record(packed_record(board, fresh))
    assert suite.outdated == {file_of(record): ("the source of method 'bct' changed",)}
    assert suite.left_out == ()
    assert {row.label for row in suite.reports[0].rows} == {"bct", "independent"}
    assert "the source of method 'bct' changed" in suite.warnings[-1]


def test_an_outdated_record_does_not_stand_beside_a_newer_one_of_its_row(fresh: Published, board: Store) -> None:
    file = add_bct(board, fresh, seed=7, source_hash="0" * 64)
    (suite,) = read_board(board, discover()).suites
    assert [file_of(record) for record in suite.left_out] == [file]
    assert [[record.spec.seed for record in row.runs.records] for row in suite.reports[0].rows] == [[0], [0]]
    assert file in suite.warnings[-1]


def test_outdated_records_alone_must_be_of_one_code(fresh: Published, board: Store) -> None:
    for seed, source_hash in enumerate(("0" * 64, "1" * 64)):
        add_bct(board, fresh, seed=seed, source_hash=source_hash)
    board.packed(fresh.cells[1].spec).unlink()
    with pytest.raises(RequestError, match="versions of one method"):
        read_board(board, discover())


def test_an_empty_folder_is_an_empty_board(tmp_path) -> None:
    assert read_board(Store(tmp_path), discover()).suites == ()
