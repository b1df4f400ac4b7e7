import pytest
import torch
from by_hand import cosine, cross_entropy, dot, log_sum_exp, mean, norm, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 5, 6, 10]  # classes 0 1 2 3 4 0 1 0


def expected(w, batch, temperature, top_k):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    losses = []
    for i in batch:
        others = [j for j in batch if w.labels[j] != w.labels[i]]
        to_old = sorted((cosine(new[i][:4], old[j]) for j in others), reverse=True)[:top_k]
        to_new = sorted((cosine(new[i], new[j]) for j in others), reverse=True)[:top_k]
        positive = cosine(new[i][:4], old[i])
        logits = [s / temperature for s in [positive, *to_old, *to_new]]
        losses.append(log_sum_exp(logits) - logits[0])
    return mean(losses)


@pytest.mark.parametrize("top_k", [2, 10])
@pytest.mark.parametrize("dim", [4, 6])
def test_follows_the_formula(world, top_k, dim):
    w = world("ract", {"temperature": 0.1, "top_k": top_k, "weight": 0.3}, dim=dim)
    found = w.terms(BATCH)["regression_alleviating"].item()
    assert found == pytest.approx(0.3 * expected(w, BATCH, 0.1, top_k), abs=1e-5)


@pytest.mark.parametrize("top_k", [2, 10])
@pytest.mark.parametrize("dim", [4, 6])
def test_triplets_have_new_negatives_too(world, top_k, dim):
    w = world("ract", {"variant": "triplet", "margin": 0.5, "top_k": top_k, "weight": 0.3}, dim=dim)
    new, old = rows(w.new(w.images)), rows(w.old(w.images))

    def distance(a, b):
        return norm([x - y for x, y in zip(unit(a), unit(b), strict=True)])

    hinges = {"old": [], "new": []}
    for i in BATCH:
        others = [j for j in BATCH if w.labels[j] != w.labels[i]]
        own = distance(new[i][:4], old[i])
        sides = {
            "old": [distance(new[i][:4], old[j]) for j in others],
            "new": [distance(new[i], new[j]) for j in others],
        }
        for side, values in sides.items():
            hinges[side] += [max(0.0, own - d + 0.5) for d in sorted(values)[:top_k]]
    found = w.terms(BATCH)["regression_alleviating"].item()
    assert found == pytest.approx(0.3 * (mean(hinges["old"]) + mean(hinges["new"])), abs=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
def test_influence_competes_with_the_new_heads_other_classes(world, dim):
    w = world("ract", {"variant": "bct", "weight": 0.3}, dim=dim, old_classes=(2, 0, 1))
    new, heads, losses = rows(w.new(w.images)), (rows(w.old.head.weight), rows(w.new.head.weight)), []
    for i in (i for i in BATCH if w.labels[i] < 3):
        label = int(w.labels[i])
        others = [dot(new[i], row) for c, row in enumerate(heads[1]) if c != label]
        losses.append(cross_entropy([*(dot(new[i][:4], row) for row in heads[0]), *others], {2: 0, 0: 1, 1: 2}[label]))
    assert w.terms(BATCH)["regression_alleviating"].item() == pytest.approx(0.3 * mean(losses), abs=1e-5)
    assert w.terms([3, 4, 8])["regression_alleviating"].item() == 0


def test_published_temperature_and_negatives(world):
    w = world("ract")
    found = w.terms(BATCH)["regression_alleviating"].item()
    assert found == pytest.approx(expected(w, BATCH, 0.01, 10), rel=1e-5)


def test_new_negatives_raise_the_loss_above_contrastive(world):
    params = {"temperature": 0.1}
    ract, contrastive = world("ract", params), world("contrastive", params)
    found, without = ract.terms(BATCH)["regression_alleviating"], contrastive.terms(BATCH)["contrastive"]
    assert found.item() > without.item() + 1e-3


def test_gradient_passes_through_both_sides_of_a_new_pair(world):
    """Central differences of the formula, in which every new embedding moves, also as a negative."""
    w = world("ract", {"temperature": 0.5})
    weight = w.new.encoder.embedding.weight
    w.terms(BATCH)["regression_alleviating"].backward()
    for row, column in ((0, 0), (1, 3), (3, 5)):
        values = []
        for step in (1e-2, -2e-2):
            with torch.no_grad():
                weight[row, column] += step
            values.append(expected(w, BATCH, 0.5, 10))
        with torch.no_grad():
            weight[row, column] += 1e-2
        assert weight.grad[row, column].item() == pytest.approx((values[0] - values[1]) / 2e-2, abs=1e-3)


@pytest.mark.parametrize("batch", [[0, 5, 10, 15], [3]])
def test_a_batch_of_one_class_has_no_negatives(world, batch):
    w = world("ract")
    term = w.terms(batch)["regression_alleviating"]
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_weight_zero_is_independent(world):
    assert world("ract", {"weight": 0}).terms(BATCH)["regression_alleviating"].item() == 0


def test_needs_one_forward_pass_and_no_smaller_dimension(catalogue):
    cls = catalogue.get("ract").cls
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls(cls.Params(), task).needs == cls(cls.Params(variant="triplet"), task).needs == {Need.OLD_ENCODER}
    assert cls(cls.Params(variant="bct"), task).needs == {Need.OLD_CLASSIFIER}
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
