"""Generations in service: test vectors in their own space, and maps to older or newer spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from compatbench.discovery.plugins import Plugin
from compatbench.errors import RequestError
from compatbench.generations.adapters import FORMAT, FittedAdapter, PairedVectors, fit_plugin, restore, unit
from compatbench.generations.chain import ChainTrainer, TrainedModel, task_of
from compatbench.heads import posterior_entropy
from compatbench.method import Map, Params, to_dim
from compatbench.storage.artefacts import Artefact, get_or_make_together
from compatbench.storage.canonical import digest
from compatbench.suite.scenarios import documents_from
from compatbench.vocabulary import MethodKind, Need, TrainPart

QueryMap = Callable[[Tensor, Tensor], Tensor]
"""Query vectors of a generation, and the same queries as the generation before embeds them, to vectors (Q, D_o)."""


@dataclass(frozen=True)
class ServedGeneration:
    """Test embeddings of one generation, and its maps to and from the generation before it."""

    id: str
    query: Tensor
    """(Q, D)."""
    gallery: Tensor
    """(N, D)."""
    embed_images_per_second: float
    """Of the encoder of the queries."""
    trained: TrainedModel
    uncertainty: Tensor | None = None
    """(N,) entropy of the model's own posterior at its gallery vectors; None where it has no trained classifier."""
    to_previous: QueryMap | None = None
    """Query vectors of this generation, made comparable with the gallery of the one before."""
    from_previous: Map | None = None
    """Gallery vectors of the generation before, made comparable with this one's queries."""
    order: Map | None = None
    """Gallery vectors of the generation before to scores (N,): those with the highest are to be re-embedded first."""
    adapter: FittedAdapter | None = None
    """What leads between this generation and the one before, where that was fitted on their embeddings."""
    keeps_documents: bool = False
    """Its gallery is that of the generation before: only its query encoder is new."""


def serve(
    trainer: ChainTrainer, plugin: Plugin, params: Params, pairs: TrainPart = TrainPart.HELD_OUT
) -> list[ServedGeneration]:
    """The chain of a method of either kind, oldest first; `pairs` are what an adapter is fitted on."""
    if plugin.kind is MethodKind.ADAPTER:
        return serve_adapter(trainer, plugin, params, pairs)
    return serve_training_method(trainer, plugin, params)


def serve_baseline(trainer: ChainTrainer, generation: int) -> ServedGeneration:
    """The independent model of `generation`."""
    return _serve(trainer, trainer.baseline(generation), generation)


def serve_training_method(trainer: ChainTrainer, plugin: Plugin, params: Params) -> list[ServedGeneration]:
    """All generations of a training method."""
    served: list[ServedGeneration] = []
    for generation, trained in enumerate(trainer.models(plugin, params)):
        one = _serve(trainer, trained, generation)
        if trainer.chain[generation].keeps_documents:
            one = _keeping(one, served)
        method = trained.model.method.cpu()
        rewrites = generation > 0 and Need.GALLERY_REWRITE in method.needs
        from_previous = torch.no_grad()(method.gallery) if rewrites else None
        served.append(replace(one, to_previous=_of_new_alone(method.compatible), from_previous=from_previous))
    return served


def serve_adapter(
    trainer: ChainTrainer, plugin: Plugin, params: Params, pairs: TrainPart = TrainPart.HELD_OUT
) -> list[ServedGeneration]:
    """All generations of the independent models, with the adapter's maps between neighbours.

    Adapters see unit vectors throughout, the old ones where the maps of their own generation left them.
    """
    base = [_serve(trainer, trainer.baseline(generation), generation) for generation in range(len(trainer.chain))]
    unit_length = [replace(one, query=unit(one.query), gallery=unit(one.gallery)) for one in base]
    served = [replace(unit_length[0], id=digest([unit_length[0].id, "unit length"]))]
    for generation in range(1, len(unit_length)):
        old, new = served[documents_from(served, generation - 1)], unit_length[generation]
        images = digest(trainer.images_of(generation, pairs).tolist())
        name = digest(
            [FORMAT, old.id, new.id, images, trainer.seed, plugin.source_hash, params.model_dump(mode="json")]
        )
        adapter = _fitted(trainer, plugin, params, served, new.trained, name, pairs)
        one = replace(
            new,
            id=name,
            query=adapter.new(new.query, old.query),
            gallery=adapter.new(new.gallery, old.gallery),
            to_previous=adapter.to_old if adapter.maps.query else None,
            from_previous=adapter.gallery if adapter.maps.gallery else None,
            order=adapter.order if adapter.maps.order else None,
            adapter=adapter,
        )
        served.append(_keeping(one, served) if trainer.chain[generation].keeps_documents else one)
    return served


