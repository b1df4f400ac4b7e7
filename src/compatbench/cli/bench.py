"""From a suite's name to its plan, its run and its report: what the command line and Python callers share.

What runs and what reports is imported where it is used, so that a plan does not wait for it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from compatbench.data.dataset import Dataset
from compatbench.data.samples import Samples
from compatbench.data.stand_in import stand_in
from compatbench.discovery import datasets
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.errors import MachineError, RequestError
from compatbench.execution.command import Origin
from compatbench.execution.gpus import gpu_slots, visible_gpus
from compatbench.plan.cells import EVERY_METHOD, Cell, Selection, make_plan, outcome
from compatbench.plan.pretrained import fetch_weights
from compatbench.records.environment import device
from compatbench.records.record import Record
from compatbench.records.store import Store, spec_hash
from compatbench.suite.suite import Suite, load_suite

if TYPE_CHECKING:
    from compatbench.execution.choice import Choice


@dataclass(frozen=True)
class Bench:
    """A suite with its data and methods loaded, and the cells that were selected."""

    name: str
    suite: Suite
    dataset: Dataset
    cells: list[Cell]
    others: list[Cell]
    """The suite's cells that were not selected; those that have a record are reported too."""
    store: Store
    data: Path
    method_folders: tuple[Path, ...]
    dataset_folders: tuple[Path, ...]
    origin: Origin
    missing: tuple[str, ...] = ()
    """Files of the dataset that are not here, where the bench is a plan that does without them."""


def prepare(
    suite: str,
    selection: Selection,
    store: Store,
    data: Path,
    method_folders: Sequence[Path],
    notify: Callable[[str], None],
    dataset_folders: Sequence[Path] = (),
    *,
    planning: bool = False,
) -> Bench:
    """Validate everything that can be wrong before anything runs, and fetch the data if it is missing.

    For `planning`, a large dataset that is missing is not fetched: its published sizes stand in for it.
    """
    name, loaded = load_suite(suite)
    catalogue = discover(method_folders)
    for broken in catalogue.broken:
        notify(f"left out {broken.path}: {broken.error}")
    check_methods(loaded, catalogue, suite)
    family = datasets.family(loaded.dataset, dataset_folders)
    options = datasets.parse_options(family, loaded.dataset_options)
    missing = family.missing(data, options) if planning else ()
    dataset: Dataset | None = stand_in(family, loaded.image_size) if missing else None
    if dataset is None:
        missing = ()
        family.get(data, options, notify)
        dataset = datasets.load(loaded.dataset, loaded.image_size, data, loaded.dataset_options, dataset_folders)
    cells = make_plan(name, loaded, dataset, catalogue, selection)
    selected = {spec_hash(cell.spec) for cell in cells}
    others = [
        cell
        for cell in make_plan(name, loaded, dataset, catalogue, Selection())
        if spec_hash(cell.spec) not in selected
    ]
    folders = tuple(method_folders), tuple(dataset_folders)
    return Bench(name, loaded, dataset, cells, others, store, data, *folders, Origin.of(suite, name, *folders), missing)


def check_methods(suite: Suite, catalogue: Catalogue, source: str) -> None:
    """Raise RequestError, naming the suite, for a method that is unknown or a parameter it cannot take."""
    for entry in suite.methods:
        try:
            if entry.name != EVERY_METHOD:
                catalogue.get(entry.name).resolve(entry.params)
        except RequestError as error:
            raise RequestError(f"suite {source}, methods: {error}") from error


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """Cells at a time: one a core, or a few on a GPU. Two processes of one thread beat one of two."""
    return min(len(gpu_slots(visible_gpus())), cores()) if device().type == "cuda" else cores()


def run(bench: Bench, cells: Sequence[Cell], jobs: int, console: Console, choice: Choice | None = None) -> list[Record]:
    """Run `cells` where `choice` says, showing progress on `console`; every one of them leaves a record.

    Raises RequestError where the folder of runs cannot be written or published weights cannot be fetched, and
    MachineError where the folder can no longer be written.
    """
    from compatbench.execution.cell import Workplace
    from compatbench.execution.choice import Choice, make_executor
    from compatbench.execution.display import Display

    fetch_weights(cells)
    try:
        bench.store.root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=bench.store.root).close()
    except OSError as error:
        raise RequestError(f"--runs {bench.store.root}: cannot be written: {error.strerror}") from error
    choice = choice or Choice()
    sharing = jobs if choice.lead is None else choice.lead.launch.local_size
    workplace = Workplace(
        bench.store.root,
        bench.data,
        bench.method_folders,
        max(1, cores() // sharing),
        bench.origin,
        bench.dataset_folders,
    )
    executor = make_executor(choice, workplace, jobs, bench.suite.timeout_minutes * 60)
    with Display(console, len(cells)) as display:
        return executor.run(cells, display)


def report(bench: Bench, console: Console, into: Path | None = None) -> list[Record]:
    """Write the tables of all that the suite has left, print those of the selected scenarios.

    Returns the records of the selected cells. A selection narrows what is run, never what is written: a row
    that was measured earlier stays in the tables. `into` is a Markdown file with marks, see `insert_tables`. Raises
    MachineError where the tables cannot be written.
    """
    from compatbench.report.site.insert import insert_tables
    from compatbench.report.site.scenario_report import scenario_reports
    from compatbench.report.site.terminal import print_report
    from compatbench.report.site.write import write_report

    records = _records(bench.cells, bench.store)
    everything = records + _records(bench.others, bench.store)
    if not everything:
        console.print("no records yet: run the suite first")
        return records
    out = bench.store.suite(bench.name)
    reports = scenario_reports(everything, bench.store.arrays)
    speed = bench.store.speed
    try:
        write_report(reports, out, bench.suite.title, speed if speed.exists() else None, Samples(bench.dataset))
    except OSError as error:
        raise MachineError.of(error) from error
    if into is not None:
        insert_tables(reports, bench.name, into)
    selected = {cell.spec.scenario for cell in bench.cells}
    print_report([one for one in reports if one.scores.name in selected], console)
    console.print(f"written: {out / 'README.md'}, {out / 'index.html'}", highlight=False, soft_wrap=True)
    return records


def _records(cells: Sequence[Cell], store: Store) -> list[Record]:
    return [record for cell in cells if (record := outcome(cell, store)) is not None]
