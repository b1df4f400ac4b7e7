"""What a method costs: training, embedding, parameters and search, on the real models and embeddings (protocol §4)."""

from __future__ import annotations

import torch

from compatbench.adapters import fitted_numbers
from compatbench.chain import ChainTrainer
from compatbench.evaluation.search import search_speed
from compatbench.model import EmbeddingModel
from compatbench.serving import ServedGeneration, pair

SEARCH_QUERIES = 1000
"""Queries that search speed is measured with."""


def costs(trainer: ChainTrainer, served: list[ServedGeneration]) -> dict[str, float | None]:
    """Costs of the newest generation, by the names that docs/records.md explains."""
    newest = len(served) - 1
    new = served[newest]
    return {
        "train_seconds": new.trained.facts["train_seconds"],
        "train_images_per_second": new.trained.facts["train_images_per_second"],
        "embed_images_per_second": new.embed_images_per_second,
        **_parameters(new),
        **_search(trainer, served, newest, newest),
        "faiss_hnsw_cross_recall": _search(trainer, served, newest, newest - 1)["faiss_hnsw_recall"],
    }


def _parameters(new: ServedGeneration) -> dict[str, float | None]:
    """What the method adds beside encoder and head, with the model or fitted on its embeddings."""
    if new.adapter is None:
        model = new.trained.model
        trained, served = sum(parameter.numel() for parameter in model.method.parameters()), serving_parameters(model)
        return {"extra_training_parameters": float(trained), "extra_serving_parameters": float(served)}
    maps = new.adapter.maps
    return {
        "extra_training_parameters": float(fitted_numbers(maps)),
        "extra_serving_parameters": float(fitted_numbers(maps.new, maps.query)),
        "fit_seconds": new.adapter.facts["fit_seconds"],
    }


def serving_parameters(model: EmbeddingModel) -> int:
    """The method's parameters that a query depends on, found by following its gradient."""
    parameters = [parameter for parameter in model.method.parameters() if parameter.is_floating_point()]
    if not parameters:
        return 0
    trainable = [parameter.requires_grad for parameter in parameters]
    with torch.enable_grad():
        for parameter in parameters:
            parameter.requires_grad_(True)
        features = torch.ones(2, model.encoder.spec.dim, device=parameters[0].device, requires_grad=True)
        embeddings = model.method.embed(features)
        total = embeddings.sum() + model.method.compatible(embeddings).sum()
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    for parameter, before in zip(parameters, trainable, strict=True):
        parameter.requires_grad_(before)
    return sum(p.numel() for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None)


def _search(trainer: ChainTrainer, served: list[ServedGeneration], query: int, gallery: int) -> dict[str, float]:
    """Faiss on the real vectors: an index over the gallery of one generation, queries of another."""
    queries, documents = pair(served, trainer, query, gallery)
    # training an IVF-PQ index takes longer than all other measurements of a cell together
    return search_speed(queries.values[:SEARCH_QUERIES].numpy(), documents.values.numpy(), indexes=("hnsw",))
