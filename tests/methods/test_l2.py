import pytest
import torch
from by_hand import cosine, mean, norm, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 8]


def distances(w):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    return [norm([a - b for a, b in zip(unit(new[i][:4]), unit(old[i]), strict=True)]) for i in BATCH]


@pytest.mark.parametrize("dim", [4, 6])
def test_the_norm_follows_the_formula_with_a_weight_relative_to_the_classification_loss(world, dim):
    w = world("l2", dim=dim)
    expected = 10 / 25 * mean(distances(w))
    assert w.terms(BATCH)["regression"].item() == pytest.approx(expected, abs=1e-5)


def test_squared_is_twice_the_cosine_distance(world):
    w = world("l2", {"variant": "squared", "weight": 10})
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = mean([20 * (1 - cosine(new[i], old[i])) for i in BATCH])
    assert w.terms(BATCH)["regression"].item() == pytest.approx(expected, abs=1e-5)


def test_dead_zone_follows_the_formula(world):
    threshold = sorted(distances(world("l2")))[2]  # some pairs lie within the zone and some beyond
    w = world("l2", {"variant": "dead_zone", "threshold": threshold, "weight": 3})
    expected = 3 * mean([max(0.0, d - threshold) for d in distances(w)])
    assert w.terms(BATCH)["regression"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("variant", ["norm", "squared", "dead_zone"])
def test_equal_models_cost_nothing_and_give_finite_gradients(world, variant):
    w = world("l2", {"variant": variant, "threshold": 0})
    w.copy_old_into_new()
    term = w.terms(BATCH)["regression"]
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_scale_of_the_embedding_does_not_matter(world):
    w = world("l2")
    before = w.terms(BATCH)["regression"].item()
    with torch.no_grad():
        w.new.encoder.embedding.weight *= 7
        w.new.encoder.embedding.bias *= 7
    assert w.terms(BATCH)["regression"].item() == pytest.approx(before, abs=1e-5)


def test_weight_zero_is_independent(world):
    assert world("l2", {"weight": 0}).terms(BATCH)["regression"].item() == 0


def test_needs_one_forward_pass_and_no_smaller_dimension(catalogue):
    cls = catalogue.get("l2").cls
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls.needs == {Need.OLD_ENCODER}
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
