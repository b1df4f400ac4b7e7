"""Checks on an adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.discovery.contract.fixture import plain_task, skip, variants
from compatbench.discovery.contract.report import Report, Violation
from compatbench.discovery.datasets import NO_OPTIONS
from compatbench.discovery.plugins import Plugin
from compatbench.errors import one_line
from compatbench.generations.adapters import PairedVectors
from compatbench.machine.seeds import global_stream
from compatbench.method import Adapter, Maps
from compatbench.vocabulary import HeadName, Need

PAIRS = 200
CLASSES = 5
OLD_DIM = 16
FEW = {"epochs": 2, "rounds": 2, "restarts": 2, "refinements": 2}
"""Repetitions, by the names of parameters: the contract asks nothing of how well a map is fitted."""


@dataclass(frozen=True)
class Fitted:
    """The maps of one fit, and the pairs to try them on."""

    maps: Maps
    pairs: PairedVectors
    both: bool
    """Whether `query` and `new` take the old vectors too."""

    def mapped(self) -> dict[str, Tensor]:
        """The output of each existing map, in the order of serving."""
        return {name: self.apply(name, inputs) for name, inputs in self.inputs()}

    def inputs(self) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
        """Each existing map, with vectors as its input."""
        new, old = self.pairs.new, self.pairs.old
        if self.maps.new is not None:
            yield "new", self._beside_old(new)
            new = F.normalize(self.apply("new", self._beside_old(new)))
        if self.maps.query is not None:
            yield "query", self._beside_old(new)
        if self.maps.gallery is not None:
            yield "gallery", (old,)
        if self.maps.order is not None:
            yield "order", (old if self.maps.gallery is None else self.apply("gallery", (old,)),)

    def apply(self, name: str, inputs: tuple[Tensor, ...]) -> Tensor:
        """The map `name` of copies of `inputs`, checked to be a matrix, or scores."""
        module: nn.Module = getattr(self.maps, name)
        with torch.no_grad():
            mapped = module(*(vectors.clone() for vectors in inputs))
        dims = 1 if name == "order" else 2
        if not isinstance(mapped, Tensor) or mapped.ndim != dims or len(mapped) != len(inputs[0]):
            shape = tuple(mapped.shape) if isinstance(mapped, Tensor) else type(mapped).__name__
            expected = "it scores (N, D) as (N,)" if name == "order" else "it maps (N, D) to (N, D')"
            raise Violation(f"the `{name}` map gives {shape} for {len(inputs[0])} vectors: {expected}")
        if not mapped.isfinite().all():
            raise Violation(f"the `{name}` map gives NaN or infinite values: guard divisions and norms")
        return mapped

    def _beside_old(self, new: Tensor) -> tuple[Tensor, ...]:
        return (new, self.pairs.old) if self.both else (new,)


def check_adapter(report: Report, plugin: Plugin) -> None:
    """Run every check of an adapter; if one of the first fails, the rest do not run."""
    report.check("skip", check_runs, plugin)
    if report.just_failed:
        return
    fitted = report.check("fit", fit_maps, plugin, pairs(OLD_DIM))
    if fitted is None:
        return
    report.check("maps", check_maps, fitted)
    report.check("needs", check_needs, fitted, plugin)
    report.check("seeds", check_seeds, fitted, plugin)
    report.check("row by row", check_rows, fitted)
    report.check("saved form", check_saved, fitted, plugin)
    one_each = replace(pairs(OLD_DIM), labels=torch.arange(PAIRS))
    report.check("one sample per class", check_fit, plugin, one_each)
    report.check("larger dimension", check_dimension, plugin, 2 * OLD_DIM)
    report.check("smaller dimension", check_dimension, plugin, OLD_DIM // 2)
    for variant, params in variants(plugin).items():
        report.check(f"with {variant}", check_fit, plugin, pairs(OLD_DIM), params)


def check_runs(plugin: Plugin) -> None:
    """The adapter does not skip the plainest of upgrades."""
    if skip(plugin, OLD_DIM, OLD_DIM) is not None:
        raise Violation(
            "it skips the plainest upgrade there is, same backbone and same dimension: "
            "make skip() return None where the adapter can run"
        )


def check_fit(plugin: Plugin, given: PairedVectors, params: Mapping[str, Any] = NO_OPTIONS) -> None:
    """The maps fitted on `given` are sound."""
    check_maps(fit_maps(plugin, given, params))


def check_dimension(plugin: Plugin, dim: int) -> None:
    """Maps from `dim` dimensions are sound, or are skipped with a reason."""
    if skip(plugin, dim, OLD_DIM) is None:
        check_fit(plugin, pairs(dim))


def pairs(dim: int) -> PairedVectors:
    """New (N, D_n) and old (N, D_o) embeddings of unit length, noisy linear maps of one another."""
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(PAIRS, OLD_DIM, generator=generator)
    new = old @ torch.randn(OLD_DIM, dim, generator=generator) + 0.1 * torch.randn(PAIRS, dim, generator=generator)
    return PairedVectors(F.normalize(new), F.normalize(old), torch.arange(PAIRS) % CLASSES)


def build_adapter(plugin: Plugin, given: PairedVectors, params: Mapping[str, Any] = NO_OPTIONS) -> Adapter:
    """The adapter for the task of these pairs, at its quick setting, and with few repetitions."""
    few = {name: number for name, number in FEW.items() if name in plugin.cls.Params.model_fields}
    quick = {name: value for name, value in plugin.cls.quick.items() if name != "steps"}
    classes = given.task.total_classes or CLASSES
    task = plain_task(given.new.shape[1], OLD_DIM, HeadName.SOFTMAX)
    task = replace(task, classes=tuple(range(classes)), total_classes=classes)
    adapter: Adapter = plugin.cls(plugin.resolve({**quick, **few, **params}), task)
    return adapter


def fit_maps(plugin: Plugin, given: PairedVectors, params: Mapping[str, Any] = NO_OPTIONS) -> Fitted:
    """The adapter's maps, fitted under a fixed seed."""
    adapter = build_adapter(plugin, given, params)
    copies = {name: tensor.clone() for name, tensor in vars(given).items() if tensor is not None}
    with global_stream(0, "adapter"):
        maps = adapter.fit(given.new, given.old, given.labels)  # type: ignore[arg-type]
    if not isinstance(maps, Maps):
        raise Violation(f"fit() returned {type(maps).__name__}: return Maps(query=…, gallery=…, new=…)")
    for name, copy in copies.items():
        if not torch.equal(getattr(given, name), copy):
            raise Violation(f"fit() modified its input `{name}`: work on a clone(), without in-place operations")
    return Fitted(maps.eval(), given, Need.BOTH_ENCODERS_ONLINE in adapter.needs)


