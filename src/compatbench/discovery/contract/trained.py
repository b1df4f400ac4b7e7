"""Checks on a training method."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from compatbench.discovery.contract.fixture import (
    BACKBONE,
    CLASSES,
    NORMALIZE,
    OLD_CLASSES,
    OTHER_BACKBONE,
    Fixture,
    Trunks,
    build_fixture,
    skip,
    variants,
)
from compatbench.discovery.contract.report import Report, Violation
from compatbench.discovery.datasets import NO_OPTIONS
from compatbench.discovery.plugins import Plugin
from compatbench.discovery.source import source_files
from compatbench.errors import one_line
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.loop import embed_images
from compatbench.vocabulary import HeadName, Need

DIM = 16
GUARDED = {Need.OLD_ENCODER, Need.OLD_CLASSIFIER, Need.OLD_FEATURES, Need.OLD_WEIGHTS}
BATCH_FIELDS = {Need.TWO_VIEWS: "second_view", Need.INDEPENDENT_MODEL: "independent"}


def check_training_method(report: Report, plugin: Plugin) -> None:
    """Run every check of a training method; if one of the first fails, the rest do not run."""
    dim = report.check("skip", _dimension, plugin)
    if dim is None:
        return
    fresh = build_fixture(plugin, dim=dim, old_dim=dim)
    report.check("losses", check_first_batch, fresh)
    if report.just_failed:
        if fresh.undeclared:
            report.results[-1] = replace(report.results[-1], check="needs")
        return
    report.check("finite gradient", check_finite_gradient, fresh)
    if report.just_failed:
        return
    fixture = build_fixture(plugin, dim=dim, old_dim=dim)
    before = _bytes(fixture.old)
    report.check("training", fixture.train)
    if report.just_failed:
        return
    report.check("needs", check_needs, fixture, plugin)
    report.check("frozen old model", check_frozen, fixture, before)
    report.check("seeds", check_seeds, fixture, plugin)
    report.check("state", check_state, fixture, plugin)
    report.check("gallery", check_gallery, fixture)
    report.check("gradient", check_gradient, [fresh, fixture])
    report.check("one sample per class", check_terms, fixture, [0, 1, 2, 3, 4])
    new_classes = [row for row in range(20) if int(fixture.data.labels[row]) >= len(OLD_CLASSES)]
    report.check("no old class in the batch", check_terms, fixture, new_classes)
    report.check("mixed precision", check_terms, fixture, mixed_precision=True)
    for loss in (HeadName.NORMALIZED_SOFTMAX, HeadName.ARCFACE):
        report.check(f"{loss} head", check_task, plugin, dim=dim, old_dim=dim, loss=loss)
    report.check("larger dimension", check_task, plugin, dim=2 * dim, old_dim=dim)
    report.check("smaller dimension", check_task, plugin, dim=dim // 2, old_dim=dim)
    for name, trunks in (("frozen trunk", (BACKBONE, BACKBONE)), ("another frozen trunk", (BACKBONE, OTHER_BACKBONE))):
        report.check(name, check_frozen_trunks, plugin, dim, trunks)
    for variant, params in variants(plugin).items():
        report.check(f"with {variant}", check_task, plugin, dim=dim, old_dim=dim, params=params)


def _dimension(plugin: Plugin) -> int:
    """An embedding dimension at which the method does not skip the plainest of upgrades."""
    reasons = []
    for dim in (DIM, len(CLASSES) - 1):
        reason = skip(plugin, dim, dim)
        if reason is None:
            return dim
        reasons.append(reason)
    raise Violation(
        f"it skips the plainest upgrade there is, same backbone and same dimension ({reasons[0]}): "
        "make skip() return None where the method can run"
    )


def check_first_batch(fixture: Fixture) -> None:
    """The method sets up, and its losses of a first batch have the right form."""
    fixture.setup()
    check_form(fixture)
    check_terms(fixture)


def check_form(fixture: Fixture) -> None:
    """`classification` gives a tensor, and `loss` tensors by name."""
    batch = fixture.batch(range(10))
    old = fixture.old_model.view(batch.images) if fixture.old_model is not None else None
    classification = fixture.method.classification(batch, fixture.view(batch), old)
    terms = fixture.method.loss(batch, fixture.view(batch), old)
    if not isinstance(terms, dict):
        raise Violation(f"loss() returned {type(terms).__name__}: return a dict of scalar tensors by name")
    for name, value in {fixture.method.classification_term: classification, **terms}.items():
        if not isinstance(value, Tensor):
            raise Violation(f"loss term '{name}' is {value!r}: return a scalar tensor, not a Python number or None")


def check_terms(fixture: Fixture, index: list[int] | None = None, *, mixed_precision: bool = False) -> None:
    """Every loss term of the batch at `index` is a finite scalar."""
    for name, value in fixture.terms(index or list(range(10)), mixed_precision=mixed_precision).items():
        if not torch.isfinite(value):
            raise Violation(
                f"loss term '{name}' is {value.item()}: guard divisions and means over no elements, "
                "e.g. sum() / count.clamp(min=1)"
            )


def check_needs(fixture: Fixture, plugin: Plugin) -> None:
    """Every used need is declared, and every declared need is used."""
    used = set(fixture.needs.used)
    source = "\n".join(file.read_text(encoding="utf-8") for file in source_files(plugin.path))
    used |= {need for need, field in BATCH_FIELDS.items() if re.search(rf"\bbatch\.{field}\b", source)}
    declared = set(fixture.method.needs)
    for need in used - declared:
        raise Violation(f"uses the {need.value} without declaring it: add Need.{need.name} to `needs`")
    for need in (declared & (GUARDED | set(BATCH_FIELDS))) - used:
        raise Violation(
            f"declares the {need.value} and never uses it, and the leaderboard prints it as a cost: "
            f"remove Need.{need.name}, or narrow self.needs in __init__ to what the variant needs"
        )


def check_finite_gradient(fixture: Fixture) -> None:
    """The gradient of a finite loss is finite."""
    for gradient in _gradients(fixture, fixture.terms(range(10))):
        if not gradient.isfinite().all():
            raise Violation(
                "the gradient is not finite although the loss is: look for sqrt, norm, acos or log at their edges"
            )


def check_gradient(fixtures: list[Fixture]) -> None:
    """At the start or at the end of training, every term and their sum depend on the new model."""
    constant: set[str] | None = None
    moved = False
    for fixture in fixtures:
        terms = fixture.terms(range(10))
        without = {name for name, value in terms.items() if not value.requires_grad}
        constant = without if constant is None else constant & without
        moved = moved or any(bool(gradient.any()) for gradient in _gradients(fixture, terms))
    if not moved:
        raise Violation("no gradient reaches the new encoder: compute the loss from new.embeddings, not detached")
    if constant:
        raise Violation(
            f"loss term '{min(constant)}' has no gradient: it must depend on the new model, "
            "without detach(), item() or no_grad()"
        )


@torch.no_grad()
def check_gallery(fixture: Fixture) -> None:
    """The gallery map is declared, maps each vector on its own, and leaves its input as it was."""
    assert fixture.old is not None
    old = embed_images(fixture.old, fixture.data.images, NORMALIZE)
    given = old.clone()
    rewritten = fixture.method.gallery(given)
    changes = rewritten.shape != old.shape or not torch.equal(rewritten, old)
    declared = Need.GALLERY_REWRITE in frozenset(fixture.method.needs)
    if not torch.equal(given, old):
        raise Violation("gallery() modifies its input: work out of place")
    if changes and not declared:
        raise Violation("gallery() rewrites every stored vector: add Need.GALLERY_REWRITE to `needs`")
    if declared and not changes:
        raise Violation("declares Need.GALLERY_REWRITE and gallery() changes nothing: remove it from `needs`")
    if not rewritten.isfinite().all():
        raise Violation("gallery() gives NaN or infinite values: guard divisions and norms")
    alone = torch.cat([fixture.method.gallery(old[row : row + 1]) for row in range(5)])
    if not torch.allclose(rewritten[:5], alone, atol=1e-4):
        raise Violation(
            "gallery() of a vector depends on the other vectors of the call: use nothing but the vector and what was "
            "trained (e.g. BatchNorm in eval mode)"
        )


def check_frozen(fixture: Fixture, before: dict[str, bytes]) -> None:
    """Training changed neither the old model nor its embeddings of the training set."""
    old = fixture.old
    assert old is not None
    assert fixture.old_model is not None
    changed = sorted(name for name, content in _bytes(old).items() if before[name] != content)
    if changed:
        raise Violation(f"the old model changed ({', '.join(changed[:3])}): never write to it; clone() what you need")
    if old.training or any(module.training for module in old.modules()):
        raise Violation("the old model is in training mode afterwards: do not call train() on it")
    if any(p.requires_grad or p.grad is not None for p in old.parameters()):
        raise Violation(
            "a gradient reaches the old model: do not switch requires_grad on; clone() what is to be learned"
        )
    if Need.OLD_FEATURES in fixture.method.needs:
        embeddings = embed_images(old, fixture.data.images, NORMALIZE)
        if not torch.equal(fixture.old_model.train_embeddings, embeddings):
            raise Violation("old.train_embeddings changed: work out of place; clone() what you normalise or map")


def check_seeds(fixture: Fixture, plugin: Plugin) -> None:
    """The same seed twice gives the same embeddings, whatever was drawn elsewhere in between."""
    again = _like(fixture, plugin)
    torch.manual_seed(4711)
    again.train()
    if not torch.equal(fixture.embeddings(), again.embeddings()):
        raise Violation(
            "two trainings with the same seed differ: build modules in __init__() or setup(), where torch's "
            "global stream is seeded, and draw from batch.generator in loss()"
        )


def check_state(fixture: Fixture, plugin: Plugin) -> None:
    """A new model after `setup`, with the stored state loaded, embeds and classifies like the trained one."""
    stored = save({name: value.detach().contiguous().clone() for name, value in fixture.model.state_dict().items()})
    restored = _like(fixture, plugin)
    restored.setup()
    restored.model.to(memory_format=torch.channels_last)  # as in training: another format rounds differently
    try:
        restored.model.load_state_dict(load(stored))
    except RuntimeError as error:
        raise Violation(
            f"the stored state does not load again ({one_line(str(error))}): register modules and buffers "
            "in __init__ or setup() only, always with the same names and shapes"
        ) from error
    for name, first, second in zip(
        ("embeddings", "compatible()", "gallery()", "logits"), _outputs(fixture), _outputs(restored), strict=True
    ):
        if not torch.equal(first, second):
            raise Violation(
                f"{name} differ after storing and loading: keep what they depend on in parameters or buffers "
                "(register_buffer), not in plain attributes"
            )


def check_task(
    plugin: Plugin, *, dim: int, old_dim: int, loss: HeadName = HeadName.SOFTMAX, params: Mapping[str, Any] = NO_OPTIONS
) -> None:
    """The method runs on another task, or skips it with a reason; its queries fit the old gallery."""
    if dim != old_dim and skip(plugin, dim, old_dim) is not None:
        return
    fixture = build_fixture(plugin, dim=dim, old_dim=old_dim, loss=loss, params=params)
    fixture.setup()
    check_terms(fixture)
    queries, gallery = (tuple(one.shape) for one in _outputs(fixture)[1:3])
    if queries != gallery:
        raise Violation(f"compatible() gives {queries} where the old gallery needs {gallery}")


def check_frozen_trunks(plugin: Plugin, dim: int, trunks: Trunks) -> None:
    """The method trains a head on features (B, F), unless it skips this upgrade or starts from other weights."""
    same = trunks[0] == trunks[1]
    if skip(plugin, dim, dim, trunks) is not None or (not same and Need.OLD_WEIGHTS in plugin.needs):
        return
    fixture = build_fixture(plugin, dim=dim, old_dim=dim, frozen=trunks)
    try:
        fixture.train()
    except (RuntimeError, IndexError) as error:
        raise Violation(
            f"fails where images are features (B, F) of a frozen trunk ({one_line(str(error))}): take batch.images as "
            "it is, or mix whole rows of it"
        ) from error
    if not fixture.embeddings().isfinite().all():
        raise Violation("gives embeddings that are not finite after a training on features (B, F) of a frozen trunk")


@torch.no_grad()
def _outputs(fixture: Fixture) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    assert fixture.old is not None
    embeddings, stored = fixture.embeddings(), embed_images(fixture.old, fixture.data.images, NORMALIZE)
    method = fixture.model.eval().method
    return embeddings, method.compatible(embeddings), method.gallery(stored), fixture.model.head(embeddings)


def _like(fixture: Fixture, plugin: Plugin) -> Fixture:
    """An untrained fixture of the same task with the same old model."""
    task = fixture.method.task
    assert task.old_dim is not None
    return build_fixture(plugin, dim=task.dim, old_dim=task.old_dim, old=fixture.old)


def _gradients(fixture: Fixture, terms: dict[str, Tensor]) -> list[Tensor]:
    """Gradients of the summed terms in the new encoder."""
    fixture.model.zero_grad()
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    return [p.grad for p in fixture.model.encoder.parameters() if p.grad is not None]


def _bytes(model: EmbeddingModel | None) -> dict[str, bytes]:
    assert model is not None
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
