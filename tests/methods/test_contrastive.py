import math

import pytest
import torch
from by_hand import cosine, log_sum_exp, mean, rows

from compatbench.errors import RequestError
from compatbench.method import Task

BATCH = [0, 1, 2, 3, 4, 5, 6, 10]  # classes 0 1 2 3 4 0 1 0


def similarities(w, batch):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    return [[cosine(new[i][:4], old[j]) for j in batch] for i in batch]


def hardest(w, batch, temperature, top_k):
    losses = []
    for i, row in enumerate(similarities(w, batch)):
        negatives = [s for j, s in enumerate(row) if w.labels[batch[j]] != w.labels[batch[i]]]
        kept = sorted(negatives, reverse=True)[:top_k]
        losses.append(log_sum_exp([s / temperature for s in [row[i], *kept]]) - row[i] / temperature)
    return mean(losses)


@pytest.mark.parametrize("top_k", [2, 10])
@pytest.mark.parametrize("dim", [4, 6])
def test_hardest_follows_the_formula(world, top_k, dim):
    w = world("contrastive", {"temperature": 0.1, "top_k": top_k, "weight": 0.3}, dim=dim)
    expected = 0.3 * hardest(w, BATCH, 0.1, top_k)
    assert w.terms(BATCH)["contrastive"].item() == pytest.approx(expected, abs=1e-5)


def test_supervised_follows_the_formula(world):
    w = world("contrastive", {"variant": "supervised", "temperature": 0.2})
    losses = []
    for i, row in enumerate(similarities(w, BATCH)):
        total = sum(math.exp(s / 0.2) for s in row)
        positives = [s for j, s in enumerate(row) if w.labels[BATCH[j]] == w.labels[BATCH[i]]]
        losses.append(-mean([math.log(math.exp(s / 0.2) / total) for s in positives]))
    assert w.terms(BATCH)["contrastive"].item() == pytest.approx(mean(losses), abs=1e-5)


def test_label_free_follows_the_formula_and_ignores_labels(world):
    w = world("contrastive", {"variant": "label_free", "temperature": 0.2})
    losses = [
        -math.log(math.exp(row[i] / 0.2) / sum(math.exp(s / 0.2) for s in row))
        for i, row in enumerate(similarities(w, BATCH))
    ]
    found = w.terms(BATCH)["contrastive"].item()
    w.labels = w.labels.flip(0)
    assert found == pytest.approx(mean(losses), abs=1e-5)
    assert w.terms(BATCH)["contrastive"].item() == found


def test_a_batch_of_one_class_has_no_negatives(world):
    w = world("contrastive")
    term = w.terms([0, 5, 10, 15])["contrastive"]
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


@pytest.mark.parametrize("variant", ["hardest", "supervised", "label_free"])
def test_a_batch_of_one_image_gives_zero(world, variant):
    w = world("contrastive", {"variant": variant})
    assert w.terms([3])["contrastive"].item() == pytest.approx(0, abs=1e-6)


def test_equal_models_and_a_sharp_temperature_leave_nothing_to_gain(world):
    w = world("contrastive", {"temperature": 0.001})
    w.copy_old_into_new()
    assert w.terms(BATCH)["contrastive"].item() == pytest.approx(0, abs=1e-4)


def test_weight_zero_is_independent(world):
    assert world("contrastive", {"weight": 0}).terms(BATCH)["contrastive"].item() == 0


@pytest.mark.parametrize(
    ("params", "temperature"),
    [
        ({}, 0.01),
        ({"variant": "supervised"}, 0.05),
        ({"variant": "label_free"}, 0.07),
        ({"variant": "supervised", "temperature": 0.2}, 0.2),
    ],
)
def test_each_variant_brings_its_temperature(catalogue, params, temperature):
    assert catalogue.get("contrastive").resolve(params).temperature == temperature


def test_an_unknown_variant_is_refused_by_name(catalogue):
    with pytest.raises(RequestError, match=r"method 'contrastive': variant: .*'hardest'.*got 'hard'"):
        catalogue.get("contrastive").resolve({"variant": "hard"})


def test_skips_a_smaller_new_dimension(catalogue):
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("contrastive").cls
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
