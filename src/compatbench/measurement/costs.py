"""Costs of a method: training, embedding, parameters and search, on the real models and embeddings (protocol §4)."""

from __future__ import annotations

import torch

from compatbench.generations.adapters import fitted_numbers
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.serving import ServedGeneration
from compatbench.measurement.served_chain import ServedChain


def costs(chain: ServedChain) -> dict[str, float | None]:
    """Costs of the newest generation, by the names in docs/records.md."""
    new = chain.generations[-1]
    return {
        "train_seconds": new.trained.report.seconds,
        "train_images_per_second": new.trained.report.images_per_second,
        "embed_images_per_second": new.embed_images_per_second,
        **_parameters(new),
        "bytes_per_vector": 4.0 * new.gallery.shape[1],
    }


def step_costs(chain: ServedChain) -> dict[str, dict[str, float | None]]:
    """Training costs of each generation of the chain, by its label, for a sequence of upgrades."""
    return {
        str(step): {
            "train_images": float(chain.train_images[step]),
            "train_seconds": one.trained.report.seconds,
            "train_images_per_second": one.trained.report.images_per_second,
            "fit_seconds": one.adapter.facts.fit_seconds if one.adapter else None,
            "bytes_per_vector": 4.0 * one.gallery.shape[1],
        }
        for step, one in enumerate(chain.generations)
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
        "fit_seconds": new.adapter.facts.fit_seconds,
    }


def serving_parameters(model: EmbeddingModel) -> int:
    """Number of the method's parameters on which a query depends, by following its gradient."""
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
