"""Commands about trust in results: verify, submit, tables, reproduce, order."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compatbench.cli.console import plain_console, shown_progress
from compatbench.cli.options import (
    DEFAULT_DATA,
    DEFAULT_RUNS,
    DEFAULT_SUITE,
    Data,
    Datasets,
    Methods,
    Runs,
    Scenarios,
    Seeds,
    selection_of,
    split_folders,
)
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.records.record import Record

DEFAULT_LEADERBOARD = Path("results/leaderboard")
RETRAIN_MINUTES = 120
"""For each of the records that are re-run."""
Leaderboard = Annotated[Path, typer.Option("--leaderboard", help="Folder of the committed results.")]


def verify(
    what: Annotated[
        str, typer.Argument(help="A suite by name, or one of the two folders; everything, where none is given.")
    ] = "",
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    runs: Runs = DEFAULT_RUNS,
    leaderboard: Leaderboard = DEFAULT_LEADERBOARD,
    retrain: Annotated[int, typer.Option("--retrain", min=0, help="Re-run so many records too, and compare.")] = 0,
    draw: Annotated[int, typer.Option("--draw", help="Seed that draws the records to re-run.")] = 0,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """Check records: format, hashes, names, staleness, and every score against its per-query arrays.

    On the leaderboard the tables too, and that its records agree. Exit code 1 where something cannot be trusted.
    """
    from compatbench.discovery.plugins import discover
    from compatbench.records.store import Store
    from compatbench.trust.problems import serious, told
    from compatbench.trust.reproduce import TOLERANCE, drawn
    from compatbench.trust.verify import verify as check

    selection, folders = selection_of(methods, scenarios, seeds)
    catalogue = discover(folders)
    stores = [(Store(root), published) for root, published in ((leaderboard, True), (runs, False)) if root.is_dir()]
    of_folder = [one for one in stores if what and one[0].root.resolve() == Path(what).resolve()]
    suites = (what,) if what and not of_folder else ()
    if suites and not any(store.suite(what).is_dir() for store, _ in stores):
        raise RequestError(
            f"no records of '{what}' in {leaderboard} or {runs}: name a suite that has some, or a folder"
        )
    if not stores:
        print(f"no records in {leaderboard} or {runs}: nothing to check")
    failed = 0
    for store, published in of_folder or stores:
        with shown_progress() as watch:
            verdict = check(store, catalogue, suites, selection, published=published, watch=watch)
        for line in told(verdict.problems):
            print(line)
        bad = serious(verdict.problems)
        failed += len(bad)
        notes = len(verdict.problems) - len(bad)
        print(f"{store.root}: {len(verdict.records)} records, {len(bad)} problems, {notes} notes")
        for record in drawn(verdict.records, retrain, draw) if retrain else ():
            print(f"re-run: {store.record(record.spec)}")
            again = _reproduced(record, folders, data, datasets, runs, TOLERANCE, RETRAIN_MINUTES, coarse=published)
            failed += not again
    if failed:
        raise typer.Exit(1)


def submit(
    suite: Annotated[str, typer.Argument(help="A built-in suite by name.")] = DEFAULT_SUITE,
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
    leaderboard: Leaderboard = DEFAULT_LEADERBOARD,
) -> None:
    """Put verified runs on the leaderboard, with their per-query arrays, and write its tables and pages again."""
    from compatbench.cli.bench import prepare
    from compatbench.data.samples import Samples
    from compatbench.discovery.plugins import discover
    from compatbench.records.store import Store
    from compatbench.trust.problems import serious, told
    from compatbench.trust.submit import submit as promote

    selection, folders = selection_of(methods, scenarios, seeds)
    bench = prepare(suite, selection, Store(runs), data, folders, print, datasets or ())
    with shown_progress() as watch:
        samples = Samples(bench.dataset)
        submission = promote(bench.cells, bench.store, Store(leaderboard), discover(folders), samples, watch)
    for line in told(submission.problems):
        print(line)
    if bad := serious(submission.problems):
        print(f"nothing was submitted: {len(bad)} problems")
        raise typer.Exit(1)
    print(
        f"{len(submission.added)} records submitted to {leaderboard / bench.name}, "
        f"{len(submission.replaced)} older ones replaced"
    )
    if submission.missing:
        print(
            f"{len(submission.missing)} selected cells have no record on the leaderboard yet: compatbench plan {suite}"
        )
    print(f"next: commit {leaderboard.parent} and README.md; CI re-scores every record from its arrays")


def tables(leaderboard: Leaderboard = DEFAULT_LEADERBOARD) -> None:
    """Write the leaderboard's tables and pages, and its part of README.md, again from its records."""
    from compatbench.discovery.plugins import discover
    from compatbench.records.store import Store
    from compatbench.trust.board import read_board
    from compatbench.trust.tables import write_board

    store = Store(leaderboard)
    board = read_board(store, discover())
    if not board.suites:
        told = "; ".join(board.warnings) or "contains no records"
        raise RequestError(f"{leaderboard}: {told}; put some there with `compatbench submit`")
    written = write_board(board, store)
    print(f"{len(written)} files written from the records in {leaderboard}")


