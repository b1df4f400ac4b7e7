import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, mean_vector, norm, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]


def expected_rows(w):
    old_rows, old = rows(w.old.head.weight), rows(w.old(w.images))
    length = mean([norm(row) for row in old_rows])
    means = [mean_vector([old[i] for i in range(len(old)) if w.labels[i] == c]) for c in (3, 4)]
    return old_rows + [[x * length / norm(m) for x in m] for m in means]


def mapped(w):
    """A f of every image, A read from the state that is stored with the model."""
    new, matrix = rows(w.new(w.images)), w.method.state_dict().get("map.weight")
    return new if matrix is None else [[dot(row, f) for row in rows(matrix)] for f in new]


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_the_old_head_is_the_only_loss(world, dim):
    w = world("fixed_head", dim=dim)
    features, row_list = mapped(w), expected_rows(w)
    expected = mean([cross_entropy([dot(features[i], row) for row in row_list], int(w.labels[i])) for i in BATCH])
    terms = w.terms(BATCH)
    assert list(terms) == ["classification"]
    assert terms["classification"].item() == pytest.approx(expected, abs=1e-5)


def test_rows_are_scored_by_the_head_of_the_scenario(world):
    w = world("fixed_head", old_loss="normalized_softmax", loss="normalized_softmax", dim=6)
    features, row_list = mapped(w), expected_rows(w)
    expected = mean(
        [cross_entropy([16 * cosine(features[i], row) for row in row_list], int(w.labels[i])) for i in BATCH]
    )
    assert w.terms(BATCH)["classification"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_queries_for_the_old_gallery_pass_the_map(world, dim):
    w = world("fixed_head", dim=dim)
    found = w.method.compatible(w.new(w.images))
    assert found.shape == (20, 4)
    assert torch.allclose(found, torch.tensor(mapped(w)), atol=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
def test_encoder_and_map_learn_but_not_the_rows(world, dim):
    w = world("fixed_head", dim=dim)
    w.terms(BATCH)["classification"].backward()
    learned = {name for name, p in w.new.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    expected = {"encoder.embedding.weight", "encoder.embedding.bias"} | ({"head.map.weight"} if dim == 6 else set())
    assert learned == expected


def test_equal_models_keep_the_old_decisions(world):
    w = world("fixed_head", classes=(0, 1, 2))
    w.copy_old_into_new()
    assert torch.allclose(w.new.head(w.new(w.images)), w.old.head(w.old(w.images)))


def test_rows_serve_the_next_generation_in_its_own_space(world):
    """`weight` is W A, so that a third generation may score against the second's rows."""
    w = world("fixed_head", dim=6)
    embeddings = w.new(w.images)
    assert torch.allclose(embeddings @ w.new.head.weight.T, w.new.head(embeddings), atol=1e-5)


def test_old_features_are_needed_only_for_unknown_classes(catalogue):
    cls = catalogue.get("fixed_head").cls
    same = Task(1, "b", 4, "softmax", (0, 1), 2, "b", 4, (0, 1))
    more = Task(1, "b", 4, "softmax", (0, 1, 2), 3, "b", 4, (0, 1))
    assert cls(cls.Params(), same).needs == {Need.OLD_CLASSIFIER}
    assert cls(cls.Params(), more).needs == {Need.OLD_CLASSIFIER, Need.OLD_FEATURES}
