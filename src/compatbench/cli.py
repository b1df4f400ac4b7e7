"""The command line. Exit codes: 0 done, 1 a cell failed or a gate did not hold, 2 the request is wrong.

Heavy libraries are imported inside the commands, so that `--help` and a typing mistake answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from compatbench import cli_adapters, cli_compare, cli_data, cli_search, cli_trust
from compatbench.cli_options import (
    DEFAULT_DATA,
    DEFAULT_RUNS,
    Data,
    Methods,
    Runs,
    Scenarios,
    Seeds,
    SuiteArgument,
    selection_of,
    split_folders,
)
from compatbench.errors import MachineError, RequestError

if TYPE_CHECKING:
    from compatbench.bench import Bench

app = typer.Typer(
    name="compatbench",
    help="Benchmark backward-compatible embeddings: one protocol, many methods, honest tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli_adapters.register(app)
cli_compare.register(app)
cli_data.register(app)
cli_search.register(app)
cli_trust.register(app)


@app.command()
def run(
    suite: SuiteArgument = "fashion",
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Cells at a time; 0 chooses.")] = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed cells again.")] = False,
    executor: Annotated[str, typer.Option("--executor", help="Where cells run: local, ray or slurm.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", envvar="RAY_ADDRESS", help="A Ray cluster; one is started where absent.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Of Slurm jobs, e.g. slurm_partition=gpu; may be repeated.")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
) -> None:
    """Run what is missing of a suite, then write and print its tables."""
    from compatbench import bench as benching
    from compatbench.execution.choice import Choice
    from compatbench.plan import remaining
    from compatbench.records import Status

    console = _console()
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, console)
    todo = remaining(bench.cells, bench.store, retry, lambda line: console.print(line, soft_wrap=True))
    if todo:
        chosen = jobs or benching.default_jobs()
        minutes = benching.estimate_minutes(bench, todo, chosen)
        console.print(
            f"{bench.suite.title}: {len(todo)} of {len(bench.cells)} cells to run, {chosen} at a time, "
            f"about {minutes:.0f} min",
            soft_wrap=True,
        )
        benching.run(bench, todo, chosen, console, Choice(executor, address, tuple(option or ())))
    else:
        console.print(f"all {len(bench.cells)} cells up to date", soft_wrap=True)
    records = benching.report(bench, console)
    failed = [record for record in records if record.status not in (Status.OK, Status.SKIPPED)]
    if failed:
        console.print(
            f"{len(failed)} cells did not succeed; --retry (make bench RETRY=1) runs them again", soft_wrap=True
        )
        raise typer.Exit(1)


@app.command()
def plan(
    suite: SuiteArgument = "fashion",
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Cells at a time; 0 chooses.")] = 0,
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
) -> None:
    """Show the cells of a suite, which of them are done, what the rest will cost, and what data are missing."""
    from compatbench.bench import default_jobs
    from compatbench.plan_listing import plan_lines

    console = _console(soft_wrap=True)
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, console, planning=True)
    for line in plan_lines(bench, jobs or default_jobs()):
        console.print(line)


@app.command()
def status(
    suite: SuiteArgument = "fashion",
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
) -> None:
    """Show what runs, what finished, and what failed and why; also while another process runs the suite."""
    import datetime

    from compatbench.status import status_lines

    console = _console(soft_wrap=True)
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, console, planning=True)
    for line in status_lines(bench.cells, bench.store, datetime.datetime.now(datetime.UTC)):
        console.print(line)


@app.command()
def report(
    suite: SuiteArgument = "fashion",
    methods: Methods = "",
    scenarios: Scenarios = "",
    seeds: Seeds = "",
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    into: Annotated[Path | None, typer.Option("--into", help="Also put the tables between this file's marks.")] = None,
) -> None:
    """Write and print the tables of what a suite has left so far."""
    from compatbench import bench as benching

    console = _console()
    bench = _prepare(suite, methods, scenarios, seeds, runs, data, console)
    benching.report(bench, console, into)


@app.command(name="list")
def list_all(methods: Methods = "") -> None:
    """List suites, datasets and methods; method files that do not load are named with their error."""
    from compatbench.data.catalogue import FAMILIES
    from compatbench.plugins import discover
    from compatbench.suite import available_suites, load_suite

    _, folders = split_folders(methods)
    console = _console(soft_wrap=True)
    console.print("suites", style="bold")
    for name in available_suites():
        console.print(f"  {name:<24}{load_suite(name)[1].title}")
    console.print("datasets", style="bold")
    for name, family in FAMILIES.items():
        console.print(f"  {name:<24}{family.description}")
    console.print("methods", style="bold")
    catalogue = discover(folders)
    for name, plugin in sorted(catalogue.methods.items()):
        console.print(f"  {name:<24}{plugin.summary}")
    for broken in catalogue.broken:
        console.print(f"  {broken.path.stem:<24}does not load: {broken.path}: {broken.error}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The method's name, e.g. my_method.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to write it; the built-in methods.")] = None,
) -> None:
    """Write a method file that keeps the contract, to start from."""
    from compatbench.builtin import builtin_folder
    from compatbench.scaffold import new_method

    path = new_method(name, folder or builtin_folder("methods"))
    print(f"written: {path}")
    print(f"next: compatbench check {path}; compatbench run digits --methods {name}")


@app.command()
def check(
    method: Annotated[str, typer.Argument(help="A method file, or the name of a built-in method.")],
) -> None:
    """Check that a method keeps the contract; each finding says what to change. Exit code 1 if one fails."""
    from compatbench.builtin import builtin_folder
    from compatbench.contract import check as check_method

    path = Path(method) if method.endswith(".py") else builtin_folder("methods") / f"{method}.py"
    if not path.is_file():
        raise RequestError(f"no method file {path}; give the name of a built-in method, or a path to a .py file")
    outcome = check_method(path)
    print(outcome)
    if not outcome.passed:
        raise typer.Exit(1)


@app.command()
def docs(
    folder: Annotated[Path, typer.Option("--folder", help="Holds reproduction.yaml; gets methods.md.")] = Path("docs"),
) -> None:
    """Write docs/methods.md, the overview of all methods, from their files."""
    from compatbench.files import write_whole
    from compatbench.method_page import methods_page

    path = folder / "methods.md"
    write_whole(path, methods_page(folder))
    print(f"written: {path}")


def _prepare(
    suite: str,
    methods: str,
    scenarios: str,
    seeds: str,
    runs: Path,
    data: Path,
    console: Console,
    *,
    planning: bool = False,
) -> Bench:
    """The bench of a command's selectors."""
    from compatbench.bench import prepare
    from compatbench.store import Store

    selection, folders = selection_of(methods, scenarios, seeds)

    def notify(line: str) -> None:
        console.print(line, soft_wrap=True)

    return prepare(suite, selection, Store(runs), data, folders, notify, planning=planning)


def _console(*, soft_wrap: bool = False) -> Console:
    """Prints what it is given: titles, paths and reasons may hold brackets that rich would take for its own."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)


def main() -> None:
    """Entry point of the `compatbench` command."""
    try:
        app()
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except MachineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
