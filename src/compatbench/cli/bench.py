"""From a suite's name to its plan and its run, for the command line and for Python callers.

What runs cells is imported where it is used, so that a plan does not wait for it.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from compatbench.data.dataset import Dataset
from compatbench.data.stand_in import stand_in
from compatbench.discovery import datasets
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.errors import RequestError, listed
from compatbench.execution.command import Origin
from compatbench.execution.gpus import gpu_slots, visible_gpus
from compatbench.machine.cores import cores
from compatbench.plan.cells import Cell, make_plan
from compatbench.plan.pretrained import fetch_weights
from compatbench.plan.selection import EVERY_METHOD, EVERYTHING, Selection, check_tuning, named_methods
from compatbench.records.environment import device
from compatbench.records.record import Record
from compatbench.records.store import Store, spec_hash
from compatbench.suite.suite import Suite, load_suite, suite_file

if TYPE_CHECKING:
    from compatbench.execution.choice import Choice
    from compatbench.execution.executor import Executor


@dataclass(frozen=True)
class Bench:
    """A suite with its data, its methods and the selected cells."""

    file: Path
    """Of the suite."""
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
    tuned: bool = True,
) -> Bench:
    """Validate the whole request before anything runs, and fetch missing data.

    For `planning`, a large dataset that is missing is not fetched: its published sizes stand in for it. Unless `tuned`,
    every row has its published values.
    """
    name, loaded = load_suite(suite)
    if not tuned:
        loaded = loaded.model_copy(update={"settings": ("published",)})
    catalogue = discover(method_folders, named_methods(loaded, selection))
    for broken in catalogue.broken:
        notify(f"left out {broken.path}: {broken.error}")
    check_methods(loaded, catalogue, suite)
    if tuned and (strange := check_tuning(suite, loaded, catalogue, selection.methods)):
        notify(f"tuned values of no row of suite {suite}: {listed(strange)}")
    family = datasets.family(loaded.dataset, dataset_folders)
    options = datasets.parse_options(family, loaded.dataset_options)
    missing = family.missing(data, options) if planning else ()
    dataset: Dataset | None = None
    if missing:
        dataset = stand_in(family.name, family.published_of(options), loaded.image_size)
    if dataset is None:
        missing = ()
        family.get(data, options, notify)
        dataset = datasets.load_dataset(family, loaded.image_size, data, options)
    cells = make_plan(name, loaded, dataset, catalogue, selection)
    whole = cells if selection == EVERYTHING else make_plan(name, loaded, dataset, catalogue, EVERYTHING)
    selected = {spec_hash(cell.spec) for cell in cells}
    others = [cell for cell in whole if spec_hash(cell.spec) not in selected]
    folders = tuple(method_folders), tuple(dataset_folders)
    origin = Origin.of(suite, name, *folders)
    return Bench(suite_file(suite), name, loaded, dataset, cells, others, store, data, *folders, origin, missing)


def check_methods(suite: Suite, catalogue: Catalogue, source: str) -> None:
    """Raise RequestError, naming the suite, for an unknown method or a wrong parameter."""
    for entry in suite.methods:
        try:
            if entry.name != EVERY_METHOD:
                catalogue.get(entry.name).resolve(entry.params)
        except RequestError as error:
            raise RequestError(f"suite {source}, methods: {error}") from error


def default_jobs() -> int:
    """Cells at a time: one a core, or a few on a GPU. Two processes of one thread beat one of two."""
    return min(len(gpu_slots(visible_gpus())), cores()) if device().type == "cuda" else cores()


def run(bench: Bench, cells: Sequence[Cell], jobs: int, console: Console, choice: Choice | None = None) -> list[Record]:
    """Run `cells` by the executor of `choice`, and show progress on `console`; every cell gets a record.

    Raises RequestError where the folder of runs cannot be written or published weights cannot be fetched, MachineError
    where the folder can no longer be written, and typer.Exit after Ctrl-C, with a line that says what is done.
    """
    from compatbench.execution.choice import Choice
    from compatbench.execution.display import Display

    display = Display(console, len(cells))
    try:
        executor = _executor(bench, cells, jobs, console, choice or Choice())
        with display:
            return executor.run(cells, display)
    except KeyboardInterrupt:
        done = f"{display.ended} of {len(cells)} cells are done and kept"
        line = f"interrupted: {done}; the same command goes on with the rest"
        print(line, file=console.file, flush=True)  # rich would first print again the line that Ctrl-C cut short
        raise typer.Exit(128 + signal.SIGINT) from None


def _executor(bench: Bench, cells: Sequence[Cell], jobs: int, console: Console, choice: Choice) -> Executor:
    """The executor of `choice`, with published weights fetched and the folder of runs made."""
    from compatbench.execution.cell import RunContext
    from compatbench.execution.choice import make_executor

    fetch_weights(cells, bench.data, lambda line: console.print(line, soft_wrap=True))
    try:
        bench.store.root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=bench.store.root).close()
    except OSError as error:
        raise RequestError(f"--runs {bench.store.root}: cannot be written: {error.strerror}") from error
    sharing = jobs if choice.coordinator is None else choice.coordinator.launch.local_size
    context = RunContext(
        bench.store.root,
        bench.data,
        bench.method_folders,
        max(1, cores() // sharing),
        bench.origin,
        bench.dataset_folders,
    )
    return make_executor(choice, context, jobs, bench.suite.timeout_minutes * 60)
