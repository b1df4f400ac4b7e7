import pytest
import torch
from by_hand import cosine, mean, mean_vector, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]


def centres(w):
    old = [unit(f) for f in rows(w.old(w.images))]
    return [unit(mean_vector([old[i] for i in range(20) if w.labels[i] == c])) for c in range(5)]


def boundary(w, old_dim=4):
    new, old, centre = rows(w.new(w.images)), rows(w.old(w.images)), centres(w)
    loosest = [min(cosine(old[i], centre[c]) for i in range(20) if w.labels[i] == c) for c in range(5)]
    losses = [max(0.0, loosest[w.labels[i]] - cosine(new[i][:old_dim], centre[w.labels[i]])) for i in BATCH]
    return mean(losses)


@pytest.mark.parametrize("dim", [4, 6])
def test_boundary_follows_the_formula(world, dim):
    w = world("lce", {"boundary": 0.7}, dim=dim)
    assert w.terms(BATCH)["boundary"].item() == pytest.approx(0.7 * boundary(w), abs=1e-5)
    assert boundary(w) > 0.01


def test_the_boundary_of_the_code_takes_features_that_are_not_normalised(world):
    w = world("lce", {"boundary_form": "code"})
    new, old, centre = rows(w.new(w.images)), rows(w.old(w.images)), centres(w)
    loosest = [min(cosine(old[i], centre[c]) for i in range(20) if w.labels[i] == c) for c in range(5)]
    clamped = [min(1.0, max(-1.0, sum(a * b for a, b in zip(new[i], centre[w.labels[i]], strict=True)))) for i in BATCH]
    expected = mean([max(0.0, loosest[w.labels[i]] - c) for i, c in zip(BATCH, clamped, strict=True)])
    assert w.terms(BATCH)["boundary"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
@pytest.mark.parametrize("loss", ["softmax", "normalized_softmax", "arcface"])
def test_alignment_follows_the_formula(world, dim, loss):
    w = world("lce", dim=dim, loss=loss)
    row_list = [unit(row[:4]) for row in rows(w.new.head.weight)]
    squares = [(a - b) ** 2 for row, c in zip(row_list, centres(w), strict=True) for a, b in zip(row, c, strict=True)]
    assert w.terms(BATCH)["alignment"].item() == pytest.approx(100 * mean(squares), abs=1e-4)


def test_old_members_are_within_their_boundary(world):
    """Equal models: no image is looser than the loosest of its class, and one of each class is on the boundary."""
    w = world("lce")
    w.copy_old_into_new()
    assert w.terms(list(range(20)))["boundary"].item() == pytest.approx(0, abs=1e-6)
    w.method.loosest.add_(1e-4)
    assert w.terms(list(range(20)))["boundary"].item() >= 5 / 20 * 0.99e-4


def test_rows_on_the_centres_are_aligned(world):
    w = world("lce")
    with torch.no_grad():
        w.new.head.weight.copy_(3 * torch.tensor(centres(w)))
    assert w.terms(BATCH)["alignment"].item() == pytest.approx(0, abs=1e-6)


def test_alignment_moves_the_rows_and_boundary_the_encoder(world):
    w = world("lce")
    terms = w.terms(BATCH)
    terms["alignment"].backward()
    assert w.new.head.weight.grad.abs().sum() > 0
    assert w.new.encoder.embedding.weight.grad is None
    terms["boundary"].backward()
    assert w.new.encoder.embedding.weight.grad.abs().sum() > 0


def test_a_class_of_one_image_has_a_tight_boundary(world):
    """Its only member is its centre, so that m_k = 1."""
    w = world("lce", classes=(0, 1, 2, 3, 4))
    w.old_model.train_labels = torch.tensor([0] * 19 + [1])
    w.old_model.rows = w.old_model.rows[:2]
    method = type(w.method)(w.method.params, Task(1, "b", 4, "softmax", (0, 1), 5, "b", 4, (0, 1)))
    method.setup(None, w.old_model)
    assert method.loosest[1].item() == pytest.approx(1, abs=1e-6)
    assert torch.allclose(method.centres[1], torch.nn.functional.normalize(w.old(w.images))[19], atol=1e-6)


def test_weights_zero_are_independent(world):
    terms = world("lce", {"alignment": 0, "boundary": 0}).terms(BATCH)
    assert terms["alignment"].item() == terms["boundary"].item() == 0


def test_published_settings(catalogue):
    params = catalogue.get("lce").resolve({})
    assert (params.alignment, params.boundary) == (100, 1)


def test_needs_old_features_only(catalogue):
    assert catalogue.get("lce").needs == {Need.OLD_FEATURES}


def test_skips_a_smaller_new_dimension(catalogue):
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("lce").cls
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
