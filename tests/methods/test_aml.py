import pytest
import torch
from by_hand import mean, norm, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 5, 6, 10]  # classes 0 1 2 3 4 0 1 0


def distances(w, batch):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    return {
        (i, j): norm([a - b for a, b in zip(unit(new[i][:4]), unit(old[j]), strict=True)]) for i in batch for j in batch
    }


def contrastive(w, i, batch, margin, top_k):
    d = distances(w, batch)
    positives = [0.5 * d[i, j] ** 2 for j in batch if j != i and w.labels[j] == w.labels[i]]
    nearest = sorted(d[i, j] for j in batch if w.labels[j] != w.labels[i])[:top_k]
    return (mean(positives) if positives else 0.0) + sum(0.5 * max(0.0, margin - x) ** 2 for x in nearest)


@pytest.mark.parametrize(("margin", "top_k"), [(0.7, 5), (1.8, 2)])
@pytest.mark.parametrize("dim", [4, 6])
def test_contrastive_follows_the_formula(world, margin, top_k, dim):
    w = world("aml", {"margin": margin, "top_k": top_k, "weight": 0.4}, dim=dim)
    expected = 0.4 * mean([contrastive(w, i, BATCH, margin, top_k) for i in BATCH])
    assert w.terms(BATCH)["asymmetric"].item() == pytest.approx(expected, abs=1e-5)


def test_regression_follows_the_formula(world):
    w = world("aml", {"variant": "regression"})
    d = distances(w, BATCH)
    assert w.terms(BATCH)["asymmetric"].item() == pytest.approx(mean([0.5 * d[i, i] ** 2 for i in BATCH]), abs=1e-5)


def test_contrastive_plus_is_the_sum_of_both(world):
    plus, contr, reg = (
        world("aml", {"variant": variant}).terms(BATCH)["asymmetric"].item()
        for variant in ("contrastive_plus", "contrastive", "regression")
    )
    assert plus == pytest.approx(contr + reg, abs=1e-5)


def test_published_defaults(catalogue):
    params = catalogue.get("aml").resolve({})
    assert (params.variant, params.margin, params.top_k, params.weight) == ("contrastive", 0.7, 5, 1.0)


def test_regression_of_equal_models_costs_nothing(world):
    w = world("aml", {"variant": "regression"})
    w.copy_old_into_new()
    term = w.terms(BATCH)["asymmetric"]
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


@pytest.mark.parametrize("variant", ["contrastive", "contrastive_plus"])
def test_gradients_are_finite_where_a_negative_coincides_with_the_anchor(world, variant):
    w = world("aml", {"variant": variant})
    w.copy_old_into_new()
    w.images[1] = w.images[0]  # of another class
    w.terms(BATCH)["asymmetric"].backward()
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_one_image_per_class_leaves_the_negatives(world):
    w = world("aml", {"margin": 2.0})
    expected = mean([contrastive(w, i, [0, 1, 2], 2.0, 5) for i in [0, 1, 2]])
    assert w.terms([0, 1, 2])["asymmetric"].item() == pytest.approx(expected, abs=1e-5)
    assert expected > 0


def test_one_image_alone_has_nothing_to_be_compared_with(world):
    assert world("aml").terms([3])["asymmetric"].item() == 0


def test_weight_zero_is_independent(world):
    assert world("aml", {"weight": 0}).terms(BATCH)["asymmetric"].item() == 0


def test_needs_one_forward_pass_and_no_smaller_dimension(catalogue):
    cls = catalogue.get("aml").cls
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls.needs == {Need.OLD_ENCODER}
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
