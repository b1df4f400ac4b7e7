"""Commands about a suite: run, plan, status, report; and list."""

from __future__ import annotations

import datetime
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from compatbench.cli.console import plain_console
from compatbench.cli.options import (
    DEFAULT_DATA,
    DEFAULT_RUNS,
    DEFAULT_SUITE,
    Address,
    Data,
    Datasets,
    ExecutorName,
    ExecutorOptions,
    Jobs,
    Methods,
    RankBy,
    Runs,
    Scenarios,
    Seeds,
    SuiteArgument,
    assignments,
    ranking_number,
    selection_of,
    split_folders,
)
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.cli.bench import Bench


def run(
    context: typer.Context,
    suite: SuiteArgument = DEFAULT_SUITE,
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    jobs: Jobs = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed cells again.")] = False,
    executor: ExecutorName = "local",
    address: Address = None,
    option: ExecutorOptions = None,
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """Run the missing cells of a suite, then write and print its tables."""
    from compatbench.execution.launch import Launch

    coordinator = None
    if (launch := Launch.found_in(os.environ)) is not None:
        from compatbench.execution.distributed import Coordinator, follow

        if launch.rank > 0:
            follow(launch)
            return
        coordinator = context.with_resource(closing(Coordinator(launch)))
        if jobs > 1 or executor != "local":
            raise RequestError("processes of a launcher run each cell together: leave --jobs and --executor out")
    options = assignments("--option", option, "slurm_partition=gpu")
    console = plain_console()
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, datasets, console)

    from compatbench.cli.suite_report import write_and_print
    from compatbench.plan.cells import remaining
    from compatbench.vocabulary import Status

    todo = remaining(bench.cells, bench.store, retry, lambda line: console.print(line, soft_wrap=True))
    if todo:
        from compatbench.cli import bench as benching
        from compatbench.execution.choice import Choice
        from compatbench.plan.estimate import minutes_here

        chosen = 1 if coordinator else jobs or benching.default_jobs()
        minutes = minutes_here(todo, bench.dataset, chosen, bench.store.features)
        console.print(
            f"{bench.suite.title}: {len(todo)} of {len(bench.cells)} cells to run, {chosen} at a time"
            f"{f' in {coordinator.launch.size} processes' if coordinator else ''}, about {minutes:.0f} min",
            soft_wrap=True,
        )
        benching.run(bench, todo, chosen, console, Choice(executor, address, options, coordinator))
    else:
        console.print(f"all {len(bench.cells)} cells up to date", soft_wrap=True)
    records = write_and_print(bench, console, again=bool(todo))
    failed = [record for record in records if record.status not in (Status.OK, Status.SKIPPED)]
    if failed:
        console.print(
            f"{len(failed)} cells did not succeed; --retry (make bench RETRY=1) runs them again", soft_wrap=True
        )
        raise typer.Exit(1)


def plan(
    suite: SuiteArgument = DEFAULT_SUITE,
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    jobs: Jobs = 0,
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """Show the cells of a suite, which are done, the cost of the rest, and missing data."""
    console = plain_console(soft_wrap=True)
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, datasets, console, planning=True)

    from compatbench.cli.bench import default_jobs
    from compatbench.cli.plan_listing import plan_lines

    for line in plan_lines(bench, jobs or default_jobs()):
        console.print(line)


def status(
    suite: SuiteArgument = DEFAULT_SUITE,
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """Show running, finished and failed cells with reasons; works while another process runs the suite."""
    console = plain_console(soft_wrap=True)
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, datasets, console, planning=True)

    from compatbench.execution.status import status_lines

    for line in status_lines(bench.cells, bench.store, datetime.datetime.now(datetime.UTC)):
        console.print(line)
    if bench.missing:
        name = bench.suite.dataset
        console.print(f"records are not looked up without the data: `compatbench data get {name}` fetches them")


def report(
    suite: SuiteArgument = DEFAULT_SUITE,
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
    into: Annotated[Path | None, typer.Option("--into", help="Also put the tables between this file's marks.")] = None,
    rank_by: RankBy = "A",
) -> None:
    """Write and print the tables of a suite's records so far."""
    console = plain_console()
    number = ranking_number(rank_by)

    from compatbench.records.store import Store
    from compatbench.suite.suite import load_suite

    if not Store(runs).record_files(load_suite(suite)[0]):  # before data are downloaded for it
        console.print("no records yet: run the suite first")
        return
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, datasets, console)

    from compatbench.cli.suite_report import write_and_print

    write_and_print(bench, console, into, rank_by=number)


def list_all(methods: Methods = "", datasets: Datasets = None) -> None:
    """List suites, datasets and methods; name files that do not load, with their error."""
    from compatbench.discovery.datasets import known_datasets
    from compatbench.discovery.plugins import known_methods
    from compatbench.suite.suite import available_suites, load_suite

    _, folders = split_folders(methods)
    console = plain_console(soft_wrap=True)
    console.print("suites", style="bold")
    for name in available_suites():
        console.print(f"  {name:<24}{load_suite(name)[1].title}")
    for known in (known_datasets(datasets or ()), known_methods(folders)):
        console.print(f"{known.word}s", style="bold")
        for name in known.names:
            console.print(f"  {name:<24}{known.summaries[name]}")
        for one in known.broken:
            console.print(f"  {one.path.stem:<24}does not load: {one.path}: {one.error}")


def _prepare(
    suite: str,
    methods: str,
    scenarios: str,
    seeds: str,
    runs: Path,
    data: Path,
    datasets: list[Path] | None,
    console: Console,
    *,
    planning: bool = False,
) -> Bench:
    """The bench of a command's selectors."""
    from compatbench.plan.selection import check_names

    selection, folders = selection_of(methods, scenarios, seeds)
    check_names(suite, selection, folders)  # before what takes seconds to import

    from compatbench.cli.bench import prepare
    from compatbench.records.store import Store

    def notify(line: str) -> None:
        console.print(line, soft_wrap=True)

    return prepare(suite, selection, Store(runs), data, folders, notify, datasets or (), planning=planning)
