import pytest
import torch
from by_hand import mean, norm, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 5, 6, 10]  # classes 0 1 2 3 4 0 1 0


def expected(w, batch, margin, top_k):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    losses = []
    for i in batch:
        distance = {j: norm([a - b for a, b in zip(unit(new[i][:4]), unit(old[j]), strict=True)]) for j in batch}
        negatives = sorted(d for j, d in distance.items() if w.labels[j] != w.labels[i])[:top_k]
        losses += [max(0.0, distance[i] - negative + margin) for negative in negatives]
    return mean(losses)


@pytest.mark.parametrize("top_k", [2, 10])
@pytest.mark.parametrize("dim", [4, 6])
def test_follows_the_formula(world, top_k, dim):
    w = world("triplet", {"margin": 0.6, "top_k": top_k, "weight": 0.7}, dim=dim)
    assert w.terms(BATCH)["triplet"].item() == pytest.approx(0.7 * expected(w, BATCH, 0.6, top_k), abs=1e-5)


def test_published_margin_and_negatives(world):
    w = world("triplet")
    assert w.terms(BATCH)["triplet"].item() == pytest.approx(expected(w, BATCH, 0.8, 10), abs=1e-5)


def test_equal_models_cost_nothing_within_the_margin_that_the_old_one_has(world):
    w = world("triplet")
    w.copy_old_into_new()
    gap = min(
        norm([a - b for a, b in zip(unit(x), unit(y), strict=True)])
        for i, x in enumerate(rows(w.old(w.images)))
        for j, y in enumerate(rows(w.old(w.images)))
        if w.labels[i] != w.labels[j]
    )
    for margin, zero in ((0.99 * gap, True), (1.01 * gap, False)):
        same = world("triplet", {"margin": margin})
        same.copy_old_into_new()
        term = same.terms(list(range(20)))["triplet"]
        term.backward()
        assert (term.item() == pytest.approx(0, abs=1e-7)) == zero
        assert torch.isfinite(same.new.encoder.embedding.weight.grad).all()


@pytest.mark.parametrize("batch", [[0, 5, 10, 15], [3]])
def test_a_batch_of_one_class_gives_zero(world, batch):
    w = world("triplet")
    term = w.terms(batch)["triplet"]
    term.backward()
    assert term.item() == 0
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_weight_zero_is_independent(world):
    assert world("triplet", {"weight": 0}).terms(BATCH)["triplet"].item() == 0


def test_needs_one_forward_pass_and_no_smaller_dimension(catalogue):
    cls = catalogue.get("triplet").cls
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls.needs == {Need.OLD_ENCODER}
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
