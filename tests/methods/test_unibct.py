import sys
from dataclasses import replace

import pytest
import torch
from by_hand import arcface, cosine, cross_entropy, dot, mean, rows

from compatbench.method import Need, Task
from compatbench.model import NewModel, View

BATCH = [0, 1, 2, 3, 4, 8]


def refinement():
    return sys.modules["compatbench_methods._prototype_refinement"]


def term(w, progress):
    batch = replace(w.batch(BATCH), progress=progress)
    return w.method.loss(batch, View(w.new, batch.images, frozen=False), w.old_model.view(batch.images))["prototypes"]


def dense_prototypes(old, new, labels, num_classes, damping, temperature):
    """The formula as it stands, in float64: F' = (1 − a)(I − aE)⁻¹ F_o of each class, then its mean."""
    prototypes = []
    for c in range(num_classes):
        members = [i for i in range(len(labels)) if labels[i] == c]
        graph = torch.zeros(len(members), len(members), dtype=torch.float64)
        for a, i in enumerate(members):
            others = [j for j in members if j != i]
            weights = torch.tensor([cosine(new[i], new[j]) / temperature for j in others]).double().softmax(0)
            for j, weight in zip(others, weights, strict=True):
                graph[a, members.index(j)] = weight
        propagation = (1 - damping) * torch.linalg.inv(torch.eye(len(members)) - damping * graph)
        refined = propagation @ torch.tensor([old[i] for i in members], dtype=torch.float64)
        prototypes.append(refined.mean(dim=0).tolist())
    return prototypes


@pytest.mark.parametrize("dim", [4, 6])
@pytest.mark.parametrize(("damping", "temperature"), [(0.9, 0.05), (0.5, 0.05), (0.9, 1.0), (0.99, 0.01)])
def test_prototypes_are_those_of_the_dense_formula(world, dim, damping, temperature):
    w = world("unibct", {"damping": damping, "temperature": temperature}, dim=dim)
    term(w, 0.5)
    labels = w.labels.tolist()
    expected = dense_prototypes(rows(w.old(w.images)), rows(w.new(w.images)), labels, 5, damping, temperature)
    assert torch.allclose(w.method.prototypes, torch.tensor(expected), atol=1e-5)
    assert not torch.allclose(w.method.prototypes, w.old_model.class_means(), atol=1e-2)


