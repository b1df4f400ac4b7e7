"""Times a few optimiser steps of several methods in turn, on one chain: what their training costs beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from compatbench.discovery.plugins import Plugin
from compatbench.errors import InvalidResultError
from compatbench.generations.chain import ChainTrainer
from compatbench.method import Params
from compatbench.records.store import Store

EPOCHS = 4
"""Few, and yet several, since some methods start a term late."""
STEPS = 12
"""Of an epoch."""


def step_ratios(
    trainer: ChainTrainer,
    rows: Mapping[str, tuple[Plugin, Params]],
    repeats: int,
    told: Callable[[str], None] = lambda line: None,
) -> dict[str, tuple[float, ...]]:
    """Time of a step of the newest model of each row ÷ that of independent, by repeat.

    Each repeat has a seed and models of its own, and trains all rows one after the other, so that what else the
    machine does strikes all of them. Few images are trained on, about STEPS batches an epoch; their features are kept
    beside those of `trainer`, and models are thrown away. Rows that diverge on so few are left out.
    """
    recipe = trainer.recipe.model_copy(update={"epochs": min(EPOCHS, trainer.recipe.epochs)})
    images = min(STEPS * recipe.batch_size * 5 // 4, trainer.train_limit or len(trainer.dataset.train))
    ratios: dict[str, list[float]] = {label: [] for label in rows}
    for repeat in range(repeats):
        with TemporaryDirectory() as scratch:
            store = Store(Path(scratch))
            store.features = trainer.store.features
            short = replace(trainer, train_limit=images, recipe=recipe, seed=trainer.seed + repeat, store=store)
            independent = short.baseline(len(trainer.chain) - 1).report.step_seconds
            for label, (plugin, params) in rows.items():
                if len(ratios[label]) < repeat:
                    continue
                try:
                    own = short.models(plugin, params)[-1].report.step_seconds
                except InvalidResultError as error:
                    told(f"left out: {label}: {error}")
                    continue
                ratios[label].append(own / independent)
                told(f"repeat {repeat + 1} of {repeats}: {label} ×{own / independent:.2f}")
    return {label: tuple(several) for label, several in ratios.items() if len(several) == repeats}
