import math
import sys

import pytest
import torch
from by_hand import cosine, dot, mean, posterior, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 8]


def logits(w, score=dot):
    """Teacher's and student's logits of the batch under the old classifier."""
    weights = rows(w.old.head.weight)
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    teacher = [[score(old[i], row) for row in weights] for i in BATCH]
    student = [[score(new[i][:4], row) for row in weights] for i in BATCH]
    return teacher, student


def divergence(teacher, student, temperature):
    p, q = posterior(teacher, temperature), posterior(student, temperature)
    return temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("dim", [4, 6])
@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_kl_follows_the_formula(world, dim, temperature):
    w = world("distillation", {"weight": 0.4, "temperature": temperature}, dim=dim)
    expected = 0.4 * mean([divergence(t, s, temperature) for t, s in zip(*logits(w), strict=True)])
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_kl_scores_as_a_cosine_head_where_the_old_head_is_one(world):
    w = world("distillation", old_loss="normalized_softmax")
    pairs = zip(*logits(w, score=lambda a, b: 16 * cosine(a, b)), strict=True)
    expected = mean([divergence(t, s, 2.0) for t, s in pairs])
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(expected, rel=1e-5)


def test_logits_follow_the_formula(world):
    w = world("distillation", {"variant": "logits"})
    expected = mean(
        [0.5 * sum((a - b) ** 2 for a, b in zip(t, s, strict=True)) for t, s in zip(*logits(w), strict=True)]
    )
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
def test_feature_follows_the_formula(world, dim):
    w = world("distillation", {"variant": "feature"}, dim=dim)
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = mean([1 - cosine(new[i][:4], old[i]) for i in BATCH])
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("variant", ["kl", "logits", "feature"])
def test_equal_models_cost_nothing(world, variant):
    w = world("distillation", {"variant": variant})
    w.copy_old_into_new()
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("variant", ["kl", "logits", "feature"])
def test_only_the_new_model_learns(world, variant):
    w = world("distillation", {"variant": variant})
    w.terms(BATCH)["distillation"].backward()
    assert w.new.encoder.embedding.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in w.old.parameters())


def test_weight_zero_is_independent(world):
    assert world("distillation", {"weight": 0}).terms(BATCH)["distillation"].item() == 0


def test_features_need_no_classifier(catalogue):
    task = Task(1, "b", 4, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("distillation").cls
    assert cls(cls.Params(variant="feature"), task).needs == {Need.OLD_ENCODER}
    assert cls(cls.Params(), task).needs == {Need.OLD_ENCODER, Need.OLD_CLASSIFIER}


def test_gradient_of_kl_is_the_scaled_difference_of_posteriors(world):
    """dL/dz = T · (q − p) / B: an independent check of the T² factor."""
    tempered_divergence = sys.modules["compatbench_methods._divergence"].tempered_divergence
    w = world("distillation")
    teacher, student = (torch.tensor(z, requires_grad=True) for z in logits(w))
    tempered_divergence(student, teacher.detach(), 3.0).mean().backward()
    for i in range(len(BATCH)):
        p, q = posterior(teacher[i].tolist(), 3.0), posterior(student[i].tolist(), 3.0)
        expected = [3.0 * (b - a) / len(BATCH) for a, b in zip(p, q, strict=True)]
        assert student.grad[i].tolist() == pytest.approx(expected, abs=1e-5)