def _keeping(one: ServedGeneration, served: Sequence[ServedGeneration]) -> ServedGeneration:
    """`one` with the gallery of the newest of `served`."""
    newest = served[-1]
    return replace(
        one,
        id=digest([one.id, "documents", newest.id]),
        gallery=newest.gallery,
        uncertainty=newest.uncertainty,
        keeps_documents=True,
    )


def _fitted(
    trainer: ChainTrainer,
    plugin: Plugin,
    params: Params,
    served: list[ServedGeneration],
    new: TrainedModel,
    name: str,
    pairs: TrainPart,
) -> FittedAdapter:
    """Fitted on the held-out images of the new generation's classes, or found where an earlier cell fitted it.

    Raises RequestError where there are no such images.
    """
    generation = len(served)
    if not len(trainer.images_of(generation, pairs)):
        raise RequestError("no image is held out, for every class has one training image; fit on pairs: train")
    trainer.progress(f"fit {plugin.name} {generation}", 0.0)

    def make() -> Artefact:
        old_vectors = _paired_vectors(trainer, served, documents_from(served, generation - 1), generation, pairs)
        new_vectors = unit(trainer.embed_training_set(new, generation, part=pairs))
        task = replace(
            task_of(trainer.chain, generation, trainer.dataset.train_classes),
            dim=new_vectors.shape[1],
            old_dim=old_vectors.shape[1],
        )
        paired = PairedVectors(new_vectors, old_vectors, trainer.labels(generation, pairs))
        return fit_plugin(plugin, params, task, paired, trainer.seed, "fit", generation).artefact()

    stored = get_or_make_together(trainer.store.models, name, make, trainer.notify)
    return restore(stored, lambda _: plugin)


def _paired_vectors(
    trainer: ChainTrainer, served: list[ServedGeneration], step: int, generation: int, pairs: TrainPart
) -> Tensor:
    """The images of `pairs` of `generation` as `served[step]` stores documents, (N, D) on the trainer's device."""
    one = served[step]
    vectors = unit(trainer.embed_training_set(one.trained, generation, "gallery", pairs))
    if one.adapter is None or one.adapter.maps.new is None:
        return vectors
    older = _paired_vectors(trainer, served, documents_from(served, step - 1), generation, pairs)
    return one.adapter.new(vectors.cpu(), older.cpu()).to(vectors.device)


def _of_new_alone(mapping: Map) -> QueryMap:
    """A map that takes the new query vectors only."""

    @torch.no_grad()
    def to_previous(new: Tensor, old: Tensor) -> Tensor:
        return mapping(new)

    return to_previous


def comparable(served: Sequence[ServedGeneration], query: int, gallery: int) -> tuple[Tensor, Tensor]:
    """Query and gallery vectors of M[query][gallery]: mapped down the chain, and the gallery up, to one space."""
    queries, documents = served[query].query, served[gallery].gallery
    last = documents_from(served, gallery)
    steps = []
    while query > last:
        steps.append(query)
        older = documents_from(served, query - 1)
        to_previous = served[query].to_previous
        queries = to_previous(queries, served[older].query) if to_previous else queries
        query = older
    for step in reversed(steps):
        from_previous = served[step].from_previous
        documents = from_previous(documents) if from_previous else documents
    return to_dim(queries, documents.shape[1]), documents


def _serve(trainer: ChainTrainer, trained: TrainedModel, generation: int) -> ServedGeneration:
    dataset = trainer.dataset
    query, rate = trainer.embed_split(trained, "query", generation)
    shared = dataset.gallery is dataset.query and trained.model.document_encoder is None
    gallery = query if shared else trainer.embed_split(trained, "gallery", generation)[0]
    return ServedGeneration(trained.id, query, gallery, rate, trained, _uncertainty(trained, gallery))


def _uncertainty(trained: TrainedModel, gallery: Tensor) -> Tensor | None:
    """From the vectors as the model makes them: for adapters too, whatever becomes of the vectors afterwards."""
    if not trained.model.method.trains_classifier:
        return None
    head = trained.model.head
    return posterior_entropy(head, gallery.to(head.weight.device)).cpu()
