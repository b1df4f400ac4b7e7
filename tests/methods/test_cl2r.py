import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, rows

from compatbench.method import Need

BATCH = [0, 1, 2, 3, 4, 8]
UNKNOWN_ONLY = [3, 4, 8, 9]  # classes 3 and 4, which the old model never saw


@pytest.mark.parametrize(("variant", "distilled"), [("old_classes", [0, 1, 2]), ("all", BATCH)])
def test_distillation_follows_the_formula(world, variant, distilled):
    w = world("cl2r", {"variant": variant, "weight": 0.7})
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = 0.7 * mean([1 - cosine(new[i], old[i]) for i in distilled])
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_old_classes_are_found_where_labels_and_classes_differ(world):
    w = world("cl2r", old_classes=(0, 4), classes=(2, 4))
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = 5 * mean([1 - cosine(new[i], old[i]) for i in (1, 3)])
    assert w.terms([0, 1, 2, 3])["distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_classification_is_that_of_the_simplex(world):
    w = world("cl2r")
    vertices, new = rows(w.new.head.vertices), rows(w.new(w.images))
    expected = mean([cross_entropy([dot(new[i], v) for v in vertices], int(w.labels[i])) for i in BATCH])
    assert w.terms(BATCH)["classification"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("variant", ["old_classes", "all"])
def test_equal_models_cost_nothing(world, variant):
    w = world("cl2r", {"variant": variant})
    w.copy_old_into_new()
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(0, abs=1e-6)


def test_no_old_class_in_the_batch_gives_zero_with_a_gradient(world):
    w = world("cl2r")
    term = w.terms(UNKNOWN_ONLY)["distillation"]
    term.backward()
    assert term.item() == 0
    assert torch.equal(w.new.encoder.embedding.weight.grad, torch.zeros(4, 6))


def test_weight_zero_is_simplex(world):
    assert world("cl2r", {"weight": 0}).terms(BATCH)["distillation"].item() == 0


def test_published_settings(catalogue):
    params = catalogue.get("cl2r").resolve({})
    assert (params.variant, params.weight) == ("old_classes", 5)


def test_the_first_generation_trains_with_classification_alone(world):
    w = world("cl2r")
    w.old_model = None
    assert list(w.terms(BATCH)) == ["classification"]


def test_needs_its_own_first_generation_and_the_old_encoder(catalogue):
    assert catalogue.get("cl2r").needs == {Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER}
