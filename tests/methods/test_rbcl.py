import math
import sys

import pytest
import torch
from by_hand import cosine, mean, rows
from sklearn.metrics import average_precision_score

from compatbench.method import Need

BATCH = [0, 1, 2, 3, 5, 6, 10]


@pytest.mark.parametrize("dim", [4, 6])
def test_follows_the_formula(world, dim):
    w = world("rbcl", {"weight": 0.7, "temperature": 0.2}, dim=dim)
    new, old, labels = rows(w.new(w.images)), rows(w.old(w.images)), w.labels.tolist()
    losses = []
    for i in BATCH:
        s = {j: cosine(new[i][:4], old[j]) for j in BATCH}
        positives = [j for j in BATCH if labels[j] == labels[i]]
        precisions = []
        for p in positives:
            ahead = {j: 1 / (1 + math.exp(-(s[j] - s[p]) / 0.2)) for j in BATCH if j != p}
            precisions.append((1 + sum(ahead[j] for j in positives if j != p)) / (1 + sum(ahead.values())))
        losses.append(1 - mean(precisions))
    assert w.terms(BATCH)["ranking"].item() == pytest.approx(0.7 * mean(losses), abs=1e-5)


def test_at_a_low_temperature_it_is_average_precision(catalogue):
    smooth = sys.modules["compatbench_methods.rbcl"].smooth_average_precision
    generator = torch.Generator().manual_seed(0)
    similarity, relevant = torch.rand(5, 12, generator=generator), torch.rand(5, 12, generator=generator) < 0.4
    expected = [average_precision_score(r, s) for r, s in zip(relevant.numpy(), similarity.numpy(), strict=True)]
    assert smooth(similarity, relevant, 1e-6).tolist() == pytest.approx(expected, abs=1e-5)


def test_needs_one_forward_pass(catalogue):
    assert catalogue.get("rbcl").needs == {Need.OLD_ENCODER}
