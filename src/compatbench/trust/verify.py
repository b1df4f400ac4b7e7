"""Checks folders of results: every record, its staleness, and on the leaderboard the tables and the files."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from compatbench.discovery.plugins import Catalogue
from compatbench.errors import RequestError
from compatbench.measurement.metrics import ArrayScorer
from compatbench.plan.selection import Selection
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.report.rows.runs import file_of
from compatbench.report.site.board import Board, BoardSuite
from compatbench.trust.board import board_suite
from compatbench.trust.checks import Checked, checker
from compatbench.trust.consistency import Consistency, baselines_first, without_baseline
from compatbench.trust.declared import undeclared
from compatbench.trust.packs import unpacked_board
from compatbench.trust.problems import Problem
from compatbench.trust.record_files import contradictions, links, needless_arrays, suites_in
from compatbench.trust.staleness import Reasons, outdated
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
    beside them that they give, and share their folder with no file that no record needs. On a machine's own runs an
    outdated record is worth a note only: it is no longer shown.
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
                records = self._read(name, len(there), checked[name])
                everything += records
                today = Today.of(name, self.catalogue)
                reasons = outdated(records, today)
                selected = [record for record in records if self.selection.includes(record.spec)]
                self._own_facts(selected, today, reasons)
                self.verdict.records += selected
                if self.leaderboard is not None and records:
                    self.watch(f"{name}: its records are compared, and its tables written again")
                    for record in baselines_first(selected):
                        self.verdict.problems += contradictions(record, file_of(record), consistency)
                    self._tell(without_baseline(records))
                    board += self._tables(name, records, today, reasons, self.leaderboard)
        if self.leaderboard is not None and not suites:
            self.verdict.problems += page_problems(Board.of(board), self.leaderboard)
            self.verdict.problems += [
                Problem(path.relative_to(self.store.root).as_posix(), "no record needs this file; remove it")
                for path in needless_arrays(self.store, everything)
            ]
            self.verdict.problems += needless_pictures(self.leaderboard, everything)

    def _read(self, suite: str, count: int, checked: Iterable[Checked]) -> list[Record]:
        """All records of a suite that can be read."""
        records = []
        for number, (record, problems) in enumerate(checked):
            self.watch(f"{suite}: {number} of {count} records checked")
            self.verdict.problems += problems
            if record is not None:
                records.append(record)
        return records

    def _own_facts(self, records: Iterable[Record], today: Today, reasons: Reasons) -> None:
        """What each record says of its method, and whether it is outdated: worth a note where it isn't published."""
        published = self.leaderboard is not None
        for record in records:
            self._tell((record, told) for told in undeclared(record.spec, today, published=published))
            why = reasons[file_of(record)]
            if why and (published or today.suite is not None):  # else a suite file of one's own, wherever it lies
                told = f"outdated: {'; '.join(why)}; run its cell again"
                self.verdict.problems.append(Problem(file_of(record), told, published))

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
