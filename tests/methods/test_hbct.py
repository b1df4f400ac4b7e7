import math
import sys

import pytest
import torch
from by_hand import dot, log_sum_exp, mean, norm, rows

from compatbench.method import Need

BATCH = [0, 1, 2, 3, 5, 6, 10]
RADIUS, KAPPA = 1.2, 0.1  # some old embeddings are longer


def exponential(v):
    return [math.cosh(norm(v))] + [math.sinh(norm(v)) / norm(v) * x for x in v]


def product(x, y):
    return dot(x[1:], y[1:]) - x[0] * y[0]


def shortened(v, scale):
    v = [x / scale for x in v]
    return [x * min(1, RADIUS / norm(v)) for x in v]


@pytest.mark.parametrize("dim", [4, 6])
def test_both_terms_follow_the_formula(world, dim):
    w = world("hbct", {"contrast": 0.7, "entailment": 0.4, "temperature": 0.5, "radius": RADIUS}, dim=dim)
    new, old, labels = rows(w.new(w.images)), rows(w.old(w.images)), w.labels.tolist()
    scale = mean([norm(old[i]) for i in BATCH])
    points = {i: exponential(shortened(new[i][:4], scale)) for i in BATCH}
    cones = {i: exponential(shortened(old[i], scale)) for i in BATCH}
    contrasts, outside = [], []
    for i in BATCH:
        logits = {
            j: -math.acosh(-product(points[i], cones[j])) / 0.5 for j in BATCH if j == i or labels[j] != labels[i]
        }
        weight = norm(shortened(old[i], scale)) / RADIUS
        contrasts.append(weight * (log_sum_exp(list(logits.values())) - logits[i]))
        x, y = cones[i], points[i]
        inner, length = product(x, y), norm(x[1:])
        angle = math.acos((y[0] + x[0] * inner) / (length * math.sqrt(inner**2 - 1)))
        outside.append(max(0.0, angle - math.asin(min(1, 2 * KAPPA / length))))
    terms = w.terms(BATCH)
    assert terms["contrast"].item() == pytest.approx(0.7 * mean(contrasts), abs=1e-4)
    assert terms["entailment"].item() == pytest.approx(0.4 * mean(outside), abs=1e-4)
    assert mean(outside) > 0.1


def test_a_longer_vector_of_the_same_direction_lies_in_the_cone(catalogue):
    functions = vars(sys.modules["compatbench_methods.hbct"])
    old = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    x, y = functions["lift"](0.5 * old), functions["lift"](old)
    assert (functions["lorentz"](x, x).diagonal() + 1).abs().max() < 1e-5
    assert functions["exterior_angle"](x, y).max() < 0.01
    assert functions["exterior_angle"](y, x).min() > 3.1


def test_equal_models_give_finite_gradients(world):
    w = world("hbct")
    w.copy_old_into_new()
    sum(w.terms(BATCH).values()).backward()
    assert w.new.encoder.embedding.weight.grad.isfinite().all()
    assert w.method.needs == {Need.OLD_ENCODER}
