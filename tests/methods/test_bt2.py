import math

import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, mean_vector, rows, unit

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]
EXTRA = 2


def make(world, params=None, **task):
    return world("bt2", {"extra_dims": EXTRA, **(params or {})}, **task)


def through(matrix, vector):
    return [dot(row, vector) for row in rows(matrix)]


def by_formula(w, scale=2):
    """h and f of every image, from the encoder's output and the method's matrices."""
    method, contents, stored = w.method, [], []
    for u in rows(w.new.encoder(w.images)):
        h = unit(u[: method.task.dim])
        positive = [max(0.0, x) for x in u]
        bias = method.only_old.bias.tolist()
        g = unit([x + b for x, b in zip(through(method.only_old.weight, positive), bias, strict=True)])
        merged = g + through(method.basis.first.weight, [scale * x for x in h])
        contents.append(h)
        stored.append(through(method.basis.second.weight, merged[:4]) + merged[4:])
    return contents, stored


def prototypes(w):
    old = [unit(f) for f in rows(w.old(w.images))]
    return [mean_vector([old[i] for i in range(len(old)) if w.labels[i] == c]) for c in range(5)]


DIMENSIONS = pytest.mark.parametrize(("dim", "stored"), [(1, 4), (3, 5), (4, 6), (7, 9)])


@DIMENSIONS
def test_embedding_follows_the_formula(world, dim, stored):
    w = make(world, {"scale": 3}, dim=dim)
    found = w.new(w.images)
    assert found.shape == (20, stored)
    assert torch.allclose(found, torch.tensor(by_formula(w, scale=3)[1]), atol=1e-5)
    assert torch.equal(w.method.compatible(found), found[:, :4])


@DIMENSIONS
def test_all_embeddings_have_one_length_and_keep_the_content(world, dim, stored):
    w = make(world, dim=dim)
    found = w.new(w.images)
    assert torch.allclose(found.norm(dim=1), torch.tensor(math.sqrt(5)), atol=1e-5)
    assert torch.allclose(w.method.basis.content_of(found), torch.tensor(by_formula(w)[0]), atol=1e-5)


@DIMENSIONS
def test_terms_follow_the_formula(world, dim, stored):
    w = make(world, {"influence_weight": 2, "old_weight": 3, "new_weight": 4}, dim=dim)
    contents, found = by_formula(w)
    centres, labels = prototypes(w), w.labels.tolist()
    old, independent = rows(w.old(w.images)), rows(w.independent(w.images))
    aligned = [f[:4] for f in found]
    influence = mean([cross_entropy([dot(unit(aligned[i]), c) for c in centres], labels[i]) for i in BATCH])
    terms = w.terms(BATCH)
    assert terms["influence"].item() == pytest.approx(2 * influence, abs=1e-5)
    assert terms["old"].item() == pytest.approx(3 * mean([1 - cosine(aligned[i], old[i]) for i in BATCH]), abs=1e-5)
    assert terms["new"].item() == pytest.approx(
        4 * mean([1 - cosine(contents[i], independent[i]) for i in BATCH]), abs=1e-5
    )


@DIMENSIONS
def test_classification_sees_the_content_alone(world, dim, stored):
    w = make(world, dim=dim)
    row_list, labels = rows(w.new.head.inner.weight), w.labels.tolist()
    contents = by_formula(w)[0]
    losses = [cross_entropy([dot(contents[i], row) for row in row_list], labels[i]) for i in BATCH]
    assert w.terms(BATCH)["classification"].item() == pytest.approx(mean(losses), abs=1e-5)


@DIMENSIONS
def test_rows_serve_the_next_generation_in_the_stored_space(world, dim, stored):
    w = make(world, dim=dim)
    found = w.new(w.images)
    assert torch.allclose(found @ w.new.head.weight.T, w.new.head(found), atol=1e-5)


def test_default_weights_are_the_published_ones(world):
    published, single = make(world), make(world, {"influence_weight": 1, "old_weight": 1, "new_weight": 1})
    terms, ones = published.terms(BATCH), single.terms(BATCH)
    for name, weight in {"classification": 1, "influence": 10, "old": 5, "new": 1}.items():
        assert terms[name].item() == pytest.approx(weight * ones[name].item(), rel=1e-5)


def test_weight_zero_leaves_classification(world):
    terms = make(world, {"influence_weight": 0, "old_weight": 0, "new_weight": 0}).terms(BATCH)
    assert [terms[name].item() for name in ("influence", "old", "new")] == [0, 0, 0]


def test_matching_the_independent_model_costs_nothing(world):
    w = make(world)
    with torch.no_grad():
        w.new.encoder.embedding.weight[:4] = w.independent.encoder.embedding.weight
        w.new.encoder.embedding.bias[:4] = w.independent.encoder.embedding.bias
    assert w.terms(BATCH)["new"].item() == pytest.approx(0, abs=1e-6)


def test_both_bases_learn_and_stay_orthogonal(world):
    w = make(world)
    optimizer = torch.optim.SGD(w.new.parameters(), lr=0.3)
    bases = w.method.basis.first, w.method.basis.second
    before = [basis.weight.detach().clone() for basis in bases]
    for _ in range(20):
        optimizer.zero_grad()
        torch.stack(list(w.terms(BATCH).values())).sum().backward()
        optimizer.step()
    for basis, start in zip(bases, before, strict=True):
        assert (basis.weight - start).norm() > 0.1
        assert torch.allclose(basis.weight @ basis.weight.T, torch.eye(4), atol=1e-5)


def test_state_restores_into_a_fresh_model(world):
    w, other = make(world), make(world)
    with torch.no_grad():
        for parameter in w.new.parameters():
            parameter.add_(torch.randn_like(parameter))
    other.new.load_state_dict(w.new.state_dict())
    assert torch.equal(other.new(w.images), w.new(w.images))
    assert torch.equal(other.new.head(other.new(w.images)), w.new.head(w.new(w.images)))


@pytest.mark.parametrize(
    ("dim", "old_dim", "stored"),
    [(128, 128, 160), (128, 160, 160), (64, 128, 128), (256, 128, 288), (128, 16, 144)],
)
def test_adds_what_the_old_space_needs_and_no_more(catalogue, dim, old_dim, stored):
    cls = catalogue.get("bt2").cls
    method = cls(cls.Params(), Task(1, "b", dim, "softmax", (0, 1), 2, "b", old_dim, (0, 1)))
    assert method.encoder_dim(dim) == dim + old_dim
    assert method.embed(torch.randn(2, dim + old_dim)).shape == (2, stored)


def test_its_cost_includes_the_independent_model(catalogue):
    expected = {Need.OLD_ENCODER, Need.OLD_FEATURES, Need.INDEPENDENT_MODEL}
    assert catalogue.get("bt2").cls.needs == expected
