import math

import pytest
import torch
import torch.nn.functional as F
from by_hand import dot, rows
from scipy.stats import ortho_group
from sklearn.metrics import average_precision_score

from compatbench.method import Need


def at(adapter, new, old, alpha):
    """The query map with R fitted on all pairs, at a given α."""
    slerp = adapter("slerp", dim=new.shape[1], old_dim=old.shape[1]).build(new.shape[1], old.shape[1]).query
    slerp.rotation.copy_(adapter("procrustes").fit(new, old, None).query.weight.T.detach())
    slerp.alpha.fill_(alpha)
    return slerp


@pytest.mark.parametrize(("dim", "old_dim"), [(4, 4), (6, 4), (4, 6)])
def test_the_ends_of_the_arc_are_the_old_query_and_the_mapped_one(adapter, pairs, dim, old_dim):
    new, old, _ = pairs(dim, old_dim)
    assert torch.equal(at(adapter, new, old, 0)(new, old), old)
    mapped = adapter("procrustes").fit(new, old, None).query(new)
    assert torch.allclose(at(adapter, new, old, 1)(new, old), mapped, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.9])
def test_the_point_divides_the_angle(adapter, pairs, alpha):
    new, old, _ = pairs()
    query = rows(F.normalize(at(adapter, new, old, alpha)(new, old)))
    aligned = rows(at(adapter, new, old, 1)(new, old))
    for point, start, end in zip(query, rows(old), aligned, strict=True):
        angle = math.acos(dot(start, end))
        assert math.acos(dot(start, point)) == pytest.approx(alpha * angle, abs=1e-3)
        assert math.acos(dot(point, end)) == pytest.approx((1 - alpha) * angle, abs=1e-3)


def test_a_wider_new_space_is_the_papers_padding_with_the_added_coordinates_left_out(adapter, pairs):
    new, old, _ = pairs(6, 4)
    padded = F.pad(old, (0, 2))
    wide = at(adapter, new, padded, 0.4)(new, padded)
    assert torch.allclose(at(adapter, new, old, 0.4)(new, old), wide[:, :4], atol=1e-5)


def test_equal_and_opposite_queries_give_finite_vectors(adapter):
    slerp = adapter("slerp").build(4, 4).query
    slerp.rotation.copy_(torch.eye(4))
    slerp.alpha.fill_(0.5)
    old = F.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(slerp(old, old), old, atol=1e-3)
    assert slerp(-old, old).isfinite().all()


def classes_and_noise(signal, noise, count=400):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 8
    centres = torch.randn(8, 16, generator=generator)
    vectors = signal * centres[labels] + noise * torch.randn(count, 16, generator=generator)
    return F.normalize(vectors), labels


@pytest.mark.parametrize(("new_noise", "old_noise", "low", "high"), [(0.1, 3, 0.8, 1), (9, 1.5, 0, 0.2)])
def test_alpha_leans_to_the_model_that_finds_more(adapter, new_noise, old_noise, low, high):
    rotation = torch.from_numpy(ortho_group.rvs(16, random_state=0)).float()
    new, labels = classes_and_noise(1, new_noise)
    old, _ = classes_and_noise(1, old_noise)
    torch.manual_seed(0)
    maps = adapter("slerp", dim=16, old_dim=16).fit(new @ rotation, old, labels)
    assert low <= maps.query.alpha.item() <= high
    expected = adapter("procrustes").fit(new @ rotation, old, None).query.weight.T
    assert torch.allclose(maps.query.rotation, expected, atol=1e-6), "R is not fitted on all pairs"


def test_alpha_is_the_best_of_its_grid_on_pairs_held_out(adapter, pairs):
    new, old, labels = pairs(6, 6, count=60)
    method = adapter("slerp", dim=6, old_dim=6, steps=4, support=5)
    torch.manual_seed(2)
    order = torch.randperm(60)
    queries, rest = order[:5], order[5:]
    scores = []
    for step in range(5):
        slerp = at(adapter, new[rest], old[rest], step / 4)
        similarity = (slerp(new[queries], old[queries]) @ old[rest].T).tolist()
        relevant = labels[queries][:, None] == labels[rest][None, :]
        each = [average_precision_score(r, s) for r, s in zip(relevant.tolist(), similarity, strict=True)]
        scores.append(sum(each) / 5)
    torch.manual_seed(2)
    slerp = method.build(6, 6).query
    assert method.choose_alpha(slerp, new, old, labels) == scores.index(max(scores)) / 4


def test_without_two_images_of_a_class_alpha_is_a_half(adapter, pairs):
    new, old, _ = pairs()
    for count in (1, 3, 50):
        maps = adapter("slerp").fit(new[:count], old[:count], torch.arange(count))
        assert maps.query.alpha.item() == 0.5


def test_it_says_what_it_costs(adapter):
    assert adapter("slerp").needs == {Need.OLD_FEATURES, Need.LABELS, Need.BOTH_ENCODERS_ONLINE}
