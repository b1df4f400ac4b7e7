"""Fits one adapter by the quick or the published schedule."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from compatbench.comparison.effort import SHORTER, Effort, quick_changes, said, steps_of_epoch
from compatbench.discovery.finding import why_broken
from compatbench.discovery.plugins import Plugin, discover
from compatbench.errors import InvalidResultError
from compatbench.generations.adapters import FittedAdapter, PairedVectors, adapter_of, fit_plugin, fitted_numbers
from compatbench.method import Adapter, Params
from compatbench.vocabulary import MethodKind, Need, Role

_PROBES = 256
"""Pairs that are mapped once to see that a map gives numbers."""

_CLOSED_FORM = 10
"""A closed form takes about so many products of all pairs with a square matrix."""


@dataclass(frozen=True, eq=False)
class Plan:
    """One adapter, its parameters, and what fitting it costs, before it is fitted."""

    plugin: Plugin
    params: Params
    changes: str
    """Parameters that differ from the published ones, with these."""
    reason: str
    """Why it is skipped; empty if it is fitted."""
    steps: int
    """Of the optimiser; 0 for closed forms."""
    work: float
    """Multiplications and additions, roughly: for the order of the work and the time left."""


@dataclass(frozen=True, eq=False)
class Fit:
    """How the fitting of one adapter went."""

    plugin: Plugin
    adapter: FittedAdapter | None
    reason: str = ""
    """Why it was skipped, and what would mend that."""
    changes: str = ""
    pairs: int = 0
    seconds: float = 0.0


def choose_adapters(names: Iterable[str], folders: Sequence[Path]) -> list[Plugin]:
    """The adapters of these names; without names, all methods among them and no controls.

    Raises RequestError for an unknown name, and for a method that is no adapter.
    """
    if named := list(dict.fromkeys(names)):
        return [adapter_of(name, folders) for name in named]
    known = [plugin for _, plugin in sorted(discover(folders).plugins.items()) if plugin.kind is MethodKind.ADAPTER]
    return [one for one in known if one.cls.role is Role.METHOD and Need.UNPAIRED not in one.needs]


def plan_fit(plugin: Plugin, pairs: PairedVectors, effort: Effort) -> Plan:
    """What will be fitted; depends on the shapes and on nothing that is measured."""
    params = plugin.resolve({})
    published = params.model_dump()
    changes: dict[str, Any] = {}
    if effort is Effort.QUICK:
        changes = quick_changes(published, SHORTER.get(plugin.name, plugin.cls.quick), len(pairs))
        params = plugin.resolve(changes)
    told = said(changes, published)
    adapter: Adapter = plugin.cls(params, pairs.task)
    reason = adapter.skip(pairs.task) or ""
    if pairs.labels is None and Need.LABELS in adapter.needs:
        reason = "needs class labels, and only relevance judgements were given"
    try:
        steps, work = (0, 0.0) if reason else _cost(adapter, params.model_dump(), pairs)
    except Exception as error:
        return Plan(plugin, params, told, f"failed: {why_broken(error)}", 0, 0.0)
    return Plan(plugin, params, told, reason, steps, work)


def _cost(adapter: Adapter, params: Mapping[str, Any], pairs: PairedVectors) -> tuple[int, float]:
    dim, old_dim = pairs.new.shape[1], pairs.old.shape[1]
    closed = 2.0 * _CLOSED_FORM * len(pairs) * max(dim, old_dim) ** 2
    if "epochs" not in params:
        return 0, closed
    with torch.random.fork_rng():
        numbers = fitted_numbers(adapter.build(dim, old_dim))
    steps = params["epochs"] * steps_of_epoch(len(pairs), params.get("batch_size", len(pairs)))
    return steps, closed + 6.0 * numbers * len(pairs) * params["epochs"]


def fit_planned(plan: Plan, pairs: PairedVectors, seed: int) -> Fit:
    """Fit one adapter on all pairs. Where it fails, the reason says so."""
    if plan.reason:
        return Fit(plan.plugin, None, plan.reason)
    try:
        begun = time.perf_counter()
        fitted = fit_plugin(plan.plugin, plan.params, pairs.task, pairs, seed, "fit")
        seconds = time.perf_counter() - begun
        _check_finite(fitted, pairs)
    except Exception as error:
        return Fit(plan.plugin, None, f"failed: {why_broken(error)}")
    return Fit(plan.plugin, fitted, "", plan.changes, len(pairs), seconds)


def _check_finite(fitted: FittedAdapter, pairs: PairedVectors) -> None:
    new, old = pairs.new[:_PROBES].cpu(), pairs.old[:_PROBES].cpu()
    if not all(side.isfinite().all() for side in (fitted.query(new, old), fitted.gallery(old), fitted.new(new, old))):
        raise InvalidResultError("it maps vectors to NaN or infinite values")


@contextmanager
def counted_steps(count: list[int]) -> Iterator[None]:
    """Count the steps of any torch optimiser into `count[0]`."""

    def step(*_: object) -> None:
        count[0] += 1

    handle = register_optimizer_step_post_hook(step)
    try:
        yield
    finally:
        handle.remove()
