"""Checks folders of results: every record, its staleness, and on the leaderboard the tables and the files."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
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
from compatbench.suite.suite import Suite, available_suites, load_suite
from compatbench.trust.board import board_suite
from compatbench.trust.checks import checker
from compatbench.trust.consistency import Consistency, baselines_first, without_baseline
from compatbench.trust.declared import undeclared
from compatbench.trust.packs import unpacked_board
from compatbench.trust.problems import Problem
from compatbench.trust.record_files import contradictions, links, needless_arrays, suites_in
from compatbench.trust.staleness import stale
from compatbench.trust.tables import page_problems, suite_problems
from compatbench.trust.thumbnails import needless_pictures


@dataclass
class Verification:
    """The result of verifying a folder of results."""

    records: list[Record] = field(default_factory=list)
    """Those that could be read."""
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
        _check(verdict, store, store, catalogue, suites, selection, published=False, watch=watch)
        return verdict
    watch("the leaderboard is unpacked")
    with unpacked_board(store, verdict.problems) as unpacked:
        _check(verdict, unpacked, store, catalogue, suites, selection, published=True, watch=watch)
    return verdict


def _check(
    verdict: Verification,
    store: Store,
    generated: Store,
    catalogue: Catalogue,
    suites: Sequence[str],
    selection: Selection,
    *,
    published: bool,
    watch: Callable[[str], None],
) -> None:
    """Add to `verdict` what is wrong with the records in `store`, and with the `generated` files of a leaderboard."""
    consistency = Consistency(ArrayScorer(store.arrays).results)
    board: list[BoardSuite] = []
    files = {name: store.record_files(name) for name in suites or suites_in(store)}
    with checker(store, sum(map(len, files.values()))) as check:
        checked = {name: check(there) for name, there in files.items()}
        for name, paths in files.items():
            suite = load_suite(name)[1] if name in available_suites() else None
            everything: list[Record] = []
            for number, (path, (record, problems)) in enumerate(zip(paths, checked[name], strict=True)):
                watch(f"{name}: {number} of {len(paths)} records checked")
                if record is None:
                    verdict.problems += problems
                    continue
                everything.append(record)
                if not _selected(record, selection):
                    continue
                verdict.records.append(record)
                verdict.problems += problems
                where = path.relative_to(store.root).as_posix()
                facts = undeclared(record.spec, suite, catalogue, published=published)
                verdict.problems += [Problem(where, told) for told in facts]
                verdict.problems += _outdated(record, where, suite, catalogue, published)
            if published and everything:
                watch(f"{name}: its records are compared, and its tables written again")
                for record in baselines_first(one for one in everything if _selected(one, selection)):
                    verdict.problems += contradictions(record, file_of(record), consistency)
                verdict.problems += [Problem(file_of(record), told) for record, told in without_baseline(everything)]
                try:
                    board.append(board_suite(name, everything, store, catalogue))
                except RequestError as error:
                    verdict.problems.append(Problem(name, f"its records give no tables: {error}"))
                else:
                    left_out = (
                        "is in no table: it is outdated, or of other settings than newer records beside it; remove it"
                    )
                    verdict.problems += [Problem(file_of(record), left_out) for record in board[-1].left_out]
                    verdict.problems += suite_problems(board[-1], generated)
    if published and not suites and selection == Selection():
        verdict.problems += page_problems(Board.of(board), generated)
        verdict.problems += [
            Problem(path.relative_to(store.root).as_posix(), "no record needs this file; remove it")
            for path in needless_arrays(store, verdict.records)
        ]
        verdict.problems += needless_pictures(generated, verdict.records)


def _selected(record: Record, selection: Selection) -> bool:
    spec = record.spec
    return (
        (not selection.methods or bool({spec.method.name, spec.method.label} & set(selection.methods)))
        and (not selection.scenarios or spec.scenario in selection.scenarios)
        and (not selection.seeds or spec.seed in selection.seeds)
    )


def _outdated(record: Record, where: str, suite: Suite | None, catalogue: Catalogue, published: bool) -> list[Problem]:
    if suite is None and not published:
        return []  # a suite file of one's own, which may lie anywhere
    reasons = list(stale(record.spec, suite, catalogue))
    return [Problem(where, f"outdated: {'; '.join(reasons)}; run its cell again", published)] if reasons else []