def test_prototypes_of_classes_of_any_size(catalogue):
    """Sizes 0, 1, 2 and 60, in no order; a class of one or two members keeps its mean."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([1] + 2 * [2] + 60 * [3])[torch.randperm(63, generator=generator)]
    old, new = torch.randn(63, 5, generator=generator), torch.randn(63, 3, generator=generator)
    found = refinement().refined_prototypes(old, new, labels, 4, 0.9, 0.05)
    expected = dense_prototypes(rows(old), rows(new), labels.tolist(), 4, 0.9, 0.05)[2:]
    assert torch.allclose(found[2:], torch.tensor(expected), atol=1e-5)
    assert not found[0].any()
    for label in (1, 2):
        assert torch.allclose(found[label], old[labels == label].mean(dim=0), atol=1e-6)


def test_a_large_class_in_blocks_of_rows(catalogue, monkeypatch):
    features = torch.nn.functional.normalize(torch.randn(100, 4, generator=torch.Generator().manual_seed(0)))
    whole = refinement().edges(features, 0.05)
    monkeypatch.setattr(refinement(), "BLOCK", 7)
    assert torch.allclose(refinement().edges(features, 0.05), whole)
    assert torch.allclose(whole.sum(dim=1), torch.ones(100))
    assert not whole.diagonal().any()


def test_weights_are_shares_and_strays_get_less(catalogue):
    """Nineteen members in a bunch and one opposite: the mean forgets the stray."""
    bunch = torch.tensor([[1.0, 0.0]]) + 0.1 * torch.randn(19, 2, generator=torch.Generator().manual_seed(0))
    features = torch.nn.functional.normalize(torch.cat([bunch, torch.tensor([[-1.0, 0.0]])]))
    weights = refinement().member_weights(features, 0.9, 0.05)
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert weights[-1].item() == pytest.approx((1 - 0.9) / 20, abs=1e-6)
    assert weights.min() == weights[-1]


def test_columns_that_sum_to_one_would_refine_nothing(catalogue):
    """Why E is normalised over rows: 1ᵀE = 1ᵀ gives every member the same weight."""
    features = torch.nn.functional.normalize(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).double())
    by_column = (features @ features.T / 0.05).fill_diagonal_(-torch.inf).softmax(dim=0)
    weights = 0.1 / 30 * torch.ones(30).double() @ torch.linalg.inv(torch.eye(30).double() - 0.9 * by_column)
    assert torch.allclose(weights, torch.full((30,), 1 / 30).double(), atol=1e-12)
    assert refinement().member_weights(features, 0.9, 0.05).std() > 1e-2


def test_without_damping_prototypes_are_class_means(world):
    w = world("unibct", {"damping": 0})
    term(w, 0.5)
    assert torch.allclose(w.method.prototypes, w.old_model.class_means(), atol=1e-6)


def test_refines_at_the_published_shares_of_the_steps(world):
    found = []
    w = world("unibct")
    for step in range(70):
        w.method.prototypes.zero_()
        term(w, step / 70)
        if w.method.prototypes.any():
            found.append(step)
    assert found == [20, 40]


@pytest.mark.parametrize(("old_loss", "score"), [("softmax", dot), ("arcface", lambda a, b: 64 * cosine(a, b))])
@pytest.mark.parametrize("dim", [4, 6])
def test_ce_scores_prototypes_as_the_old_head_does(world, old_loss, score, dim):
    w = world("unibct", {"weight": 0.7}, old_loss=old_loss, dim=dim)
    term(w, 0.5)
    prototypes = rows(w.method.prototypes)
    new = [f[:4] for f in rows(w.new(w.images))]
    losses = [cross_entropy([score(new[i], p) for p in prototypes], int(w.labels[i])) for i in BATCH]
    assert w.terms(BATCH)["prototypes"].item() == pytest.approx(0.7 * mean(losses), rel=1e-4)


def test_arcface_follows_the_formula(world):
    w = world("unibct", {"variant": "arcface"})
    term(w, 0.5)
    new = rows(w.new(w.images))
    labels = [int(w.labels[i]) for i in BATCH]
    expected = arcface([new[i] for i in BATCH], rows(w.method.prototypes), labels, 30, 0.3)
    assert w.terms(BATCH)["prototypes"].item() == pytest.approx(expected, abs=1e-4)


def test_before_the_first_refinement_it_is_independent(world):
    w = world("unibct")
    before = term(w, 0.28)
    before.backward()
    assert before.item() == 0
    assert not w.new.encoder.embedding.weight.grad.any()


def test_weight_zero_is_independent(world):
    w = world("unibct", {"weight": 0})
    term(w, 0.5)
    assert w.terms(BATCH)["prototypes"].item() == 0


def test_refined_prototypes_are_stored_with_the_model(world):
    w, again = world("unibct"), world("unibct")
    term(w, 0.5)
    again.method.load_state_dict(w.method.state_dict())
    assert torch.equal(again.terms(BATCH)["prototypes"], w.terms(BATCH)["prototypes"])
    assert w.terms(BATCH)["prototypes"].item() > 0


def test_outliers_of_the_old_model_weigh_less(world):
    """Old features of an image that the new model finds far from its class hardly move the prototype."""
    w = world("unibct")
    w.old_model.train_embeddings[0] += 100  # image 0 is of class 0
    centre = torch.nn.functional.normalize(w.new(w.images)[[5, 10, 15]].mean(dim=0), dim=0).detach()
    embeddings = torch.where((w.labels == 0)[:, None], centre, w.new(w.images).detach())
    embeddings[0] = -centre
    w.method.setup(NewModel(w.new, lambda: embeddings, w.labels), w.old_model)
    term(w, 0.5)
    assert w.old_model.class_means()[0].norm() > 30
    assert w.method.prototypes[0].norm() < 10


def test_published_settings(catalogue):
    params = catalogue.get("unibct").resolve({})
    assert (params.variant, params.weight, params.damping, params.temperature) == ("ce", 1, 0.9, 0.05)
    assert (params.scale, params.margin) == (30, 0.3)
    assert catalogue.get("unibct").needs == {Need.OLD_FEATURES}


def test_skips_a_smaller_new_dimension(catalogue):
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("unibct").cls
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