def check_maps(fitted: Fitted) -> None:
    """Each map keeps the rows, gives finite vectors, and maps to a common dimension."""
    mapped = fitted.mapped()
    query = mapped.get("query", mapped.get("new", fitted.pairs.new))
    gallery = mapped.get("gallery", fitted.pairs.old)
    if ("query" in mapped or "gallery" in mapped) and query.shape[1] != gallery.shape[1]:
        raise Violation(
            f"queries come out with {query.shape[1]} dimensions and the old gallery with {gallery.shape[1]}: "
            "both maps must map to one space"
        )


def check_needs(fitted: Fitted, plugin: Plugin) -> None:
    """Every costly need is declared, and nothing else is."""
    needs = build_adapter(plugin, fitted.pairs).needs
    if fitted.maps.gallery is not None and Need.GALLERY_REWRITE not in needs:
        raise Violation("Maps(gallery=…) rewrites every stored vector: add Need.GALLERY_REWRITE to `needs`")
    if fitted.maps.gallery is None and Need.GALLERY_REWRITE in needs:
        raise Violation("declares Need.GALLERY_REWRITE and returns no gallery map: remove it from `needs`")
    if fitted.maps.query is None and fitted.maps.new is None and fitted.both:
        raise Violation("declares Need.BOTH_ENCODERS_ONLINE and returns no query or new map: remove it from `needs`")
    others = fit_maps(plugin, replace(fitted.pairs, old=fitted.pairs.old.roll(1, 0)))
    if Need.OLD_FEATURES not in needs and not _same(fitted, Fitted(others.maps, fitted.pairs, fitted.both)):
        raise Violation("its maps depend on the old embeddings of the training set: add Need.OLD_FEATURES to `needs`")
    if Need.LABELS not in needs:
        try:
            unlabelled = fit_maps(plugin, replace(fitted.pairs, labels=None))
        except (TypeError, AttributeError) as error:
            raise Violation(f"fit() fails without labels ({error}): add Need.LABELS to `needs`") from error
        if not _same(fitted, unlabelled):
            raise Violation("its maps depend on the labels of the pairs: add Need.LABELS to `needs`")


def check_seeds(fitted: Fitted, plugin: Plugin) -> None:
    """The same seed twice gives the same maps."""
    torch.manual_seed(4711)
    if not _same(fitted, fit_maps(plugin, fitted.pairs)):
        raise Violation(
            "two fits with the same seed give different maps: draw from torch's global stream inside "
            "fit(), where the suite seeds it, and not from another source"
        )


def check_rows(fitted: Fitted) -> None:
    """A vector is mapped alike on its own and among others, and is not modified."""
    for name, inputs in fitted.inputs():
        module: nn.Module = getattr(fitted.maps, name)
        copies = [vectors.clone() for vectors in inputs]
        together = fitted.apply(name, inputs)
        with torch.no_grad():
            module(*inputs)
            alone = torch.cat([module(*(vectors[i : i + 1].clone() for vectors in copies)) for i in range(5)])
        if not all(torch.equal(vectors, copy) for vectors, copy in zip(inputs, copies, strict=True)):
            raise Violation(f"the `{name}` map modifies its input: work out of place")
        if not torch.allclose(together[:5], alone, atol=1e-4):
            raise Violation(
                f"the `{name}` map of a vector depends on the other vectors of the call: use nothing but the vector "
                "and what was fitted (e.g. BatchNorm in eval mode)"
            )


def check_saved(fitted: Fitted, plugin: Plugin) -> None:
    """What fit() returns can be loaded into what build() returns, and then maps equally, to the bit."""
    adapter = build_adapter(plugin, fitted.pairs)
    with global_stream(1, "adapter"):
        empty = adapter.build(OLD_DIM, OLD_DIM)
    if not isinstance(empty, Maps):
        raise Violation(f"build() returned {type(empty).__name__}: return the unfitted Maps(query=…, gallery=…, new=…)")
    try:
        empty.load_state_dict(fitted.maps.state_dict())
    except RuntimeError as error:
        raise Violation(
            f"what fit() returns does not load into what build() returns ({one_line(str(error))}): "
            "let fit() fill in the modules of build()"
        ) from error
    if not _same(fitted, Fitted(empty.eval(), fitted.pairs, fitted.both)):
        raise Violation(
            "maps that are saved and loaded again map differently: keep what is fitted in parameters and buffers "
            "(register_buffer) of the modules that build() makes"
        )


def _same(one: Fitted, other: Fitted) -> bool:
    first, second = one.mapped(), other.mapped()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
