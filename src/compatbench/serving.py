"""Generations as they serve: test vectors in their own space, and the maps that lead to older or newer spaces."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.canonical import digest
from compatbench.chain import ChainTrainer, TrainedModel, task_of
from compatbench.evaluation.retrieval import Vectors
from compatbench.method import Adapter, Map, Maps, Params, to_dim
from compatbench.plugins import Plugin
from compatbench.seeds import global_stream


@dataclass(frozen=True)
class ServedGeneration:
    """Test embeddings of one generation, and its maps to and from the generation before it."""

    id: str
    query: Tensor
    """(Q, D)."""
    gallery: Tensor
    """(N, D)."""
    embed_images_per_second: float
    trained: TrainedModel
    to_previous: Map | None = None
    """Query vectors of this generation, made comparable with the gallery of the one before."""
    from_previous: Map | None = None
    """Gallery vectors of the generation before, made comparable with this one's queries."""


def serve(trainer: ChainTrainer, plugin: Plugin, params: Params) -> list[ServedGeneration]:
    """The chain of a method of either kind, oldest first."""
    serve_kind = serve_adapter if plugin.kind == "adapter" else serve_training_method
    return serve_kind(trainer, plugin, params)


def serve_baseline(trainer: ChainTrainer, generation: int) -> ServedGeneration:
    """The independent model of `generation`."""
    return _serve(trainer, trainer.baseline(generation), generation)


def serve_training_method(trainer: ChainTrainer, plugin: Plugin, params: Params) -> list[ServedGeneration]:
    """All generations of a training method."""
    served = []
    for generation, trained in enumerate(trainer.models(plugin, params)):
        base = _serve(trainer, trained, generation)
        compatible = torch.no_grad()(trained.model.method.cpu().compatible)
        served.append(replace(base, to_previous=compatible))
    return served


def serve_adapter(trainer: ChainTrainer, plugin: Plugin, params: Params) -> list[ServedGeneration]:
    """All generations of the independent models, with the adapter's maps between neighbours.

    Adapters see unit vectors throughout, the old ones where the map of their own generation left them.
    """
    base = [_serve(trainer, trainer.baseline(generation), generation) for generation in range(len(trainer.chain))]
    unit = [replace(one, query=F.normalize(one.query), gallery=F.normalize(one.gallery)) for one in base]
    served = [replace(unit[0], id=digest([unit[0].id, "unit length"]))]
    maps = Maps()
    for generation in range(1, len(unit)):
        old, new = unit[generation - 1].trained, unit[generation].trained
        maps = _fit(trainer, plugin, params, old, new, generation, old_map=maps.new)
        query, gallery = unit[generation].query, unit[generation].gallery
        served.append(
            replace(
                unit[generation],
                id=digest([served[-1].id, unit[generation].id, plugin.source_hash, params.model_dump(mode="json")]),
                query=maps.new(query) if maps.new else query,
                gallery=maps.new(gallery) if maps.new else gallery,
                to_previous=maps.query,
                from_previous=maps.gallery,
            )
        )
    return served


def _fit(
    trainer: ChainTrainer,
    plugin: Plugin,
    params: Params,
    old: TrainedModel,
    new: TrainedModel,
    generation: int,
    old_map: Map | None,
) -> Maps:
    """Fit on the training images of the new generation, on the CPU; the maps pass no gradient."""
    adapter: Adapter = plugin.cls(params, task_of(trainer.chain, generation, trainer.dataset))
    trainer.progress(f"fit {plugin.name} {generation}", 0.0)
    old_vectors = F.normalize(trainer.embed_training_set(old, generation)).cpu()
    with global_stream(trainer.seed, "fit", generation):
        maps = adapter.fit(
            F.normalize(trainer.embed_training_set(new, generation)).cpu(),
            F.normalize(old_map(old_vectors)) if old_map else old_vectors,
            trainer.training_set(generation).labels.cpu(),
        )
    without_gradient = torch.no_grad()
    return Maps(*(without_gradient(each) if each else None for each in (maps.query, maps.gallery, maps.new)))


def pair(served: list[ServedGeneration], trainer: ChainTrainer, query: int, gallery: int) -> tuple[Vectors, Vectors]:
    """Vectors of M[query][gallery]: queries led down, or the gallery led up, until they are comparable."""
    queries, documents = served[query].query, served[gallery].gallery
    for step in range(query, gallery, -1):
        to_previous = served[step].to_previous
        queries = to_previous(queries) if to_previous else queries
    for step in range(gallery + 1, query + 1):
        from_previous = served[step].from_previous
        documents = from_previous(documents) if from_previous else documents
    return vectors(trainer, to_dim(queries, documents.shape[1]), documents)


def vectors(trainer: ChainTrainer, query: Tensor, gallery: Tensor) -> tuple[Vectors, Vectors]:
    """Embeddings of the test splits, with their labels and sample ids."""
    dataset = trainer.dataset
    return (
        Vectors(query, dataset.query.labels, dataset.query.ids),
        Vectors(gallery, dataset.gallery.labels, dataset.gallery.ids),
    )


def _serve(trainer: ChainTrainer, trained: TrainedModel, generation: int) -> ServedGeneration:
    dataset = trainer.dataset
    query, rate = trainer.embed_split(trained, dataset.query, generation)
    shared = dataset.gallery is dataset.query
    gallery = query if shared else trainer.embed_split(trained, dataset.gallery, generation)[0]
    return ServedGeneration(trained.id, query, gallery, rate, trained)
