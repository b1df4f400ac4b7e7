import itertools
import sys

import pytest
import torch
from by_hand import arcface, mean_vector, norm, rows, unit

from compatbench.method import Need, Task

BATCH = [12, 1, 8, 4, 5, 17, 3, 6, 10, 19]  # two images of each of the five classes


def nearest_share(features, labels, num_classes, share):
    module = sys.modules["compatbench_methods.mixbct"]
    return module.nearest_share(features, labels, num_classes, share).tolist()


@pytest.mark.parametrize("dim", [4, 6])
def test_the_mixed_batch_follows_the_formula(world, dim):
    """Which three images are replaced is drawn; one of the 120 choices must give the loss."""
    w = world("mixbct", {"credible": 1, "scale": 8, "margin": 0.2}, dim=dim)
    new, old = rows(w.new(w.images)), [f + [0.0] * (dim - 4) for f in rows(w.old(w.images))]
    found = w.terms(BATCH)
    assert list(found) == ["classification"]
    labels = [int(w.labels[i]) for i in BATCH]
    row_list = rows(w.new.head.weight)
    choices = [
        arcface([old[i] if i in chosen else new[i] for i in BATCH], row_list, labels, 8, 0.2)
        for chosen in itertools.combinations(BATCH, 3)
    ]
    assert min(abs(choice - found["classification"].item()) for choice in choices) < 1e-5


def replaced(w, batch):
    """Images of `batch` that are not the new model's in the mixed batch: those without a gradient."""
    embeddings = w.new(w.images[batch])
    embeddings.retain_grad()

    class NewView:
        head = w.new.head

    view = NewView()
    view.embeddings = embeddings
    w.method.classification(w.batch(batch), view, None).backward()
    return [i for i, gradient in zip(batch, embeddings.grad, strict=True) if not gradient.any()]


def test_thirty_percent_are_replaced(world):
    w = world("mixbct", {"credible": 1})
    assert len(replaced(w, BATCH)) == 3


def test_only_credible_images_are_replaced_and_fewer_where_fewer_are(world):
    w = world("mixbct")
    w.method.is_credible.fill_(False)
    w.method.is_credible[[4, 13, 17]] = True
    assert replaced(w, BATCH) == [4, 17]
    assert replaced(w, [0, 1, 2]) == []


def test_the_draw_follows_the_methods_own_stream(world):
    w = world("mixbct", {"credible": 1})
    torch.manual_seed(1)
    first = replaced(w, BATCH)
    torch.manual_seed(2)
    assert replaced(w, BATCH) == first


def test_the_nearest_share_of_each_class_is_credible(world):
    w = world("mixbct", {"credible": 0.6})
    old = [unit(f) for f in rows(w.old(w.images))]
    expected = [False] * 20
    for c in range(5):
        members = [i for i in range(20) if w.labels[i] == c]
        centre = mean_vector([old[i] for i in members])
        distance = {i: norm([x - m for x, m in zip(old[i], centre, strict=True)]) for i in members}
        for i in sorted(members, key=distance.get)[:3]:  # ⌈0.6 · 4⌉
            expected[i] = True
    assert w.method.is_credible.tolist() == expected


def test_the_share_of_a_class_is_rounded_up(catalogue):
    """Class 0 has its mean at 2: of 0, 1 and 5 the two nearest; class 1 is empty; class 2 is its own mean."""
    features, labels = torch.tensor([[0.0], [1.0], [5.0], [9.0]]), torch.tensor([0, 0, 0, 2])
    assert nearest_share(features, labels, 3, 0.4) == [True, True, False, True]
    assert nearest_share(features, labels, 3, 0.3) == [False, True, False, True]
    assert nearest_share(features, labels, 3, 0.0) == [False] * 4


def test_nothing_mixed_is_arcface_alone(world):
    w = world("mixbct", {"mixed": 0})
    labels = [int(w.labels[i]) for i in BATCH]
    new = rows(w.new(w.images))
    expected = arcface([new[i] for i in BATCH], rows(w.new.head.weight), labels, 64, 0.5)
    assert w.terms(BATCH)["classification"].item() == pytest.approx(expected, abs=1e-4)


def test_old_features_are_not_stored_with_the_model(world):
    assert not [name for name in world("mixbct").method.state_dict() if "old" in name or "credible" in name]


def test_published_settings(catalogue):
    params = catalogue.get("mixbct").resolve({})
    assert (params.mixed, params.credible, params.scale, params.margin) == (0.3, 0.9, 64, 0.5)
    assert catalogue.get("mixbct").needs == {Need.OLD_FEATURES}


def test_skips_a_smaller_new_dimension(catalogue):
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("mixbct").cls
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
