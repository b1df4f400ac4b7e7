"""Promotes runs to the leaderboard: only verified records, with their arrays, in the form for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compatbench.data.samples import Samples
from compatbench.discovery.plugins import Catalogue
from compatbench.errors import RequestError
from compatbench.measurement.metrics import ArrayScorer
from compatbench.plan.cells import Cell
from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.report.rows.runs import file_of
from compatbench.suite.suite import available_suites
from compatbench.trust.board import read_board
from compatbench.trust.checks import checker, collect
from compatbench.trust.consistency import Consistency, baselines_first, without_baseline
from compatbench.trust.declared import undeclared
from compatbench.trust.packs import pack_scenarios, plain_records, publish, unpacked_board
from compatbench.trust.problems import Problem, serious
from compatbench.trust.record_files import contradictions, links, needless_arrays
from compatbench.trust.staleness import stale
from compatbench.trust.tables import refuse_foreign, write_board
from compatbench.trust.thumbnails import write_thumbnails
from compatbench.trust.today import Today


@dataclass
class Submission:
    """The result of a submission, or the reason for none."""

    problems: list[Problem] = field(default_factory=list)
    """Where one of them is serious, nothing was copied."""
    added: list[Path] = field(default_factory=list)
    """As paths below a folder of runs; so are the next."""
    replaced: list[Path] = field(default_factory=list)
    missing: list[Cell] = field(default_factory=list)
    """Selected cells that have no record on the leaderboard yet."""


def submit(
    cells: Sequence[Cell],
    runs: Store,
    leaderboard: Store,
    catalogue: Catalogue,
    samples: Samples | None = None,
    watch: Callable[[str], None] = lambda progress: None,
) -> Submission:
    """Copy the records of `cells`, of one suite, from `runs` to `leaderboard`, and write all tables again.

    `samples` are those of the suite's dataset; the pictures of what the page shows of them are written too.
    A record takes the place of an older one of the same row, scenario and seed. Raises RequestError where there is
    nothing to copy, for a suite that readers do not have, where one of the two folders contains a link, and where
    results/README.md was written by hand.
    """
    suite = cells[0].spec.suite
    if suite not in available_suites():
        raise RequestError(f"suite '{suite}' is not built in: add it to benchmarks/, so that others can run it too")
    _refuse_links(runs, leaderboard)
    refuse_foreign(leaderboard)
    paths = [path for cell in cells if (path := runs.record(cell.spec)).exists()]
    if not paths:
        raise RequestError(f"suite '{suite}' has no records to submit; run it first")
    with checker(runs, len(paths)) as check:
        records, problems = collect(suite, paths, check(paths), watch)
    submission = Submission(problems)
    if serious(submission.problems):
        return submission
    watch("the leaderboard is unpacked")
    with unpacked_board(leaderboard) as board:
        for path in plain_records(leaderboard):
            record = read_record(leaderboard.root / path)
            if not record.is_early:
                publish(record, board.arrays, board)
        added = [publish(record, runs.arrays, board) for record in records.values()]
        new = [read_record(board.root / path) for path in added]
        submission.problems += _disagreements(new, suite, board, catalogue)
        if serious(submission.problems):
            return submission
        submission.added = added
        submission.missing = [cell for cell in cells if not board.record(cell.spec).exists()]
        submission.replaced = _remove_older(board, suite, submission.added)
        everything = [read_record(path) for path in board.root.glob("*/records/**/*.json")]
        watch("the leaderboard is packed")
        changed = [*plain_records(leaderboard), *submission.added, *submission.replaced]
        pack_scenarios(board, leaderboard, dict.fromkeys(path.parent for path in changed))
    watch("tables and pages are written")
    for path in needless_arrays(leaderboard, everything):
        path.unlink()
    if samples is not None:
        write_thumbnails(leaderboard, everything, cells[0].spec.dataset, samples)
    write_board(read_board(leaderboard, catalogue), leaderboard)
    return submission


def _refuse_links(runs: Store, leaderboard: Store) -> None:
    if outside := links(leaderboard.root):
        raise RequestError(f"{outside[0]} is a link: nothing is written through it; put a folder or file there")
    if outside := links(runs.root):
        raise RequestError(f"{outside[0]} is a link: nothing is published through it; put the file itself there")


def _disagreements(records: Sequence[Record], suite: str, board: Store, catalogue: Catalogue) -> list[Problem]:
    """What new records of the unpacked `board` say otherwise than their methods, each other, and those that stay."""
    today = Today.of(suite, catalogue)
    rows = set(map(_row, records))
    stay = [one for path in board.record_files(suite) if _row(one := read_record(path)) not in rows]
    stay = [one for one in stay if not any(stale(one.spec, today))]
    consistency = Consistency(ArrayScorer(board.arrays).results)
    for one in baselines_first(stay):
        contradictions(one, consistency)
    problems = [Problem(file_of(one), told) for one, told in without_baseline([*stay, *records])]
    for one in baselines_first(records):
        problems += [Problem(file_of(one), told) for told in undeclared(one.spec, today, published=True)]
        problems += contradictions(one, consistency)
    return problems


def _remove_older(board: Store, suite: str, added: Sequence[Path]) -> list[Path]:
    files = [board.root / path for path in added]
    rows = {_row(read_record(path)) for path in files}
    replaced = [path for path in board.record_files(suite) if path not in files and _row(read_record(path)) in rows]
    for path in replaced:
        path.unlink()
    return [path.relative_to(board.root) for path in replaced]


def _row(record: Record) -> tuple[str, str, int]:
    return record.spec.scenario, record.spec.method.label, record.spec.seed
