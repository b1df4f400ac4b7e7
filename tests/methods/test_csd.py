import math

import pytest
from by_hand import cosine, dot, log_sum_exp, mean, posterior, rows

from compatbench.method import Need

BATCH = [0, 1, 2, 3, 5, 6, 10]


@pytest.mark.parametrize("dim", [4, 6])
def test_contrast_follows_the_formula(world, dim):
    w = world("csd", {"weight": 0.7, "temperature": 0.3}, dim=dim)
    new, old, labels = rows(w.new(w.images)), rows(w.old(w.images)), w.labels.tolist()
    losses = []
    for i in BATCH:
        against = [(labels[j], cosine(new[i], new[j]) / 0.3) for j in BATCH if j != i]
        against += [(labels[j], cosine(new[i][:4], old[j]) / 0.3) for j in BATCH]
        total = log_sum_exp([value for _, value in against])
        losses.append(-mean([value - total for label, value in against if label == labels[i]]))
    assert w.terms(BATCH)["contrast"].item() == pytest.approx(0.7 * mean(losses), abs=1e-5)


def test_distillation_follows_the_formula_over_the_classes_of_both(world):
    w = world("csd", {"distillation": 0.4}, old_classes=(2, 9, 0))  # rows 0 and 2 of the old head are known
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    heads = rows(w.new.head.weight), rows(w.old.head.weight)
    losses = []
    for i in BATCH:
        p = posterior([dot(old[i], heads[1][row]) for row in (2, 0)], 2.0)
        q = posterior([dot(new[i], heads[0][c]) for c in (0, 2)], 2.0)
        losses.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(0.4 * mean(losses), abs=1e-6)


def test_without_a_shared_class_only_the_contrast_is_left(world):
    w = world("csd", old_classes=(7, 8, 9))
    assert list(w.terms(BATCH)) == ["classification", "contrast"]
    assert w.method.needs == {Need.OLD_ENCODER}
