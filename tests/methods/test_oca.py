import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, mean_vector, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]
EXTRA = 3


def make(world, params=None, **task):
    return world("oca", {"extra_dims": EXTRA, **(params or {})}, **task)


def embeddings(w):
    return [unit(f) for f in rows(w.new.encoder(w.images))]


def prototypes(w):
    old = [unit(f) for f in rows(w.old(w.images))]
    return [mean_vector([old[i] for i in range(len(old)) if w.labels[i] == c]) for c in range(5)]


@pytest.mark.parametrize(("dim", "encoder_dim"), [(3, 7), (4, 7), (6, 9)])
def test_terms_follow_the_formula(world, dim, encoder_dim):
    w = make(world, {"influence_weight": 2, "alignment_weight": 3}, dim=dim)
    new, centres, labels = embeddings(w), prototypes(w), w.labels.tolist()
    assert len(new[0]) == encoder_dim
    aligned = [unit(f[:4]) for f in new]
    influence = mean([cross_entropy([dot(aligned[i], c) for c in centres], labels[i]) for i in BATCH])
    alignment = mean([1 - cosine(aligned[i], centres[labels[i]]) for i in BATCH])
    terms = w.terms(BATCH)
    assert terms["influence"].item() == pytest.approx(2 * influence, abs=1e-5)
    assert terms["alignment"].item() == pytest.approx(3 * alignment, abs=1e-5)


def test_classification_sees_the_rotated_embedding(world):
    w = make(world)
    rotation, row_list, labels = rows(w.new.head.map.weight), rows(w.new.head.inner.weight), w.labels.tolist()
    rotated = [[dot(row, f) for row in rotation] for f in embeddings(w)]
    losses = [cross_entropy([dot(rotated[i], row) for row in row_list], labels[i]) for i in BATCH]
    assert w.terms(BATCH)["classification"].item() == pytest.approx(5 * mean(losses), abs=1e-5)


def test_embeddings_are_unit_vectors_and_queries_their_first_old_dimensions(world):
    w = make(world, dim=6)
    stored = w.new(w.images)
    assert torch.allclose(stored, torch.tensor(embeddings(w)), atol=1e-6)
    assert torch.equal(w.method.compatible(stored), stored[:, :4])


def test_the_rotation_stays_orthogonal_while_it_is_trained(world):
    w = make(world)
    optimizer = torch.optim.SGD(w.new.parameters(), lr=1.0)
    before = w.new.head.map.weight.detach().clone()
    for _ in range(20):
        optimizer.zero_grad()
        torch.stack(list(w.terms(BATCH).values())).sum().backward()
        optimizer.step()
    after = w.new.head.map.weight
    assert (after - before).norm() > 0.1
    assert torch.allclose(after @ after.T, torch.eye(7), atol=1e-5)


def test_the_rotation_folds_into_the_classifier(world):
    """W_n Q is one matrix over the stored embeddings."""
    w = make(world)
    stored = w.new(w.images)
    assert torch.allclose(stored @ w.new.head.weight.T, w.new.head(stored), atol=1e-5)


def test_the_rotation_is_trained_and_not_served(world):
    w = make(world)
    w.method.compatible(w.new(w.images)).sum().backward()
    assert [name for name, _ in w.method.named_parameters()] == ["rotation.parametrizations.weight.original"]
    assert all(parameter.grad is None for parameter in w.method.parameters())
    w.terms(BATCH)["classification"].backward()
    assert all(parameter.grad.norm() > 0 for parameter in w.method.parameters())


def test_alignment_is_zero_on_the_prototypes_and_the_influence_is_not(world):
    w = make(world)
    with torch.no_grad():
        w.new.encoder.embedding.weight.zero_()
        w.new.encoder.embedding.bias[:4] = w.method.prototypes[2]
    terms = w.terms([2, 7, 12])  # three images of class 2
    centres = prototypes(w)
    expected = 10 * cross_entropy([dot(unit(centres[2]), c) for c in centres], 2)
    assert terms["alignment"].item() == pytest.approx(0, abs=1e-5)
    assert terms["influence"].item() == pytest.approx(expected, abs=1e-5)
    assert expected > 5  # cosines without a scale: the published loss never comes near 0


def test_weight_zero_is_independent(world):
    w = make(world, {"influence_weight": 0, "alignment_weight": 0})
    terms = w.terms(BATCH)
    assert (terms["influence"].item(), terms["alignment"].item()) == (0, 0)


def test_state_restores_into_a_fresh_model(world):
    w, other = make(world), make(world)
    with torch.no_grad():
        for parameter in w.new.parameters():
            parameter.add_(torch.randn_like(parameter))
        w.method.prototypes.mul_(2)
    other.new.load_state_dict(w.new.state_dict())
    assert torch.equal(other.new.head(other.new(w.images)), w.new.head(w.new(w.images)))
    assert other.terms(BATCH)["influence"].item() == w.terms(BATCH)["influence"].item()


def test_each_generation_grows_by_the_extra_dimensions(catalogue):
    cls = catalogue.get("oca").cls
    assert cls.needs == {Need.OLD_FEATURES}
    for dim, old_dim, expected in [(128, 128, 160), (128, 160, 192), (64, 128, 160), (256, 128, 288)]:
        task = Task(1, "b", dim, "softmax", (0, 1), 2, "b", old_dim, (0, 1))
        assert cls(cls.Params(), task).encoder_dim(dim) == expected
