import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]
UNKNOWN_ONLY = [3, 4, 8, 9]  # classes 3 and 4, which the old model never saw


@pytest.mark.parametrize(("variant", "distilled"), [("old_classes", [0, 1, 2]), ("all", BATCH)])
def test_distillation_follows_the_formula(world, variant, distilled):
    w = world("cl2r", {"variant": variant, "weight": 0.7, "from_old": False})
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = 0.7 * (2 / 5) ** 0.5 * mean([1 - cosine(new[i], old[i]) for i in distilled])
    assert w.terms(BATCH)["distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_old_classes_are_found_where_labels_and_classes_differ(world):
    w = world("cl2r", {"from_old": False}, old_classes=(0, 4), classes=(2, 4))
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = 5 * 0.5**0.5 * mean([1 - cosine(new[i], old[i]) for i in (1, 3)])
    assert w.terms([0, 1, 2, 3])["distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_classification_is_that_of_the_simplex(world):
    w = world("cl2r")
    vertices, new = rows(w.new.head.vertices), rows(w.new(w.images))
    expected = mean([cross_entropy([dot(new[i], v) for v in vertices], int(w.labels[i])) for i in BATCH])
    assert w.terms(BATCH)["classification"].item() == pytest.approx(expected, abs=1e-5)


def test_without_new_classes_the_weight_is_that_of_the_smallest_published_share(world):
    w = world("cl2r", {"from_old": False}, classes=(0, 1, 2))
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    expected = 5 * 0.05**0.5 * mean([1 - cosine(new[i], old[i]) for i in range(4)])
    assert w.terms([0, 1, 2, 3])["distillation"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("variant", ["old_classes", "all"])
def test_a_new_model_starts_from_the_old_weights_and_costs_nothing(world, variant):
    w = world("cl2r", {"variant": variant})
    assert torch.equal(w.new(w.images), w.old(w.images))
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


@pytest.mark.parametrize("name", ["cl2r", "hoc"])
@pytest.mark.parametrize(
    ("old_dim", "other_encoder", "params", "continued"),
    [
        (4, None, {}, True),
        (4, "backbone is a, and was b", {}, False),
        (4, None, {"from_old": False}, False),
        (None, None, {}, False),
    ],
)
def test_old_weights_are_a_need_where_they_fit(catalogue, name, old_dim, other_encoder, params, continued):
    plugin = catalogue.get(name)
    task = Task(1, "b", 4, "softmax", (0, 1), 5, "b", old_dim, (0,), other_encoder)
    needs = plugin.cls(plugin.resolve(params), task).needs
    assert needs - {Need.OLD_WEIGHTS} == {Need.OWN_FIRST_GENERATION, Need.OLD_ENCODER}
    assert (Need.OLD_WEIGHTS in needs) == continued
