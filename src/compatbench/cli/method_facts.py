"""Measures needs and sizes of a method by building it, not by reading its text."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compatbench.discovery.contract.fixture import CLASSES, OLD_CLASSES, build_fixture, plain_task, variants
from compatbench.discovery.plugins import Catalogue, Plugin
from compatbench.generations.adapters import fitted_numbers
from compatbench.generations.chain import embedding_dim
from compatbench.measurement.costs import serving_parameters
from compatbench.method import Adapter, Task
from compatbench.records.record import BASELINE
from compatbench.vocabulary import HeadName, MethodKind, Need

DIM = 128
"""D_n and D_o at which methods are measured; one that must skip it is measured at K − 1, the simplex's dimension."""

SETTING = f"D_n = D_o = {DIM} and {len(OLD_CLASSES)} → {len(CLASSES)} classes"


@dataclass(frozen=True)
class Size:
    """Modules and dimensions that a method adds to a plain model."""

    encoder_dim: int | None
    """Dimensions of the encoder's output; None for an adapter, which does not change the encoder."""
    stored_dim: int
    """Dimensions of the embeddings that are stored and searched."""
    trained: int
    """Parameters of a training method beside encoder and head; numbers that an adapter fits."""
    served: int
    """Those of them that a query depends on."""


def needs_by_choice(plugin: Plugin) -> dict[str, frozenset[Need]]:
    """The method's needs at its defaults (key `""`), and at each parameter value with other needs."""
    task = _task(plugin)
    default = frozenset(plugin.cls(plugin.resolve({}), task).needs)
    found = {"": default}
    for variant, params in variants(plugin).items():
        needs = frozenset(plugin.cls(plugin.resolve(params), task).needs)
        if needs != default:
            found[variant] = needs
    return found


def method_size(plugin: Plugin, catalogue: Catalogue) -> Size:
    """The size of a method on a small task."""
    return _adapter_size(plugin) if plugin.kind is MethodKind.ADAPTER else _training_size(plugin, catalogue)


def _training_size(plugin: Plugin, catalogue: Catalogue) -> Size:
    dim = _task(plugin).dim
    own_first = Need.OWN_FIRST_GENERATION in plugin.needs
    plain = None if own_first else build_fixture(catalogue.get(BASELINE), dim=dim, old_dim=dim).old
    fixture = build_fixture(plugin, dim=dim, old_dim=dim, old=plain)
    fixture.setup()
    return Size(
        encoder_dim=fixture.method.encoder_dim(dim),
        stored_dim=embedding_dim(fixture.method),
        trained=sum(parameter.numel() for parameter in fixture.method.parameters()),
        served=serving_parameters(fixture.model),
    )


def _adapter_size(plugin: Plugin) -> Size:
    task = _task(plugin)
    adapter: Adapter = plugin.cls(plugin.resolve({}), task)
    maps = adapter.build(task.dim, task.dim).eval()
    stored = torch.ones(2, task.dim)
    if maps.new is not None:
        both = Need.BOTH_ENCODERS_ONLINE in adapter.needs
        stored = maps.new(stored, stored) if both else maps.new(stored)
    return Size(
        encoder_dim=None,
        stored_dim=stored.shape[1],
        trained=fitted_numbers(maps),
        served=fitted_numbers(maps.new, maps.query),
    )


def _task(plugin: Plugin) -> Task:
    """The plainest upgrade that the method does not skip."""
    for dim in (DIM, len(CLASSES) - 1):
        task = plain_task(dim, dim, HeadName.SOFTMAX)
        if plugin.cls(plugin.resolve({}), task).skip(task) is None:
            return task
    return plain_task(DIM, DIM, HeadName.SOFTMAX)
