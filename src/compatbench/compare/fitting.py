"""Fits every adapter within a given time: on fewer pairs if its published number of epochs would take longer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from compatbench.discovery.finding import why_broken
from compatbench.discovery.plugins import Plugin, discover
from compatbench.errors import InvalidResultError
from compatbench.generations.adapters import FittedAdapter, adapter_of, embeddings_task, fit_plugin
from compatbench.machine.seeds import stream
from compatbench.method import Params, Task
from compatbench.vocabulary import Need, Role

FEWEST_PAIRS = 1000
"""Trained on fewer, an adapter would be shown far below what it can do."""

_PROBES = 256
"""Pairs that are mapped once to see that a map gives numbers."""

_PILOT_SECONDS = 0.2
"""A trial that took less says little about how long the rest will take."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs to fit adapters on: the same items by both models, unit vectors."""

    new: Tensor
    """(n, D_n)"""
    old: Tensor
    """(n, D_o)"""
    classes: Tensor | None
    """(n,) 0 … C−1; None where only relevance judgements are given."""

    def __len__(self) -> int:
        return len(self.new)

    @property
    def task(self) -> Task:
        """The upgrade, as the adapter's task."""
        classes = 0 if self.classes is None else int(self.classes.max()) + 1
        return embeddings_task(self.new.shape[1], self.old.shape[1], classes)

    def sample(self, size: int, seed: int) -> Pairs:
        """A random sample of `size` pairs, without replacement."""
        rows = torch.randperm(len(self), generator=stream(seed, "compare", "pairs"))[:size].to(self.new.device)
        # renumbered: of a class without a pair there would be no mean
        classes = None if self.classes is None else torch.unique(self.classes[rows], return_inverse=True)[1]
        return Pairs(self.new[rows], self.old[rows], classes)


@dataclass(frozen=True, eq=False)
class Fit:
    """How the fitting of one adapter went."""

    plugin: Plugin
    adapter: FittedAdapter | None
    reason: str = ""
    """Why it was skipped, and what would mend that."""
    pairs: int = 0
    wanted_pairs: int = 0
    """What it would have been fitted on without a limit of time."""
    seconds: float = 0.0


def choose_adapters(names: Iterable[str], folders: Iterable[Path]) -> list[Plugin]:
    """The adapters of these names; without names, all methods among them and no controls.

    Raises RequestError for an unknown name, and for a method that is no adapter.
    """
    catalogue = discover(list(folders))
    wanted = [adapter_of(catalogue, name) for name in dict.fromkeys(names)]
    known = [plugin for _, plugin in sorted(catalogue.plugins.items()) if plugin.kind == "adapter"]
    return wanted or [plugin for plugin in known if plugin.cls.role is Role.METHOD]


def fit_within(plugin: Plugin, pairs: Pairs, seconds: float, seed: int) -> Fit:
    """Fit an adapter at its published setting, on as many of the pairs as `seconds` allow.

    Closed forms get all pairs. An adapter that is trained for a number of epochs first runs one and two of them on few
    pairs, which tells what a pair costs. Where fewer than FEWEST_PAIRS fit into the time, it is skipped. Where an
    adapter fails, the reason says so.
    """
    params = plugin.resolve({})
    adapter = plugin.cls(params, pairs.task)
    if pairs.classes is None and Need.LABELS in adapter.needs:
        return Fit(plugin, None, "needs class labels, and only relevance judgements were given")
    if reason := adapter.skip(pairs.task):
        return Fit(plugin, None, reason)
    try:
        return _fit_in_time(plugin, params, pairs, seconds, seed)
    except Exception as error:
        return Fit(plugin, None, f"failed: {why_broken(error)}")


def _fit_in_time(plugin: Plugin, params: Params, pairs: Pairs, seconds: float, seed: int) -> Fit:
    chosen = pairs
    epochs = getattr(params, "epochs", None)
    if epochs is not None:
        full = len(pairs) * epochs * _seconds_per_pair(plugin, params, pairs, seed)
        if full > seconds:
            affordable = int(len(pairs) * seconds / full)
            if affordable < min(FEWEST_PAIRS, len(pairs)):
                needed = full * min(FEWEST_PAIRS, len(pairs)) / len(pairs)
                return Fit(
                    plugin,
                    None,
                    f"fitting takes about {_duration(full)} at its {epochs} epochs on {len(pairs):,} pairs here, and "
                    f"{seconds:g} s are allowed; --fit-seconds {_rounded_up(needed)} and more run it",
                )
            chosen = pairs.sample(affordable, seed)
    begun = time.perf_counter()
    fitted = _fit(plugin, params, chosen, seed)
    seconds_taken = time.perf_counter() - begun
    new, old = pairs.new[:_PROBES].cpu(), pairs.old[:_PROBES].cpu()
    if not all(side.isfinite().all() for side in (fitted.query(new, old), fitted.gallery(old), fitted.new(new, old))):
        raise InvalidResultError("it maps vectors to NaN or infinite values")
    return Fit(plugin, fitted, "", len(chosen), len(pairs), seconds_taken)


def _fit(plugin: Plugin, params: Params, pairs: Pairs, seed: int) -> FittedAdapter:
    return fit_plugin(plugin, params, pairs.task, pairs.new, pairs.old, pairs.classes, seed, "fit")


def _seconds_per_pair(plugin: Plugin, params: Params, pairs: Pairs, seed: int) -> float:
    """What one epoch costs a pair: the second epoch alone, so that what is done once does not count."""
    size = min(len(pairs), getattr(params, "batch_size", 256))
    _fit(plugin, params.model_copy(update={"epochs": 1}), pairs.sample(size, seed), seed)  # a first fit is a slow one
    while True:
        few = pairs.sample(size, seed)
        trials = []
        for epochs in (1, 2):
            begun = _clocks()
            _fit(plugin, params.model_copy(update={"epochs": epochs}), few, seed)
            trials.append(np.subtract(_clocks(), begun))
        # on a busy machine the processor's clock is the lesser one, and says better what the epoch itself takes
        epoch = max(0.0, float(np.subtract(trials[1], trials[0]).min()))
        if epoch >= _PILOT_SECONDS or size == len(pairs):
            return epoch / size
        size = min(len(pairs), 8 * size)


def _clocks() -> tuple[float, float]:
    """Seconds on the wall, and seconds that the processors worked for this process."""
    return time.perf_counter(), time.process_time()


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _rounded_up(seconds: float) -> int:
    return -(-int(seconds * 1.2 + 1) // 10) * 10
