import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, mean_vector, norm, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]
UNKNOWN_ONLY = [3, 4, 8, 9]  # classes 3 and 4, which the old model never saw


def class_means(w):
    old = rows(w.old(w.images))
    return [mean_vector([old[i] for i in range(len(old)) if w.labels[i] == c]) for c in range(5)]


def influence(w, row_list, target_of, old_dim=4, score=dot):
    """Mean CE of the batch's new features, cut to the old dimension, against `row_list`."""
    new = [f[:old_dim] for f in rows(w.new(w.images))]
    losses = [
        cross_entropy([score(new[i], row) for row in row_list], target_of[int(w.labels[i])])
        for i in BATCH
        if int(w.labels[i]) in target_of
    ]
    return mean(losses)


@pytest.mark.parametrize("dim", [4, 6])
def test_synthesised_rows_follow_the_formula(world, dim):
    w = world("bct", {"weight": 0.7}, dim=dim)
    row_list = rows(w.old.head.weight) + class_means(w)[3:]
    expected = 0.7 * influence(w, row_list, {c: c for c in range(5)})
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, abs=1e-5)


def test_old_rows_are_found_where_labels_and_rows_differ(world):
    w = world("bct", old_classes=(0, 1, 4), classes=(0, 1, 2, 3, 4))
    means = class_means(w)
    row_list = [*rows(w.old.head.weight), means[2], means[3]]
    expected = influence(w, row_list, {0: 0, 1: 1, 4: 2, 2: 3, 3: 4})
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, abs=1e-5)


def test_rescaled_rows_have_the_mean_norm_of_the_old_ones(world):
    w = world("bct", {"rescale": True})
    old_rows = rows(w.old.head.weight)
    length = mean([norm(row) for row in old_rows])
    row_list = old_rows + [[x * length / norm(m) for x in m] for m in class_means(w)[3:]]
    expected = influence(w, row_list, {c: c for c in range(5)})
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, abs=1e-5)


def test_old_classes_leaves_unknown_classes_out(world):
    w = world("bct", {"variant": "old_classes"})
    expected = influence(w, rows(w.old.head.weight), {0: 0, 1: 1, 2: 2})
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, abs=1e-5)


def test_prototypes_are_class_means(world):
    w = world("bct", {"variant": "prototypes"})
    expected = influence(w, class_means(w), {c: c for c in range(5)})
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("old_loss", "scale"), [("normalized_softmax", 16.0), ("arcface", 64.0)])
@pytest.mark.parametrize("variant", ["synthesised", "prototypes"])
def test_rows_are_scored_as_the_old_head_scores(world, old_loss, scale, variant):
    w = world("bct", {"variant": variant}, old_loss=old_loss)
    means = class_means(w)
    row_list = means if variant == "prototypes" else rows(w.old.head.weight) + means[3:]
    expected = influence(w, row_list, {c: c for c in range(5)}, score=lambda a, b: scale * cosine(a, b))
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, rel=1e-5)


def test_no_old_class_in_the_batch_gives_zero_with_a_gradient(world):
    w = world("bct", {"variant": "old_classes"})
    term = w.terms(UNKNOWN_ONLY)["influence"]
    term.backward()
    assert term.item() == 0
    assert torch.equal(w.new.encoder.embedding.weight.grad, torch.zeros(4, 6))


def test_weight_zero_is_independent(world):
    assert world("bct", {"weight": 0}).terms(BATCH)["influence"].item() == 0


@pytest.mark.parametrize(
    ("variant", "old_classes", "needs"),
    [
        ("synthesised", (0, 1), {Need.OLD_CLASSIFIER, Need.OLD_FEATURES}),
        ("synthesised", (0, 1, 2), {Need.OLD_CLASSIFIER}),
        ("old_classes", (0, 1), {Need.OLD_CLASSIFIER}),
        ("prototypes", (0, 1), {Need.OLD_FEATURES}),
    ],
)
def test_declares_only_what_its_variant_needs(catalogue, variant, old_classes, needs):
    task = Task(1, "b", 4, "softmax", (0, 1, 2), 3, "b", 4, old_classes)
    cls = catalogue.get("bct").cls
    assert cls(cls.Params(variant=variant), task).needs == needs


def test_skips_a_smaller_new_dimension(catalogue):
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("bct").cls
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
