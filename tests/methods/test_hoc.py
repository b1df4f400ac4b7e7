import math

import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, rows

from compatbench.method import Task

BATCH = [0, 1, 2, 3, 4, 5, 10]  # classes 0 1 2 3 4 0 0
FIVE = {"reserve": 5, "from_old": False}  # 4 dimensions, those of the world's encoders


def higher_order(w, batch, scale, variant):
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    losses = []
    for i in batch:
        total = 0.0
        for j in batch:
            different = w.labels[i] != w.labels[j]
            if variant == "published":
                total += math.exp(scale * cosine(old[i], new[j]) * (1 if different else 0))
            elif different or i == j:
                total += math.exp(scale * cosine(old[i], new[j]))
        losses.append(-scale * cosine(old[i], new[i]) + math.log(total))
    return mean(losses)


def classification(w, batch):
    vertices, new = rows(w.new.head.vertices), rows(w.new(w.images))
    return mean([cross_entropy([dot(new[i], v) for v in vertices], int(w.labels[i])) for i in batch])


@pytest.mark.parametrize("variant", ["published", "infonce"])
def test_both_terms_follow_the_formula(world, variant):
    w = world("hoc", {**FIVE, "variant": variant, "weight": 0.3, "scale": 4})
    terms = w.terms(BATCH)
    assert terms["classification"].item() == pytest.approx(0.3 * classification(w, BATCH), abs=1e-5)
    assert terms["higher_order"].item() == pytest.approx(0.7 * higher_order(w, BATCH, 4, variant), abs=1e-5)


def test_published_settings(catalogue):
    params = catalogue.get("hoc").resolve({})
    assert (params.variant, params.weight, params.scale, params.reserve) == ("published", 0.1, 10, 1024)


def test_each_image_of_the_own_class_adds_one_in_the_published_form(world):
    """Without other classes the sum is the batch size, whatever the similarities."""
    w = world("hoc", {"reserve": 5})  # starts from the old weights
    term = w.terms([0, 5, 10, 15])["higher_order"].item()
    assert term == pytest.approx(0.9 * (-10 + math.log(4)), abs=1e-5)


def test_one_class_leaves_infonce_nothing_to_gain(world):
    w = world("hoc", {**FIVE, "variant": "infonce"})
    term = w.terms([0, 5, 10, 15])["higher_order"]
    term.backward()
    assert term.item() == pytest.approx(0, abs=1e-5)
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_weight_one_is_simplex_alone(world):
    terms = world("hoc", {**FIVE, "weight": 1}).terms(BATCH)
    assert terms["higher_order"].item() == 0
    assert terms["classification"].item() == pytest.approx(world("simplex").terms(BATCH)["classification"].item())


def test_the_first_generation_trains_with_classification_alone(world):
    w = world("hoc", FIVE)
    w.old_model = None
    terms = w.terms(BATCH)
    assert list(terms) == ["classification"]
    assert terms["classification"].item() == pytest.approx(classification(w, BATCH), abs=1e-5)


@pytest.mark.parametrize(("reserve", "classes", "dim"), [(1024, 10, 1023), (16, 10, 15), (4, 10, 9)])
def test_reserved_vertices_set_the_dimension(catalogue, reserve, classes, dim):
    task = Task(1, "b", 64, "softmax", (0, 1), classes, "b", 64, (0,))
    method = catalogue.get("hoc").cls(catalogue.get("hoc").resolve({"reserve": reserve}), task)
    assert method.encoder_dim(64) == dim
    assert method.head(dim, 2).vertices.shape == (dim + 1, dim)
