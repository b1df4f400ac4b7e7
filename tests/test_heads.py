"""Heads against explicit loops and against pytorch-metric-learning."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import ArcFaceLoss, NormalizedSoftmaxLoss
from scipy.stats import entropy
from torch import Tensor

from compatbench.heads import (
    ArcFaceHead,
    CosineHead,
    SoftmaxHead,
    arcface_logits,
    build_head,
    posterior_entropy,
)
from compatbench.vocabulary import HeadName

BATCH, DIM, CLASSES = 12, 5, 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Heads draw their rows from torch's global stream."""
    torch.manual_seed(0)


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(BATCH, DIM, generator=generator) * 3, torch.arange(BATCH) % CLASSES


def cross_entropy(logits: list[list[float]], labels: list[int]) -> float:
    """−mean log(e^{z_y} / Σ e^{z_k}), in plain Python."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        largest = max(row)
        total -= row[label] - largest - math.log(sum(math.exp(value - largest) for value in row))
    return total / len(labels)


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def cosines(embeddings: Tensor, rows: Tensor) -> list[list[float]]:
    return [
        [dot(f, w) / math.sqrt(dot(f, f) * dot(w, w)) for w in rows.double().tolist()]
        for f in embeddings.double().tolist()
    ]


def test_softmax_is_cross_entropy_of_inner_products(batch: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = batch
    head = build_head("softmax", DIM, CLASSES)
    logits = [[dot(f, w) for w in head.weight.tolist()] for f in embeddings.tolist()]
    assert torch.allclose(head(embeddings), torch.tensor(logits), atol=1e-5)
    assert head.loss(embeddings, labels).item() == pytest.approx(cross_entropy(logits, labels.tolist()), rel=1e-5)


def test_normalized_softmax_is_cross_entropy_of_scaled_cosines(batch: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = batch
    head = build_head("normalized_softmax", DIM, CLASSES)
    logits = [[16.0 * value for value in row] for row in cosines(embeddings, head.weight)]
    assert head.loss(embeddings, labels).item() == pytest.approx(cross_entropy(logits, labels.tolist()), rel=1e-5)
    oracle = NormalizedSoftmaxLoss(CLASSES, DIM, temperature=1 / 16)
    oracle.W.data = head.weight.detach().T
    assert head.loss(embeddings, labels).item() == pytest.approx(oracle(embeddings, labels).item(), rel=1e-5)


def test_arcface_adds_its_margin_to_the_angle_of_the_target(batch: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = batch
    head = ArcFaceHead(DIM, CLASSES, scale=8.0, margin=0.5)
    logits = []
    for row, label in zip(cosines(embeddings, head.weight), labels.tolist(), strict=True):
        angle = math.acos(row[label])
        assert angle + 0.5 < math.pi, "choose a seed without such angles: they have a test of their own"
        row[label] = math.cos(angle + 0.5)
        logits.append([8.0 * value for value in row])
    assert head.loss(embeddings, labels).item() == pytest.approx(cross_entropy(logits, labels.tolist()), rel=1e-5)
    oracle = ArcFaceLoss(CLASSES, DIM, margin=math.degrees(0.5), scale=8)
    oracle.W.data = head.weight.detach().T
    assert head.loss(embeddings, labels).item() == pytest.approx(oracle(embeddings, labels).item(), rel=1e-5)


def test_arcface_goes_on_falling_where_the_angle_would_pass_pi() -> None:
    angles = torch.linspace(0.01, math.pi - 0.01, 200, dtype=torch.float64)
    cosine = torch.stack([angles.cos(), torch.zeros_like(angles)], dim=1)
    shifted = arcface_logits(cosine, torch.zeros(200, dtype=torch.long), 1.0, 0.5)[:, 0]
    assert (shifted.diff() < 0).all(), "a larger angle to the target always gives a smaller logit"
    beyond = angles > math.pi - 0.5
    assert torch.allclose(shifted[beyond], angles[beyond].cos() - 0.5 * math.sin(0.5))
    assert torch.allclose(shifted[~beyond], (angles[~beyond] + 0.5).cos())


@pytest.mark.parametrize("cosine", [1.0, -1.0])
def test_arcface_has_a_finite_gradient_at_the_ends(cosine: float) -> None:
    cosines = torch.tensor([[cosine, 0.0]], requires_grad=True)
    F.cross_entropy(arcface_logits(cosines, torch.tensor([0]), 64.0, 0.5), torch.tensor([0])).backward()
    assert cosines.grad is not None
    assert torch.isfinite(cosines.grad).all()


@pytest.mark.parametrize("name", HeadName)
def test_a_head_scores_foreign_rows_as_its_own(name: HeadName, batch: tuple[Tensor, Tensor]) -> None:
    embeddings, _ = batch
    head, other = build_head(name, DIM, CLASSES), build_head(name, DIM, CLASSES)
    assert torch.equal(head.logits(embeddings, other.weight), other(embeddings))
    assert torch.equal(head.logits(embeddings, head.weight), head(embeddings))


def test_scale_of_the_embedding_matters_to_softmax_only(batch: tuple[Tensor, Tensor]) -> None:
    embeddings, _ = batch
    for head in (CosineHead(DIM, CLASSES), ArcFaceHead(DIM, CLASSES)):
        assert torch.allclose(head(embeddings), head(embeddings * 7), atol=1e-4)
    softmax = SoftmaxHead(DIM, CLASSES)
    assert torch.allclose(softmax(embeddings) * 7, softmax(embeddings * 7), atol=1e-4)


def test_softmax_rows_start_as_those_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(DIM, CLASSES, bias=False)
    torch.manual_seed(0)
    assert torch.equal(SoftmaxHead(DIM, CLASSES).weight, linear.weight)


@pytest.mark.parametrize("name", HeadName)
def test_entropy_of_the_posterior(name: HeadName, batch: tuple[Tensor, Tensor]) -> None:
    embeddings, _ = batch
    head = build_head(name, DIM, CLASSES)
    by_hand = entropy(head(embeddings).double().softmax(1).detach().numpy(), axis=1)
    assert posterior_entropy(head, embeddings).tolist() == pytest.approx(by_hand.tolist(), abs=1e-6)
    with torch.no_grad():
        head.weight.copy_(torch.eye(CLASSES, DIM))
    assert posterior_entropy(head, torch.ones(1, DIM)).item() == pytest.approx(math.log(CLASSES))
    assert posterior_entropy(head, 1e4 * head.weight[:1]).item() == pytest.approx(0, abs=1e-3)
