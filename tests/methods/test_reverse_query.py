import math

import pytest
import torch
from by_hand import cosine, dot, log_sum_exp, mean, rows

from compatbench.method import Need


def by_formula(mapped, new, old, labels, temperature):
    losses = []
    for i in range(len(labels)):
        to_old = [cosine(mapped[i], o) / temperature for o in old]
        to_new = [dot(new[i], n) / temperature for n in new]
        negatives = [side[j] for side in (to_old, to_new) for j in range(len(labels)) if labels[j] != labels[i]]
        each = [
            log_sum_exp([side[p], *negatives]) - side[p]
            for side in (to_old, to_new)
            for p in range(len(labels))
            if p != i and labels[p] == labels[i]
        ]
        losses.append(mean(each) if each else 0.0)
    return mean(losses)


@pytest.mark.parametrize(("dim", "old_dim"), [(4, 4), (6, 4)])
def test_ranking_follows_the_formula(adapter, pairs, dim, old_dim):
    new, old, labels = pairs(dim, old_dim, count=9)
    labels[0] = 7  # a class of one image
    mapped = torch.randn(9, old_dim, generator=torch.Generator().manual_seed(0))
    found = adapter("reverse_query", dim=dim, old_dim=old_dim).ranking(mapped, new, old, labels)
    expected = by_formula(rows(mapped), rows(new), rows(old), labels.tolist(), 0.1)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_one_class_gives_zero_with_a_finite_gradient(adapter, pairs):
    new, old, _ = pairs(count=6)
    mapped = new.clone().requires_grad_(True)
    loss = adapter("reverse_query").ranking(mapped, new, old, torch.zeros(6, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert mapped.grad.isfinite().all()


def test_training_lowers_the_loss_and_brings_queries_to_the_old_space(adapter, pairs):
    new, old, labels = pairs()
    method = adapter("reverse_query", epochs=30, batch_size=25)
    torch.manual_seed(0)
    maps = method.fit(new, old, labels)
    with torch.no_grad():
        before, after = (method.ranking(q, new, old, labels).item() for q in (new, maps.query(new)))
        assert after < before
        assert (maps.query(new) - old).norm() < (new - old).norm()
    assert math.isfinite(after)
    assert method.needs == {Need.OLD_FEATURES, Need.LABELS}