def reproduce(
    record: Annotated[Path, typer.Argument(help="A record's .json file; on the leaderboard SCENARIO.zip/NAME.json.")],
    methods: Methods = "",
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Of a score, where not every byte must be the same.")
    ] = 0.01,
    timeout_minutes: Annotated[float, typer.Option("--timeout", min=0.1, help="Minutes for the cell.")] = 120,
) -> None:
    """Re-run a recorded cell in a folder of its own, and compare; features of frozen trunks are those of --runs."""
    from compatbench.records.store import PACKED
    from compatbench.trust.packs import find_record

    recorded, folders = find_record(record), split_folders(methods)[1]
    packed = not record.is_file() or record.suffix == PACKED
    if not _reproduced(recorded, folders, data, datasets, runs, tolerance, timeout_minutes, coarse=packed):
        raise typer.Exit(1)


def _reproduced(
    recorded: Record,
    folders: tuple[Path, ...],
    data: Path,
    datasets: list[Path] | None,
    runs: Path,
    tolerance: float,
    timeout_minutes: float,
    *,
    coarse: bool,
) -> bool:
    """Re-run a record's cell in a folder of its own, print the differences and what was asked, and tell if it held."""
    import tempfile

    from compatbench.execution.cell import RunContext
    from compatbench.execution.display import Display
    from compatbench.records.store import Store
    from compatbench.trust.reproduce import HITS, threads_of
    from compatbench.trust.reproduce import reproduce as run_again

    with tempfile.TemporaryDirectory(prefix="compatbench-") as scratch:
        if any(generation.frozen for generation in recorded.spec.generations):
            features = Store(runs).features  # this machine's: they take minutes where a cell takes seconds
            features.mkdir(parents=True, exist_ok=True)
            Store(Path(scratch)).features.symlink_to(features.resolve())
        context = RunContext(Path(scratch), data, folders, threads_of(recorded), dataset_folders=tuple(datasets or ()))
        with Display(plain_console(), 1) as display:
            outcome = run_again(
                recorded,
                context,
                display,
                tolerance=tolerance,
                timeout_seconds=60 * timeout_minutes,
                coarse=coarse,
            )
    how = f"to the last bit of every number and array that the {'leaderboard' if coarse else 'record'} keeps"
    if outcome.inexact:
        means, hits = outcome.apart
        how = (
            f"within {outcome.tolerance:g} of mAP and {HITS * outcome.tolerance:g} of hit rates, and not to the last "
            f"bit, since {outcome.inexact}: mAP is at most {means:.4f} apart, hit rates {hits:.4f}"
        )
    for difference in outcome.differences:
        print(difference)
    print(f"not reproduced {how}" if outcome.differences else f"reproduced {how}")
    return not outcome.differences


def order(
    suite: Annotated[str, typer.Argument(help="A suite that was run, such as one of frozen trunks.")] = "icons",
    other: Annotated[str, typer.Argument(help="Another one with scenarios of the same names.")] = "icons_end_to_end",
    scenarios: Scenarios = "",
    runs: Runs = DEFAULT_RUNS,
    leaderboard: Leaderboard = DEFAULT_LEADERBOARD,
) -> None:
    """Compare the order of methods in two suites: Spearman's rank correlation of their A, with its interval.

    Where one of them was not run here, the committed results of both are compared.
    """
    from compatbench.records.record import read_record
    from compatbench.records.store import Store
    from compatbench.report.rows.agreement import agreement
    from compatbench.report.rows.row import MethodRow, method_rows
    from compatbench.report.rows.runs import scenarios as sorted_runs
    from compatbench.report.rows.scores import ScoreReader
    from compatbench.trust.packs import unpacked_board

    def rows_of(store: Store, name: str) -> dict[str, list[MethodRow]]:
        records = [read_record(path) for path in store.record_files(name)]
        if not records:
            where = f"{leaderboard}, and {runs} does not have both suites"
            raise RequestError(f"suite '{name}' has no records in {where}; run '{suite}' and '{other}' first")
        newest = max(record.protocol_version for record in records)
        current = [record for record in records if record.protocol_version == newest]
        reader = ScoreReader(store.arrays)
        return {one.scenario: method_rows(one, reader) for one in sorted_runs(current)}

    own = Store(runs)
    here = all(own.record_files(name) for name in (suite, other))
    with nullcontext(own) if here else unpacked_board(Store(leaderboard)) as store:
        ones, others = rows_of(store, suite), rows_of(store, other)
        wanted = selection_of("", scenarios, "")[0].scenarios
        shared = [name for name in ones if name in others and (not wanted or name in wanted)]
        if not shared:
            raise RequestError(f"suites '{suite}' and '{other}' share no such scenario")
        console = plain_console(soft_wrap=True)
        for name in shared:
            found = agreement(name, ones[name], others[name])
            rho = found.correlation
            value, low, high = (f"{one:.2f}" if one is not None else "–" for one in (rho.value, rho.low, rho.high))
            console.print(f"{name}: Spearman's ρ {value} [{low}, {high}] over {len(found.labels)} methods")
            console.print(f"  {suite}: {', '.join(found.labels)}")
            console.print(f"  {other}: {', '.join(found.others)}")
