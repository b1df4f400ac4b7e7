"""Reads a leaderboard's folder: its records as tables, the suites' plans of today, and outdated records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from compatbench import PROTOCOL_VERSION
from compatbench.discovery.plugins import Catalogue
from compatbench.plan.selection import select_methods
from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.report.rows.gaps import SuitePlan
from compatbench.report.rows.runs import file_of
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.scenario_report import ScenarioReport, scenario_reports
from compatbench.storage.builtin import builtin_folder
from compatbench.storage.canonical import digest
from compatbench.suite.suite import Suite
from compatbench.trust.packs import unpacked_board
from compatbench.trust.record_files import suites_in
from compatbench.trust.staleness import Reasons, outdated, why_outdated
from compatbench.trust.today import Today


def read_board(store: Store, catalogue: Catalogue) -> Board:
    """All suites in the leaderboard's folder `store`. Raises RequestError for records that give no tables."""
    with unpacked_board(store) as board:
        found = {name: [read_record(path) for path in board.record_files(name)] for name in suites_in(board)}
        today = {name: Today.of(name, catalogue) for name in found}
        suites = [
            board_suite(name, records, board, today[name], outdated(records, today[name]))
            for name, records in found.items()
            if records
        ]
    return Board.of(suites)


def board_suite(name: str, records: Sequence[Record], store: Store, today: Today, reasons: Reasons) -> BoardSuite:
    """One suite by all of its records, unpacked in `store`; `reasons` say why some are outdated.

    Those of another protocol are in no table.

    Raises RequestError for records that give no tables.
    """
    suite = today.suite
    current = [record for record in records if record.protocol_version == PROTOCOL_VERSION]
    shown, left_out = _comparable(current, reasons)
    plan = suite_plan(suite, today.catalogue) if suite else None
    order = {scenario: place for place, scenario in enumerate(plan.scenarios)} if plan else {}

    def place(report: ScenarioReport) -> tuple[int, str]:
        return order.get(report.runs.scenario, len(order)), report.runs.scenario

    return BoardSuite(
        name=name,
        title=suite.title if suite else name,
        plan=plan,
        reports=tuple(sorted(scenario_reports(shown, store.arrays, list_flips=False), key=place)) if shown else (),
        outdated={file_of(record): why for record in shown if (why := why_outdated(record, reasons))},
        left_out=tuple(left_out),
        older=Counter(one.protocol_version for one in records if one.protocol_version != PROTOCOL_VERSION),
    )


def suite_plan(suite: Suite, catalogue: Catalogue) -> SuitePlan:
    """The planned cells of `suite` with the built-in methods. Needs no data."""
    folder = builtin_folder("methods").resolve()
    builtin = Catalogue({name: one for name, one in catalogue.plugins.items() if one.path.parent == folder})
    rows = [entry for entry in select_methods(suite, builtin, ()) if entry.name in builtin.plugins]
    return SuitePlan(
        scenarios=tuple(suite.scenarios),
        labels=tuple(entry.label for entry in rows),
        seeds=suite.seeds,
    )


def _comparable(records: Sequence[Record], reasons: Reasons) -> tuple[list[Record], list[Record]]:
    """The records that may share tables, and outdated ones that may not, since newer ones are there."""
    shown, left_out = list(records), []
    for group, version in _SHARED:
        current = {group(record): version(record) for record in shown if not why_outdated(record, reasons)}
        fits = [version(record) == current.get(group(record), version(record)) for record in shown]
        left_out += [record for record, fit in zip(shown, fits, strict=True) if not fit]
        shown = [record for record, fit in zip(shown, fits, strict=True) if fit]
    return shown, left_out


def _settings(record: Record) -> str:
    return digest(record.spec.model_dump(mode="json", exclude={"method", "seed"}))


_SHARED: tuple[tuple[Callable[[Record], Hashable], Callable[[Record], Hashable]], ...] = (
    (lambda record: record.spec.scenario, _settings),
    (
        lambda record: (record.spec.scenario, record.spec.method.label),
        lambda record: digest([record.spec.method.source_hash, record.spec.method.params]),
    ),
)
"""What must not differ among which records of a suite, see `compatbench.report.rows.runs.scenarios`."""
