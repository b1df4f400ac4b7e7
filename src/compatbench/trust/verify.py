"""Checks folders of results: every record, its staleness, and on the leaderboard the tables and the files."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compatbench.discovery.plugins import Catalogue
from compatbench.errors import RequestError
from compatbench.measurement.metrics import ArrayScorer
from compatbench.plan.selection import Selection
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.report.rows.runs import file_of
from compatbench.report.site.board import Board, BoardSuite
from compatbench.trust.board import board_suite
from compatbench.trust.checks import checker, collect
from compatbench.trust.consistency import Consistency, baselines_first, without_baseline
from compatbench.trust.declared import undeclared
from compatbench.trust.packs import unpacked_board
from compatbench.trust.problems import Problem
from compatbench.trust.record_files import contradictions, links, needless_arrays, suites_in
from compatbench.trust.staleness import Reasons, outdated, why_outdated
from compatbench.trust.tables import page_problems, suite_problems
from compatbench.trust.thumbnails import needless_pictures
from compatbench.trust.today import Today


@dataclass
class Verification:
    """The result of verifying a folder of results."""

    records: list[Record] = field(default_factory=list)
    """The selected ones, unless they cannot be read."""
    problems: list[Problem] = field(default_factory=list)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage: records are kept to the end, and to go through them all takes a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_uncollected()
def verify(
    store: Store,
    catalogue: Catalogue,
    suites: Sequence[str],
    selection: Selection,
    *,
    published: bool,
    watch: Callable[[str], None] = lambda progress: None,
) -> Verification:
    """Check the selected records of `suites`, or of all suites if none is named.

    `published` records, those of the leaderboard, must be up to date, agree with each other, have the tables and pages
    beside them that they give, and share their folder with no file that no record needs; these are of all records,
    whatever is selected. On a machine's own runs an outdated record is worth a note only: it is no longer shown.
    """
    verdict = Verification()
    if outside := links(store.root):
        verdict.problems = [Problem(str(path), "is a link; put the file itself there") for path in outside]
        return verdict
    if not published:
        _Verifier(verdict, store, None, catalogue, selection, watch).check(suites)
        return verdict
    watch("the leaderboard is unpacked")
    with unpacked_board(store, verdict.problems) as unpacked:
        _Verifier(verdict, unpacked, store, catalogue, selection, watch).check(suites)
    return verdict


@dataclass
class _Verifier:
    """Adds to `verdict` what is wrong with records, and on a leaderboard with its generated files."""

    verdict: Verification
    store: Store
    """With the records and arrays, unpacked."""
    leaderboard: Store | None
    """With the generated files; None for a machine's own runs."""
    catalogue: Catalogue
    selection: Selection
    watch: Callable[[str], None]

    def check(self, suites: Sequence[str]) -> None:
        """Check the records of `suites`, of all if none is named."""
        consistency = Consistency(ArrayScorer(self.store.arrays).results)
        board: list[BoardSuite] = []
        everything: list[Record] = []
        files = {name: self.store.record_files(name) for name in suites or suites_in(self.store)}
        with checker(self.store, sum(map(len, files.values())), self.selection) as check:
            checked = {name: check(there) for name, there in files.items()}
            for name, there in files.items():
                found, problems = collect(name, there, checked[name], self.watch)
                self.verdict.problems += problems
                records = list(found.values())
                everything += records
                selected = {path: one for path, one in found.items() if self.selection.includes(one.spec)}
                today = Today.of(name, self.catalogue)
                reasons = outdated(records if self.leaderboard else selected.values(), today)
                self._own_facts(selected, today, reasons)
                self.verdict.records += selected.values()
                if self.leaderboard is not None and records:
                    self.watch(f"{name}: its records are compared, and its tables written again")
                    for record in baselines_first(selected.values()):
                        self.verdict.problems += contradictions(record, consistency)
                    self._tell(without_baseline(records))
                    board += self._tables(name, records, today, reasons, self.leaderboard)
        if self.leaderboard is not None and not suites:
            self.verdict.problems += page_problems(Board.of(board), self.leaderboard)
            self.verdict.problems += [
                Problem(path.relative_to(self.store.root).as_posix(), "no record needs this file; remove it")
                for path in needless_arrays(self.store, everything)
            ]
            self.verdict.problems += needless_pictures(self.leaderboard, everything)

    def _own_facts(self, records: Mapping[Path, Record], today: Today, reasons: Reasons) -> None:
        """What each record says of its method, and whether it is outdated: worth a note where it isn't published."""
        published = self.leaderboard is not None
        for path, record in records.items():
            where = path.relative_to(self.store.root).as_posix()
            facts = undeclared(record.spec, today, published=published)
            self.verdict.problems += [Problem(where, told) for told in facts]
            why = why_outdated(record, reasons)
            if why and (published or today.suite is not None):  # else a suite file of one's own, wherever it lies
                told = f"outdated: {'; '.join(why)}; run its cell again"
                self.verdict.problems.append(Problem(where, told, published))

    def _tables(
        self, name: str, records: Sequence[Record], today: Today, reasons: Reasons, leaderboard: Store
    ) -> list[BoardSuite]:
        """The suite by its records, whose tables must be those of the leaderboard; none where they give no tables."""
        try:
            suite = board_suite(name, records, self.store, today, reasons)
        except RequestError as error:
            self.verdict.problems.append(Problem(name, f"its records give no tables: {error}"))
            return []
        left_out = "is in no table: it is outdated, or of other settings than newer records beside it; remove it"
        self._tell((record, left_out) for record in suite.left_out)
        self.verdict.problems += suite_problems(suite, leaderboard)
        return [suite]

    def _tell(self, problems: Iterable[tuple[Record, str]]) -> None:
        self.verdict.problems += [Problem(file_of(record), told) for record, told in problems]
