"""The command that times the training of a suite's methods."""

from __future__ import annotations

from typing import Annotated

import typer

from compatbench.cli.console import plain_console
from compatbench.cli.options import (
    DEFAULT_DATA,
    DEFAULT_RUNS,
    Data,
    Datasets,
    Methods,
    Runs,
    Scenarios,
    SuiteArgument,
    selection_of,
)
from compatbench.errors import RequestError


def time_training(
    suite: SuiteArgument,
    methods: Methods = "",
    scenarios: Scenarios = "",
    repeats: Annotated[int, typer.Option(min=2, help="How often all methods are trained in turn.")] = 5,
    runs: Runs = DEFAULT_RUNS,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """Time some optimiser steps of every training method and of independent in turn, for the reports of the suite."""
    from compatbench.plan.selection import check_names

    console = plain_console()
    selection, folders = selection_of(methods, scenarios, "")
    check_names(suite, selection, folders)

    import torch

    from compatbench.cli import bench as benching
    from compatbench.discovery.plugins import Plugin, discover
    from compatbench.generations.chain import ChainTrainer
    from compatbench.generations.step_times import EPOCHS, STEPS, step_ratios
    from compatbench.method import Params
    from compatbench.records.environment import device, environment
    from compatbench.records.store import Store
    from compatbench.suite.suite import suite_file
    from compatbench.suite.times import times_file, write_times

    def notify(line: str) -> None:
        console.print(line, soft_wrap=True)

    torch.set_num_threads(1)
    prepared = benching.prepare(suite, selection, Store(runs), data, folders, notify, datasets or (), tuned=False)
    catalogue = discover(folders)
    found: dict[str, tuple[float, ...]] = {}
    for scenario in dict.fromkeys(cell.spec.scenario for cell in prepared.cells):
        rows: dict[str, tuple[Plugin, Params]] = {}
        chosen = [cell for cell in prepared.cells if cell.spec.scenario == scenario and not cell.skip]
        for spec in (cell.spec for cell in chosen):
            if spec.method.kind == "training" and spec.method.label not in found:
                plugin = catalogue.get(spec.method.name)
                rows.setdefault(spec.method.label, (plugin, plugin.resolve(spec.method.params)))
        if not rows:
            continue
        spec = chosen[0].spec
        trainer = ChainTrainer(
            spec.generations,
            prepared.dataset,
            spec.train_limit,
            spec.recipe,
            spec.seed,
            catalogue,
            prepared.store,
            device(),
            lambda stage, share: None,
            notify,
            data,
        )
        notify(f"{scenario}: {len(rows)} methods, {repeats} times in turn")
        found |= step_ratios(trainer, rows, repeats, notify)
    if not found:
        raise RequestError("none of these methods trains a model, so that there is nothing to time")
    path = times_file(suite_file(suite))
    here = environment()
    steps = STEPS * min(EPOCHS, prepared.suite.recipe.epochs)
    write_times(path, here.gpu or here.cpu, steps, {label: _rounded(one) for label, one in found.items()})
    notify(f"written: {path}")


def _rounded(ratios: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(one, 3) for one in ratios)
