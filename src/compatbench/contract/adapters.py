"""Checks on a method that fits maps on frozen embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.contract.choices import DEFAULTS, Choice, choices
from compatbench.contract.report import Finding, Report
from compatbench.contract.world import task_of
from compatbench.method import Adapter, Map, Maps, Need
from compatbench.plugins import Plugin
from compatbench.seeds import global_stream

PAIRS = 200
CLASSES = 5
OLD_DIM = 16


def check_adapter(report: Report, plugin: Plugin) -> None:
    """Run every check of an adapter; the first ones stop the rest where they fail."""
    maps: Maps | None = None
    with report.checking("skip"):
        if _skip(plugin, OLD_DIM) is not None:
            raise Finding(
                "it skips the plainest upgrade there is, same backbone and same dimension: "
                "make skip() return None where the adapter can run"
            )
    if report.just_failed:
        return
    with report.checking("fit"):
        maps = fit(plugin, OLD_DIM)
    if maps is None:
        return
    with report.checking("maps"):
        check_maps(maps, OLD_DIM)
    with report.checking("needs"):
        check_needs(maps, plugin)
    with report.checking("seeds"):
        check_seeds(maps, plugin)
    with report.checking("row by row"):
        check_rows(maps)
    with report.checking("one sample per class"):
        check_maps(fit(plugin, OLD_DIM, labels=torch.arange(PAIRS)), OLD_DIM)
    for name, dim in (("larger dimension", 2 * OLD_DIM), ("smaller dimension", OLD_DIM // 2)):
        with report.checking(name):
            if _skip(plugin, dim) is None:
                check_maps(fit(plugin, dim), dim)
    for choice in choices(plugin):
        with report.checking(f"with {choice}"):
            check_maps(fit(plugin, OLD_DIM, choice=choice), OLD_DIM)


def _skip(plugin: Plugin, dim: int) -> str | None:
    task = task_of(dim, OLD_DIM, "softmax")
    reason = plugin.cls(plugin.resolve({}), task).skip(task)
    if reason is not None and not (isinstance(reason, str) and reason.strip()):
        raise Finding(f"skip() returned {reason!r}: return None, or the reason in words")
    return reason


def pairs(dim: int) -> tuple[Tensor, Tensor]:
    """New (N, D_n) and old (N, D_o) embeddings of unit length that are a noisy linear map of one another."""
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(PAIRS, OLD_DIM, generator=generator)
    new = old @ torch.randn(OLD_DIM, dim, generator=generator) + 0.1 * torch.randn(PAIRS, dim, generator=generator)
    return F.normalize(new), F.normalize(old)


def fit(plugin: Plugin, dim: int, *, labels: Tensor | None = None, choice: Choice = DEFAULTS) -> Maps:
    """The adapter's maps, fitted under a fixed seed."""
    new, old = pairs(dim)
    labels = torch.arange(PAIRS) % CLASSES if labels is None else labels
    given = [tensor.clone() for tensor in (new, old, labels)]
    adapter: Adapter = plugin.cls(plugin.resolve(choice.params), task_of(dim, OLD_DIM, "softmax"))
    with global_stream(0, "adapter"):
        maps = adapter.fit(new, old, labels)
    if not isinstance(maps, Maps):
        raise Finding(f"fit() returned {type(maps).__name__}: return Maps(query=…, gallery=…, new=…)")
    for name, tensor, copy in zip(("new", "old", "labels"), (new, old, labels), given, strict=True):
        if not torch.equal(tensor, copy):
            raise Finding(f"fit() modified its input `{name}`: work on a clone(), without in-place operations")
    return maps


def check_maps(maps: Maps, dim: int) -> None:
    """Each map keeps the rows, gives finite vectors without gradient, and leads to a common dimension."""
    new, old = pairs(dim)
    mapped = _apply(maps.new, new, "new")
    query = _apply(maps.query, mapped, "query")
    gallery = _apply(maps.gallery, old, "gallery")
    explicit = maps.query is not None or maps.gallery is not None
    if explicit and query.shape[1] != gallery.shape[1]:
        raise Finding(
            f"queries come out with {query.shape[1]} dimensions and the old gallery with {gallery.shape[1]}: "
            "both maps must lead into one space"
        )


def check_needs(maps: Maps, plugin: Plugin) -> None:
    """Rewriting the gallery is a cost, and declared as one."""
    needs = plugin.needs
    if maps.gallery is not None and Need.GALLERY_REWRITE not in needs:
        raise Finding("Maps(gallery=…) rewrites every stored vector: add Need.GALLERY_REWRITE to `needs`")
    if maps.gallery is None and Need.GALLERY_REWRITE in needs:
        raise Finding("declares Need.GALLERY_REWRITE and returns no gallery map: remove it from `needs`")


def check_seeds(maps: Maps, plugin: Plugin) -> None:
    """The same seed twice gives the same maps."""
    torch.manual_seed(4711)
    again = fit(plugin, OLD_DIM)
    for name, first, second, vectors in _three(maps, again):
        if not torch.equal(first(vectors.clone()), second(vectors.clone())):
            raise Finding(
                f"two fits with the same seed give different `{name}` maps: draw from torch's global stream inside "
                "fit(), where the suite seeds it, and not from another source"
            )


def check_rows(maps: Maps) -> None:
    """A vector is mapped alike on its own and among others, and is not modified."""
    for name, mapping, _, vectors in _three(maps, maps):
        copy = vectors.clone()
        together = mapping(vectors)
        alone = torch.cat([mapping(vectors[i : i + 1]) for i in range(5)])
        if not torch.equal(vectors, copy):
            raise Finding(f"the `{name}` map modifies its input: work out of place")
        if not torch.allclose(together[:5], alone, atol=1e-4):
            raise Finding(
                f"the `{name}` map of a vector depends on the other vectors of the call: use nothing but the vector "
                "and what was fitted (e.g. BatchNorm in eval mode)"
            )


def _three(first: Maps, second: Maps) -> list[tuple[str, Map, Map, Tensor]]:
    """Each map that is there in both, with vectors to try it on."""
    new, old = pairs(OLD_DIM)
    found = []
    for name, vectors in (("new", new), ("query", _apply(first.new, new, "new")), ("gallery", old)):
        one, two = getattr(first, name), getattr(second, name)
        if one is not None and two is not None:
            found.append((name, one, two, vectors))
    return found


def _apply(mapping: Map | None, vectors: Tensor, name: str) -> Tensor:
    if mapping is None:
        return vectors
    mapped = mapping(vectors.clone())
    if not isinstance(mapped, Tensor) or mapped.ndim != 2 or len(mapped) != len(vectors):
        shape = tuple(mapped.shape) if isinstance(mapped, Tensor) else type(mapped).__name__
        raise Finding(f"the `{name}` map gives {shape} for {len(vectors)} vectors: it maps (N, D) to (N, D')")
    if mapped.requires_grad:
        raise Finding(f"the `{name}` map gives vectors with a gradient: fit and return detached tensors")
    if not mapped.isfinite().all():
        raise Finding(f"the `{name}` map gives NaN or infinite vectors: guard divisions and norms")
    return mapped
