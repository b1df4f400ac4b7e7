import pytest
import torch
from by_hand import dot, mean, rows

from compatbench.method import Need

BATCH = list(range(20))


@pytest.mark.parametrize("dim", [4, 6])
def test_follows_the_formula(world, dim):
    w = world("focal_distillation", {"weight": 0.4, "alpha": 0.5, "beta": 2}, dim=dim)
    with torch.no_grad():
        w.new.head.weight.copy_(w.new(w.images)[:5])  # right on some images and wrong on others
    new, old, head = (rows(of) for of in (w.new(w.images), w.old(w.images), w.new.head.weight))
    losses, right = [], []
    for i in BATCH:
        scores = [dot(new[i], row) for row in head]
        right.append(scores.index(max(scores)) == int(w.labels[i]))
        square = mean([(a - b) ** 2 for a, b in zip(new[i][:4], old[i], strict=True)])
        losses.append((0.5 + 2 * right[-1]) * square)
    assert len(set(right)) == 2, "else the test would not see β"
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(0.4 * mean(losses), abs=1e-5)


def test_equal_models_cost_nothing(world):
    w = world("focal_distillation")
    w.copy_old_into_new()
    assert w.terms(BATCH)["focal_distillation"].item() == 0


def test_published_settings(catalogue):
    params = catalogue.get("focal_distillation").resolve({})
    assert (params.weight, params.alpha, params.beta) == (1, 1, 5)
    assert catalogue.get("focal_distillation").needs == {Need.OLD_ENCODER}
