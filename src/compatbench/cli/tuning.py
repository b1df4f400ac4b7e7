"""The command `tune`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from compatbench.cli.console import plain_console
from compatbench.cli.options import (
    DEFAULT_DATA,
    DEFAULT_RUNS,
    Address,
    Data,
    Datasets,
    ExecutorName,
    ExecutorOptions,
    Jobs,
    Methods,
    Runs,
    Scenarios,
    SuiteArgument,
    assignments,
    selection_of,
)
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from compatbench.suite.tuned import TunedMethod


def tune(
    suite: SuiteArgument,
    methods: Methods = "",
    scenarios: Scenarios = "",
    jobs: Jobs = 0,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed trials again.")] = False,
    executor: ExecutorName = "local",
    address: Address = None,
    option: ExecutorOptions = None,
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """Try eight settings of each method's parameters on held-out images, and write the best ones for tuned rows."""
    from compatbench.plan.selection import check_names

    options = assignments("--option", option, "slurm_partition=gpu")
    console = plain_console()
    selection, folders = selection_of(methods, scenarios, "")
    check_names(suite, selection, folders)

    from compatbench.cli import bench as benching
    from compatbench.discovery.plugins import discover
    from compatbench.execution.choice import Choice
    from compatbench.plan.cells import outcome, remaining
    from compatbench.plan.trials import choose, trial_plan
    from compatbench.records.store import Store
    from compatbench.suite.suite import suite_file
    from compatbench.suite.tuned import tuned_file, write_tuned

    def notify(line: str) -> None:
        console.print(line, soft_wrap=True)

    prepared = benching.prepare(suite, selection, Store(runs), data, folders, notify, datasets or (), tuned=False)
    plan = trial_plan(prepared.name, prepared.suite, prepared.dataset, discover(folders), selection)
    if not plan.rows:
        raise RequestError("none of these methods declares a range to tune; see docs/adding-a-method.md")
    bench = replace(prepared, cells=plan.cells)
    todo = remaining(bench.cells, bench.store, retry, notify)
    if todo:
        chosen_jobs = jobs or benching.default_jobs()
        notify(f"{len(plan.rows)} methods: {len(todo)} of {len(plan.cells)} trials to run, {chosen_jobs} at a time")
        benching.run(bench, todo, chosen_jobs, console, Choice(executor, address, options))
    else:
        notify(f"all {len(plan.cells)} trials up to date")
    found = choose(plan, lambda cell: outcome(cell, bench.store))
    if not found:
        raise RequestError(
            "no scenario has a full backfill that gains 5 points of mAP on held-out images, so that nothing is chosen"
        )
    path = tuned_file(suite_file(suite))
    write_tuned(path, plan.seed, found)
    _print(found, console)
    notify(f"written: {path}")


def _print(found: Mapping[str, TunedMethod], console: Console) -> None:
    """A line for each row: A of the published and of the best values, and these."""
    for label, one in found.items():
        best = max((trial.score for trial in one.trials if trial.score is not None), default=None)
        published = one.trials[0].score
        scores = [f"{score:.3f}" if score is not None else "–" for score in (published, best)]
        values = ", ".join(f"{name}={value}" for name, value in one.chosen.items()) or "tuned = published"
        console.print(f"{label:<28} A {scores[0]:>7} published, {scores[1]:>7} best: {values}", soft_wrap=True)
