import pytest
import torch
from by_hand import mean, norm, rows

from compatbench.method import Expectation, Need, Role

BATCH = [0, 1, 2, 3, 4, 8]


def relations(features):
    distances = [[norm([a - b for a, b in zip(p, q, strict=True)]) for q in features] for p in features]
    average = mean([d for i, row in enumerate(distances) for j, d in enumerate(row) if i != j])
    return [d / average for row in distances for d in row]


def huber(difference):
    return difference**2 / 2 if abs(difference) <= 1 else abs(difference) - 0.5


def expected(w, batch, weight):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    pairs = zip(relations([new[i] for i in batch]), relations([old[i] for i in batch]), strict=True)
    return weight * mean([huber(a - b) for a, b in pairs])


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_follows_the_formula(world, dim):
    w = world("relational", {"weight": 7}, dim=dim)
    assert w.terms(BATCH)["relations"].item() == pytest.approx(expected(w, BATCH, 7), abs=1e-5)


def test_far_relations_are_on_the_linear_side_of_huber(world):
    w = world("relational")
    with torch.no_grad():
        w.images[0] *= 100  # one image far away in the new space only
        w.old.encoder.embedding.weight.zero_()
        w.old.encoder.embedding.weight[:, 1] = 1
        w.images[0, :, :, 1] = 0
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    gaps = [a - b for a, b in zip(relations([new[i] for i in BATCH]), relations([old[i] for i in BATCH]), strict=True)]
    assert max(map(abs, gaps)) > 1
    assert w.terms(BATCH)["relations"].item() == pytest.approx(expected(w, BATCH, 25), rel=1e-5)


def test_is_blind_to_rotation_shift_and_scale_of_the_new_space(world):
    """Why it is a control: with everything it asks for, the spaces may still be unrelated."""
    w = world("relational")
    rotation = torch.linalg.qr(torch.randn(4, 4)).Q
    with torch.no_grad():
        w.new.encoder.embedding.weight.copy_(3 * rotation @ w.old.encoder.embedding.weight)
        w.new.encoder.embedding.bias.copy_(torch.randn(4))
    assert w.terms(BATCH)["relations"].item() == pytest.approx(0, abs=1e-5)
    assert not torch.allclose(w.new(w.images), w.old(w.images), atol=0.1)


def test_an_image_that_comes_twice_is_at_distance_zero(world):
    w = world("relational")
    batch = [0, 0, 1, 2]
    term = w.terms(batch)["relations"]
    assert term.item() == pytest.approx(expected(w, batch, 25), abs=1e-4)


@pytest.mark.parametrize("batch", [[0], [0, 0], [0, 1]])
def test_batches_without_relations_give_finite_gradients(world, batch):
    w = world("relational")
    w.terms(batch)["relations"].backward()
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_a_single_distance_is_its_own_mean(world):
    assert world("relational").terms([0, 1])["relations"].item() == pytest.approx(0, abs=1e-6)


def test_weight_zero_is_independent(world):
    assert world("relational", {"weight": 0}).terms(BATCH)["relations"].item() == 0


def test_is_the_control_whose_cross_test_is_chance(catalogue):
    cls = catalogue.get("relational").cls
    assert (cls.role, cls.needs) == (Role.CONTROL, {Need.OLD_ENCODER})
    assert cls.expects == {Expectation.CROSS_AT_CHANCE}
