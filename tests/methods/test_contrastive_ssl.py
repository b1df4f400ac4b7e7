import math

import pytest
import torch
from by_hand import cosine, mean, rows
from pytorch_metric_learning.losses import NTXentLoss

from compatbench.method import Batch, Need, Task
from compatbench.model import View

BATCH = [0, 1, 2, 3, 4, 5, 10]  # classes 0 1 2 3 4 0 0


def nt_xent(w, batch, temperature):
    first, second = rows(w.new(w.images)), rows(w.new(w.second_images))
    views = [first[i] for i in batch] + [second[i] for i in batch]
    losses = []
    for a, view in enumerate(views):
        partner = (a + len(batch)) % len(views)
        total = sum(math.exp(cosine(view, other) / temperature) for b, other in enumerate(views) if b != a)
        losses.append(-math.log(math.exp(cosine(view, views[partner]) / temperature) / total))
    return mean(losses)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_nt_xent_follows_the_formula(world, temperature):
    w = world("contrastive_ssl", {"temperature": temperature}, dim=6)
    assert w.terms(BATCH)["nt_xent"].item() == pytest.approx(nt_xent(w, BATCH, temperature), abs=1e-5)


def test_nt_xent_agrees_with_pytorch_metric_learning(world):
    w = world("contrastive_ssl")
    views = torch.cat([w.new(w.images[BATCH]), w.new(w.second_images[BATCH])])
    expected = NTXentLoss(temperature=0.2)(views, torch.arange(len(BATCH)).repeat(2))
    assert w.terms(BATCH)["nt_xent"].item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
def test_compatibility_follows_the_formula(world, dim):
    w = world("contrastive_ssl", {"weight": 0.3, "old_temperature": 0.2}, dim=dim)
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    losses = []
    for i in BATCH:
        row = {j: math.exp(cosine(new[i][:4], old[j]) / 0.2) for j in BATCH}
        losses.append(-math.log(row[i] / sum(row.values())))
    assert w.terms(BATCH)["contrastive"].item() == pytest.approx(0.3 * mean(losses), abs=1e-5)


def test_compatibility_is_the_label_free_term_of_contrastive(world):
    ssl, other = world("contrastive_ssl"), world("contrastive", {"variant": "label_free"})
    assert torch.allclose(ssl.new(ssl.images), other.new(other.images))
    assert ssl.terms(BATCH)["contrastive"].item() == pytest.approx(other.terms(BATCH)["contrastive"].item(), abs=1e-6)


def test_labels_do_not_matter(world):
    w = world("contrastive_ssl")
    before = {name: value.item() for name, value in w.terms(BATCH).items()}
    w.labels = w.labels.flip(0)
    assert {name: value.item() for name, value in w.terms(BATCH).items()} == before


def test_no_term_is_called_classification_and_the_head_does_not_learn(world):
    w = world("contrastive_ssl")
    terms = w.terms(BATCH)
    torch.stack(list(terms.values())).sum().backward()
    assert set(terms) == {"nt_xent", "contrastive"}
    assert all(p.grad is None and not p.requires_grad for p in w.new.head.parameters())
    assert w.new.encoder.embedding.weight.grad.abs().sum() > 0


def test_first_generation_learns_by_nt_xent_alone(catalogue, world):
    w = world("contrastive_ssl")
    batch = w.batch(BATCH)
    new = View(w.new, batch.images, frozen=False)
    assert w.method.loss(batch, new, None) == {}
    assert w.method.classification(batch, new, None).item() == pytest.approx(nt_xent(w, BATCH, 0.2), abs=1e-5)


def test_one_image_has_no_negatives(world):
    terms = world("contrastive_ssl").terms([3])
    assert {name: value.item() for name, value in terms.items()} == pytest.approx({"nt_xent": 0, "contrastive": 0})


def test_weight_zero_leaves_nt_xent(world):
    terms = world("contrastive_ssl", {"weight": 0}).terms(BATCH)
    assert terms["contrastive"].item() == 0
    assert terms["nt_xent"].item() > 0


def test_equal_views_and_a_sharp_temperature_leave_nothing_to_gain(world):
    w = world("contrastive_ssl", {"temperature": 1e-4})
    batch = w.batch(BATCH)
    same = Batch(batch.images, batch.labels, batch.index, 0, 1, 0.0, batch.generator, batch.images)
    term = w.method.classification(same, View(w.new, same.images, frozen=False), None)
    assert term.item() == pytest.approx(0, abs=1e-4)


def test_trains_its_own_first_generation_on_two_views(catalogue):
    cls = catalogue.get("contrastive_ssl").cls
    first = Task(0, "b", 3, "softmax", (0, 1), 2)
    smaller = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls.needs == {Need.TWO_VIEWS, Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER}
    assert cls(cls.Params(), first).skip(first) is None
    assert "first 4 dimensions" in cls(cls.Params(), smaller).skip(smaller)
