import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, mean_vector, norm, rows, unit

from compatbench.method import Need

BATCH = [0, 1, 2, 3, 4, 8]


def prototypes(w):
    old = rows(w.old(w.images))
    return [mean_vector([old[i] for i in range(len(old)) if w.labels[i] == c]) for c in range(5)]


def test_neighbours_push_a_prototype_away(world):
    w = world("prototype_perturbation", {"neighbours": 2, "strength": 0.3})
    means, expected = prototypes(w), []
    for k, c in enumerate(means):
        others = [unit(means[j]) for j in range(5) if j != k]
        nearest = sorted(others, key=lambda other: -cosine(other, c))[:2]
        steps = [unit([a - b for a, b in zip(unit(c), other, strict=True)]) for other in nearest]
        moved = unit([a + 0.3 * d for a, d in zip(unit(c), mean_vector(steps), strict=True)])
        expected.append([norm(c) * x for x in moved])
    assert torch.allclose(w.method.rows, torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize("dim", [4, 6])
def test_the_loss_scores_new_embeddings_against_the_moved_prototypes(world, dim):
    w = world("prototype_perturbation", {"weight": 0.7}, dim=dim)
    new, moved = rows(w.new(w.images)), rows(w.method.rows)
    losses = [cross_entropy([dot(new[i][:4], p) for p in moved], int(w.labels[i])) for i in BATCH]
    assert w.terms(BATCH)["prototypes"].item() == pytest.approx(0.7 * mean(losses), abs=1e-5)


def test_without_a_push_it_is_bct_with_prototypes(world):
    found = world("prototype_perturbation", {"strength": 0}).terms(BATCH)["prototypes"].item()
    assert found == pytest.approx(world("bct", {"variant": "prototypes"}).terms(BATCH)["influence"].item(), abs=1e-6)


def test_optimised_prototypes_are_less_crowded_and_hardly_moved_where_distance_is_dear(world):
    w = world("prototype_perturbation", {"variant": "odpp"})
    directions = torch.nn.functional.normalize(torch.tensor(prototypes(w)))
    delta = w.method.spread(directions)
    still = torch.zeros_like(delta)
    assert w.method.crowding(directions, delta) < w.method.crowding(directions, still)
    (slope,) = torch.autograd.grad(w.method.crowding(directions, delta.requires_grad_(True)), delta)
    assert slope.norm() < 0.05  # near a minimum
    dear = world("prototype_perturbation", {"variant": "odpp", "distance_weight": 4.0})
    assert dear.method.spread(directions).norm() < delta.norm()
    assert w.method.needs == {Need.OLD_FEATURES}
