"""Unrelated spaces score within the chance distribution, related ones far above it."""

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from compatbench.evaluation.chance import chance_distribution, sample
from compatbench.evaluation.retrieval import Vectors, evaluate

CLASSES, DIM = 10, 32


def class_clusters(seed: int, size: int, noise: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = np.arange(size) % CLASSES
    values = rng.normal(size=(CLASSES, DIM))[labels] + noise * rng.normal(size=(size, DIM))
    return torch.from_numpy(values.astype(np.float32)), torch.from_numpy(labels)


@pytest.fixture(scope="module")
def old() -> Vectors:
    return Vectors(*class_clusters(0, 1000), torch.arange(1000))


@pytest.fixture(scope="module")
def chance(old: Vectors) -> np.ndarray:
    return chance_distribution(old, old, rotations=60, max_queries=150, max_gallery=400)


def test_aligned_spaces_score_far_above_chance(old: Vectors, chance: np.ndarray) -> None:
    nearly = Vectors(
        old.values + 0.3 * torch.randn(old.values.shape, generator=torch.manual_seed(0)), old.labels, old.ids
    )
    observed = evaluate(nearly, old).metrics()["mAP"]
    assert observed > chance.max() + 5 * chance.std()


def test_unrelated_spaces_score_within_chance(old: Vectors, chance: np.ndarray) -> None:
    """Other models, with class centres of their own, and a fixed map of the same model."""
    turn = torch.from_numpy(ortho_group.rvs(DIM, random_state=7).astype(np.float32))
    strangers = [Vectors(*class_clusters(seed, 1000), old.ids) for seed in range(1, 13)]
    strangers.append(Vectors(old.values @ turn, old.labels, old.ids))
    observed = np.array([evaluate(stranger, old).metrics()["mAP"] for stranger in strangers])
    assert chance.mean() == pytest.approx(observed.mean(), abs=3 * chance.std() / np.sqrt(len(observed)))
    assert (observed < chance.max() + chance.std()).all()


def test_chance_is_wide_with_few_classes(chance: np.ndarray) -> None:
    """Far wider than the spread of shuffled rankings, whose mAP lies within a hundredth of the share of a class."""
    assert abs(chance.mean() - 1 / CLASSES) < 0.1
    assert chance.std() > 0.01
    assert chance.shape == (60,)


def test_the_same_seed_gives_the_same_distribution(old: Vectors) -> None:
    first, again, other = (
        chance_distribution(old, old, rotations=3, max_queries=40, max_gallery=80, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_samples_keep_the_shares_of_labels(old: Vectors) -> None:
    labels = torch.cat([torch.zeros(700), torch.ones(200), torch.full((100,), 2)]).long()
    side = Vectors(old.values, labels, old.ids)
    query, gallery = sample(side, side, max_queries=50, max_gallery=2000, seed=0)
    assert gallery is side
    assert torch.bincount(query.labels).tolist() == pytest.approx([35, 10, 5], abs=1)
    assert len(set(query.ids.tolist())) == 50
    assert torch.equal(side.values[query.ids], query.values)
    assert torch.equal(side.labels[query.ids], query.labels)


def test_a_query_skips_itself_in_the_sample(old: Vectors) -> None:
    """All samples kept: the identity in place of a rotation scores what the whole set scores."""
    query, gallery = sample(old, old, max_queries=1000, max_gallery=1000)
    assert evaluate(query, gallery).relevant.tolist() == [1000 // CLASSES - 1] * 1000
