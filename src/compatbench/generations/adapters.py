"""Fitted adapters: fit on two matrices of paired embeddings, save as safetensors, load and apply.

    adapter = fit("procrustes", old, new)              # (N, D_o) and (N, D_n), row for row the same items
    adapter.save(Path("adapter.safetensors"))
    queries = load(Path("adapter.safetensors")).query(new_queries)

Every vector that goes in or comes out is scaled to unit length, since all comparisons are by cosine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from torch import Tensor, nn

from compatbench.discovery.plugins import Plugin, discover
from compatbench.errors import RequestError, check_number
from compatbench.machine.seeds import global_stream
from compatbench.method import Adapter, Maps, Params, Task, to_dim
from compatbench.storage.artefacts import Artefact, read_artefact, write_artefact
from compatbench.storage.validation import validated
from compatbench.vocabulary import HeadName, MethodKind, Need

MatrixLike = Tensor | NDArray[np.floating]
"""Vectors (N, D), as a tensor on any device or as an array."""

FORMAT = 1
"""Of a saved adapter."""

EQUAL_LENGTHS = 1.02
"""Lengths of vectors that differ by less are those of rounding."""

PROBES = 4
PROBE = "probe."
"""Prefix of what the maps gave for the probe vectors, among the tensors of a saved adapter."""

PROBE_TOLERANCE = 1e-3
"""How far a probe vector of unit length may land from where it did when the adapter was saved."""


def unit(vectors: Tensor) -> Tensor:
    """Vectors (N, D) scaled to unit length; vectors of unit length keep their bits."""
    norms = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return torch.where((norms - 1).abs() < 1e-5, vectors, F.normalize(vectors))


def fitted_numbers(*modules: nn.Module | None) -> int:
    """How many numbers were fitted: of all parameters and buffers, those that are not integers."""
    states = [module.state_dict().values() for module in modules if module is not None]
    return sum(value.numel() for state in states for value in state if value.is_floating_point())


@dataclass(frozen=True, eq=False)
class PairedVectors:
    """The same items by both models, to fit adapters on."""

    new: Tensor
    """(n, D_n)"""
    old: Tensor
    """(n, D_o)"""
    labels: Tensor | None
    """(n,) 0 … C−1; None where only relevance judgements are given."""

    def __len__(self) -> int:
        return len(self.new)

    @property
    def task(self) -> Task:
        """The upgrade, as the adapter's task."""
        classes = 0 if self.labels is None else int(self.labels.max()) + 1
        return embeddings_task(self.new.shape[1], self.old.shape[1], classes)


class FitFacts(BaseModel):
    """The circumstances of a fit."""

    model_config = ConfigDict(frozen=True)

    pairs: int
    seed: int
    fit_seconds: float
    old_length: float | None = None
    """Median length of the old vectors; None in a suite, where all have unit length, and in the first files."""
    old_lengths_differ: bool = False


