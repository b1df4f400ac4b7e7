"""The three methods that also learn a map of the stored vectors: bict, dmu and c2r."""

import pytest
import torch
from by_hand import cross_entropy, dot, mean, norm, posterior, rows, unit

from compatbench.method import Need

BATCH = [0, 1, 2, 3, 4, 8]
WEIGHTS = {
    "bict": {"backward": 0.7, "forward": 0.4},
    "dmu": {"backward": 0.7, "forward": 0.4, "classification": 0.3},
    "c2r": {"backward": 0.7, "forward": 0.4, "cycle": 0.3},
}


def square(a, b):
    return norm([x - y for x, y in zip(a, b, strict=True)]) ** 2


def through(network, vectors):
    """The network's output of unit length, on plain lists."""
    return [unit(row) for row in rows(network(torch.tensor(vectors)))]


class Parts:
    """What the formulas are made of, on plain lists; the maps start at the identity and are moved off it."""

    def __init__(self, world, name, dim):
        self.w = world(name, WEIGHTS[name], dim=dim)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.w.method.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        self.new, self.old = rows(self.w.new(self.w.images)), rows(self.w.old(self.w.images))
        self.labels = self.w.labels.tolist()
        self.units = [unit(f) for f in self.new]
        self.lifted = through(self.w.method.forward_map, [unit(f) for f in self.old])

    def influence(self, embeddings):
        """Cross-entropy and posterior of the own class, by old rows and by class means of the unknown classes."""
        means = [
            mean(list(column)) for c in (3, 4) for column in zip(*(self.old[i] for i in range(c, 20, 5)), strict=True)
        ]
        head = [*rows(self.w.old.head.weight), means[:4], means[4:]]
        logits = {i: [dot(embeddings[i][:4], row) for row in head] for i in BATCH}
        return {i: (cross_entropy(z, self.labels[i]), posterior(z)[self.labels[i]]) for i, z in logits.items()}


@pytest.mark.parametrize("dim", [4, 6])
def test_bict_follows_the_formula(world, dim):
    p = Parts(world, "bict", dim)
    terms = p.w.terms(BATCH)
    backward = mean([p.influence(p.new)[i][0] for i in BATCH])
    assert terms["backward"].item() == pytest.approx(0.7 * backward, abs=1e-5)
    forward = mean([square(p.lifted[i], p.units[i]) for i in BATCH])
    assert terms["forward"].item() == pytest.approx(0.4 * forward, abs=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
def test_dmu_follows_the_formula(world, dim):
    p = Parts(world, "dmu", dim)
    terms, head = p.w.terms(BATCH), rows(p.w.new.head.weight)
    known = {i: share for i, (_, share) in p.influence(p.old).items()}
    backward = mean([known[i] * p.influence(p.new)[i][0] for i in BATCH])
    assert terms["backward"].item() == pytest.approx(0.7 * backward, abs=1e-5)
    forward = mean([(2 - known[i]) * square(p.lifted[i], p.units[i]) for i in BATCH])
    assert terms["forward"].item() == pytest.approx(0.4 * forward, abs=1e-5)
    lifted = {i: [norm(p.new[i]) * x for x in p.lifted[i]] for i in BATCH}
    classified = mean([cross_entropy([dot(lifted[i], row) for row in head], p.labels[i]) for i in BATCH])
    assert terms["classified"].item() == pytest.approx(0.3 * classified, abs=1e-5)


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_c2r_follows_the_formula(world, dim):
    p = Parts(world, "c2r", dim)
    terms = p.w.terms(BATCH)
    lowered, back = (through(p.w.method.backward_map, side) for side in (p.units, p.lifted))
    pairs = {
        "forward": (0.4, p.lifted, p.units),
        "backward": (0.7, lowered, [unit(f) for f in p.old]),
        "cycle": (0.3, back, [unit(f) for f in p.old]),
    }
    for name, (weight, one, other) in pairs.items():
        expected = weight * mean([square(one[i], other[i]) for i in BATCH])
        assert terms[name].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_stored_vectors_are_mapped_and_queries_are_not(world, name):
    p = Parts(world, name, 6)
    stored = p.w.method.gallery(p.w.old(p.w.images))
    assert torch.allclose(stored, torch.tensor(p.lifted), atol=1e-5)
    assert torch.equal(p.w.method.compatible(p.w.new(p.w.images)), p.w.new(p.w.images))
    assert Need.GALLERY_REWRITE in p.w.method.needs


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_the_map_follows_the_new_model_and_does_not_pull_it(world, name):
    w = world(name)
    w.terms(BATCH)["forward"].backward()
    assert w.new.encoder.embedding.weight.grad is None or not w.new.encoder.embedding.weight.grad.any()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in w.method.parameters())


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_equal_models_need_no_map(world, name):
    w = world(name)  # the maps start at the identity
    w.copy_old_into_new()
    assert w.terms(BATCH)["forward"].item() == pytest.approx(0, abs=1e-10)