@dataclass(frozen=True)
class FittedAdapter:
    """The maps of an adapter as they serve, on any device, without gradient: matrices in, tensors out."""

    plugin: Plugin
    params: Params
    needs: frozenset[Need]
    dim: int
    """D_n: dimensions of new vectors."""
    old_dim: int
    """D_o: dimensions of old vectors."""
    num_classes: int
    """C: classes of the pairs; 0 where they had no labels."""
    maps: Maps
    facts: FitFacts

    def query(self, new: MatrixLike, old: MatrixLike | None = None) -> Tensor:
        """Map new query vectors (N, D_n) to query vectors for the old gallery, mapped by `gallery`.

        `old` (N, D_o), the same queries by the old model, is for adapters that need both encoders online.
        """
        return unit(to_dim(self.to_old(self.new(new, old), old), self._gallery_dim))

    def new(self, new: MatrixLike, old: MatrixLike | None = None) -> Tensor:
        """New vectors (N, D_n), mapped for storage and for searching each other; `old` as for `query`."""
        return self._apply(self.maps.new, self._tensor(new, self.dim, "new"), old)

    def to_old(self, new: Tensor, old: MatrixLike | None = None) -> Tensor:
        """Map query vectors, already mapped by `new`, to query vectors for the old gallery; `old` as for `query`."""
        return self._apply(self.maps.query, new, old)

    def gallery(self, old: MatrixLike) -> Tensor:
        """Stored old vectors (N, D_o), rewritten."""
        return unit(self._rewrite(self._tensor(old, self.old_dim, "old")))

    def order(self, old: MatrixLike) -> Tensor:
        """Scores (N,) of stored old vectors (N, D_o): the highest are re-embedded first.

        Raises RequestError for an adapter that gives no order.
        """
        vectors = self._tensor(old, self.old_dim, "old")
        if self.maps.order is None:
            raise RequestError(f"method '{self.plugin.name}' gives no order of the backfill")
        with torch.no_grad():
            scores: Tensor = self.maps.order(self._rewrite(vectors))
        return scores

    @property
    def usual_length(self) -> float:
        """The median length of the old vectors that it was fitted on. Raises RequestError for files without it."""
        if self.facts.old_length is None:
            raise RequestError("this adapter was saved before lengths were; fit it again")
        return self.facts.old_length

    def with_length(self, mapped: Tensor, side: str, given: MatrixLike) -> Tensor:
        """Mapped unit vectors at lengths for an index that ranks by inner product or distance.

        A query gets the usual length of the old vectors; a vector that is stored keeps the length of `given`.
        """
        if side == "query":
            return mapped * self.usual_length
        stored = self._tensor(given, self.old_dim if side == "gallery" else self.dim, side)
        lengths: Tensor = torch.linalg.vector_norm(stored, dim=1, keepdim=True)
        return mapped * lengths

    def save(self, path: Path) -> None:
        """Write the adapter to a safetensors file."""
        write_artefact(path, self.artefact())

    def artefact(self) -> Artefact:
        """The adapter as tensors and facts, with the mapped values of a few probe vectors."""
        facts = {
            "format": FORMAT,
            "method": self.plugin.name,
            "params": self.params.model_dump(mode="json"),
            "dim": self.dim,
            "old_dim": self.old_dim,
            "num_classes": self.num_classes,
            "source_hash": self.plugin.source_hash,
            "facts": self.facts.model_dump(exclude_unset=True),
        }
        return Artefact({**self.maps.state_dict(), **self._probe()}, facts)

    @cached_property
    def _gallery_dim(self) -> int:
        fitted = next(chain(self.maps.parameters(), self.maps.buffers()), torch.empty(0))
        return self._rewrite(torch.ones(1, self.old_dim, device=fitted.device)).shape[1]

    def _rewrite(self, old: Tensor) -> Tensor:
        if self.maps.gallery is None:
            return unit(old)
        with torch.no_grad():
            rewritten: Tensor = self.maps.gallery(unit(old))
        return rewritten

    def _apply(self, module: nn.Module | None, new: Tensor, old: MatrixLike | None) -> Tensor:
        if module is None:
            return unit(new)
        with torch.no_grad():
            if Need.BOTH_ENCODERS_ONLINE not in self.needs:
                return unit(module(unit(new)))
            if old is None:
                raise RequestError(
                    f"method '{self.plugin.name}' needs both encoders online: give the same items' old vectors too"
                )
            return unit(module(unit(new), unit(self._tensor(old, self.old_dim, "old"))))

    def _tensor(self, matrix: MatrixLike, dim: int, side: str) -> Tensor:
        vectors = matrix if isinstance(matrix, Tensor) else torch.as_tensor(matrix, dtype=torch.float32)
        if vectors.ndim != 2 or vectors.shape[1] != dim:
            raise RequestError(
                f"the adapter '{self.plugin.name}' was fitted on {side} vectors of {dim} dimensions, "
                f"and these have shape {tuple(vectors.shape)}"
            )
        return vectors

    def _probe(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        new = torch.randn(PROBES, self.dim, generator=generator)
        old = torch.randn(PROBES, self.old_dim, generator=generator)
        probes = {"query": self.query(new, old), "new": self.new(new, old), "gallery": self.gallery(old)}
        if self.maps.order is not None:
            probes["order"] = self.order(old)
        return {f"{PROBE}{name}": mapped for name, mapped in probes.items()}


def fit(
    method: str,
    old: Any,
    new: Any,
    labels: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    folders: Sequence[Path] = (),
) -> FittedAdapter:
    """Fit the adapter `method` on paired vectors old (N, D_o) and new (N, D_n), tensors or arrays.

    `labels` (N,), integers or strings, are for methods that need them. Raises RequestError for an unknown method, for
    one that is no adapter, and where it cannot be fitted on such vectors.
    """
    check_number("seed", seed, 0)
    plugin = adapter_of(method, folders)
    vectors = [torch.as_tensor(side, dtype=torch.float32) for side in (old, new)]
    if vectors[0].ndim != 2 or vectors[1].ndim != 2 or len(vectors[0]) != len(vectors[1]) or not len(vectors[0]):
        raise RequestError(
            f"paired vectors are two matrices with equally many rows, not {tuple(vectors[0].shape)} and "
            f"{tuple(vectors[1].shape)}"
        )
    classes = None
    if labels is not None:
        values = np.asarray(labels)
        if values.shape != (len(vectors[0]),):
            raise RequestError(f"labels are one a row, {len(vectors[0])} of them, not {values.shape}")
        classes = torch.from_numpy(np.unique(values, return_inverse=True)[1])
    pairs = PairedVectors(vectors[1], vectors[0], classes)
    fitted = fit_plugin(plugin, plugin.resolve(dict(params or {})), pairs.task, pairs, seed, "fit")
    lengths = torch.linalg.vector_norm(vectors[0], dim=1)
    differ = bool(lengths.max() > EQUAL_LENGTHS * lengths.min())
    said = {"old_length": float(lengths.median()), "old_lengths_differ": differ}
    return replace(fitted, facts=fitted.facts.model_copy(update=said))


def fit_plugin(
    plugin: Plugin, params: Params, task: Task, pairs: PairedVectors, seed: int, *stream: str | int
) -> FittedAdapter:
    """Fit a resolved adapter on paired vectors, with torch's global stream seeded by `seed` and `stream`.

    Raises RequestError where the adapter skips the task, or needs labels and there are none.
    """
    adapter: Adapter = plugin.cls(params, task)
    if reason := adapter.skip(task):
        raise RequestError(f"method '{plugin.name}' cannot run here: {reason}")
    new, old, labels = pairs.new, pairs.old, pairs.labels
    if labels is None and Need.LABELS in adapter.needs:
        raise RequestError(f"method '{plugin.name}' needs labels of the pairs (--labels): give them, or fit another")
    begun = time.perf_counter()
    with global_stream(seed, *stream):
        if Need.UNPAIRED in adapter.needs:
            new, old, labels = *of_different_items(new, old), None
        maps = adapter.fit(unit(new), unit(old), labels)  # type: ignore[arg-type]
    facts = FitFacts(pairs=len(new), seed=seed, fit_seconds=time.perf_counter() - begun)
    maps.cpu().eval().requires_grad_(False)
    needs = frozenset(adapter.needs)
    return FittedAdapter(plugin, params, needs, new.shape[1], old.shape[1], task.num_classes, maps, facts)


def of_different_items(new: Tensor, old: Tensor) -> tuple[Tensor, Tensor]:
    """The new vectors of one random half of the pairs, and the old vectors of the other half in another order."""
    order = torch.randperm(len(new)).to(new.device)
    half = len(new) // 2
    return new[order[:half]], old[order[half:]]


def load(path: Path, folders: Sequence[Path] = ()) -> FittedAdapter:
    """The adapter in the file of `FittedAdapter.save`, rebuilt by its method, which may be in `folders`.

    Raises RequestError where there is no such file, it is damaged or something else, and where its method is unknown
    or has changed so that it would map differently.
    """
    artefact, problem = read_artefact(Path(path))
    if artefact is None:
        reason = f"is damaged or no adapter ({problem})" if problem else "does not exist"
        raise RequestError(f"{path} {reason}; compatbench fit writes one")
    if not isinstance(artefact.facts, dict) or artefact.facts.get("format") != FORMAT:
        raise RequestError(f"{path} contains no adapter of format {FORMAT}; fit it again: compatbench fit")
    try:
        return restore(artefact, lambda name: adapter_of(name, folders))
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error


SMALL = 65_536
"""Dimensions that a map may cut or fill up, so that no tensor has them."""


class _Saved(BaseModel):
    """The facts of a saved adapter."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: int
    method: str
    params: dict[str, JsonValue]
    dim: int = Field(ge=1)
    old_dim: int = Field(ge=1)
    num_classes: int = Field(ge=0)
    source_hash: str
    facts: FitFacts


def restore(artefact: Artefact, find: Callable[[str], Plugin]) -> FittedAdapter:
    """The adapter of an artefact. Raises RequestError if its method, found by name, now maps differently.

    Nothing is built of a size that its tensors do not have: it may be of somebody else's making.
    """
    saved = validated(_Saved, artefact.facts, "its metadata: ")
    if not all(bool(value.isfinite().all()) for value in artefact.tensors.values()):
        raise RequestError("its maps contain numbers that are not finite; fit it on vectors without NaN")
    sizes = {size for value in artefact.tensors.values() if value.numel() for size in value.shape}
    for name in ("dim", "old_dim"):
        if getattr(saved, name) > SMALL and getattr(saved, name) not in sizes:
            raise RequestError(f"its metadata: {name}: none of its tensors is of size {getattr(saved, name)}")
    plugin = find(saved.method)
    params = plugin.resolve(dict(saved.params))
    classes = saved.num_classes if saved.num_classes in sizes else 0  # fitting alone looks at the labels
    adapter: Adapter = plugin.cls(params, embeddings_task(saved.dim, saved.old_dim, classes))
    probes = {name: value for name, value in artefact.tensors.items() if name.startswith(PROBE)}
    state = {name: value for name, value in artefact.tensors.items() if name not in probes}
    changed = f"method '{plugin.name}' has changed since this adapter was fitted; fit it again"
    with torch.device("meta"):  # without memory
        planned = adapter.build(saved.dim, saved.old_dim).state_dict()
    if _forms(planned) != _forms(state):
        raise RequestError(changed)
    maps = adapter.build(saved.dim, saved.old_dim)
    try:
        maps.load_state_dict(state)
    except RuntimeError as error:
        raise RequestError(changed) from error
    maps.eval().requires_grad_(False)
    shape = saved.dim, saved.old_dim, saved.num_classes
    fitted = FittedAdapter(plugin, params, frozenset(adapter.needs), *shape, maps, saved.facts)
    mapped = fitted._probe()
    if mapped.keys() != probes.keys():
        raise RequestError(changed)
    for name, value in mapped.items():
        said = probes[name]
        if (value.shape, value.dtype) != (said.shape, said.dtype) or not (value - said).abs().max() <= PROBE_TOLERANCE:
            raise RequestError(changed)
    return fitted


def _forms(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, bool]]:
    """Shapes by name, and whether the numbers are real ones."""
    return {name: (value.shape, value.is_floating_point()) for name, value in tensors.items()}


def adapter_of(name: str, folders: Sequence[Path]) -> Plugin:
    """The adapter `name`. Raises RequestError for an unknown name, and for a training method."""
    plugin = discover(folders, [name]).plugins.get(name)
    if plugin is not None and plugin.kind is MethodKind.ADAPTER:
        return plugin
    everything = discover(folders)
    adapters = sorted(one.name for one in everything.plugins.values() if one.kind is MethodKind.ADAPTER)
    everything.check(name, adapters)
    raise RequestError(
        f"method '{name}' is trained with the new model and cannot be fitted on embeddings; "
        f"these can: {', '.join(adapters)}"
    )


def embeddings_task(dim: int, old_dim: int, num_classes: int) -> Task:
    """An upgrade with nothing known but the embeddings."""
    return Task(
        generation=1,
        backbone="",
        dim=dim,
        loss=HeadName.SOFTMAX,  # adapters train no head
        classes=tuple(range(num_classes)),
        total_classes=num_classes,
        old_backbone="",
        old_dim=old_dim,
    )
