"""Verification on lists of pairs, against loops over every threshold and scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from compatbench.data.pairs import Pairs
from compatbench.errors import InvalidResultError, RequestError
from compatbench.evaluation.pair_scores import ScoredPairs, accepted_same, best_threshold, correct, score_pairs
from compatbench.evaluation.retrieval import Vectors


def scored(score, same, fold=None) -> ScoredPairs:
    same = np.asarray(same, dtype=np.int64)
    fold = np.zeros(len(same), dtype=np.int64) if fold is None else np.asarray(fold, dtype=np.int64)
    return ScoredPairs(np.asarray(score, dtype=np.float32), same, fold)


def random_pairs(seed: int, count: int = 200, folds: int = 10, *, ties: bool = False) -> ScoredPairs:
    rng = np.random.default_rng(seed)
    same = rng.integers(0, 2, count)
    score = rng.normal(size=count) + same
    return scored(np.round(score) if ties else score, same, np.arange(count) * folds // count)


def accuracy_at(pairs: ScoredPairs, limit: float) -> float:
    return float(np.mean([(score > limit) == bool(same) for score, same in zip(pairs.score, pairs.same, strict=True)]))


def test_scores_are_cosines_of_the_listed_images() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(6, 4)).astype(np.float32)
    labels = torch.zeros(5, dtype=torch.int64)
    query = Vectors(torch.from_numpy(first), labels, torch.tensor([10, 11, 12, 13, 14]))
    gallery = Vectors(torch.from_numpy(second), torch.zeros(6, dtype=torch.int64), torch.tensor([14, 9, 12, 30, 10, 8]))
    pairs = Pairs(
        np.array([13, 10, 99, 12]), np.array([14, 10, 14, 77]), np.array([True, False, True, False]), np.arange(4)
    )
    found = score_pairs(query, gallery, pairs)
    expected = [first[3] @ second[0] / np.linalg.norm(first[3]) / np.linalg.norm(second[0])]
    expected.append(first[0] @ second[4] / np.linalg.norm(first[0]) / np.linalg.norm(second[4]))
    np.testing.assert_allclose(found.score, expected, rtol=1e-5)
    assert found.same.tolist() == [1, 0]  # pairs with an image that is not there are left out
    assert found.fold.tolist() == [0, 1]


def test_vectors_without_direction_are_invalid() -> None:
    side = Vectors(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    pairs = Pairs(np.array([0, 1]), np.array([1, 0]), np.array([True, False]), np.array([0, 0]))
    with pytest.raises(InvalidResultError, match="query: 2 of 2 vectors are zero"):
        score_pairs(side, side, pairs)


@given(seed=st.integers(0, 500), ties=st.booleans(), count=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_no_threshold_is_better_than_the_best(seed: int, ties: bool, count: int) -> None:
    pairs = random_pairs(seed, count, 1, ties=ties)
    candidates = [-np.inf, np.inf, *pairs.score.tolist(), *(pairs.score - 1e-3).tolist()]
    best = best_threshold(pairs.score, pairs.same)
    assert accuracy_at(pairs, best) == max(accuracy_at(pairs, limit) for limit in candidates)


def test_the_threshold_lies_half_way() -> None:
    assert best_threshold(np.array([0.9, 0.2, 0.6], np.float32), np.array([1, 0, 1])) == pytest.approx(0.4)
    assert best_threshold(np.array([0.9, 0.2], np.float32), np.array([0, 0])) == np.inf
    assert best_threshold(np.array([0.9, 0.2], np.float32), np.array([1, 1])) == -np.inf


@pytest.mark.parametrize("ties", [False, True])
def test_accuracy_in_folds_equals_the_loop_of_lfw(ties: bool) -> None:
    system, other = random_pairs(1, ties=ties), random_pairs(1, ties=ties)
    other = scored(other.score * 0.5 - 2, other.same, other.fold)
    for tuned_on in (system, other):
        right = correct(system, tuned_on)
        for fold in range(10):
            outside = [i for i in range(200) if system.fold[i] != fold]
            limit = best_threshold(tuned_on.score[outside], tuned_on.same[outside])
            for i in set(range(200)) - set(outside):
                assert right[i] == ((system.score[i] > limit) == bool(system.same[i]))
    assert not np.array_equal(correct(system, system), correct(system, other))


def test_one_fold_is_judged_at_its_own_best_threshold() -> None:
    pairs = random_pairs(2, folds=1)
    assert correct(pairs, pairs).mean() == pytest.approx(accuracy_at(pairs, best_threshold(pairs.score, pairs.same)))


def test_a_perfect_system_is_always_right_and_a_reversed_one_is_not() -> None:
    same = np.tile([1, 0], 20)
    fold = np.arange(40) // 4
    assert correct(scored(same, same, fold), scored(same, same, fold)).all()
    assert correct(scored(-same, same, fold), scored(same, same, fold)).mean() == 0.5


def test_systems_with_other_pairs_are_not_compared() -> None:
    with pytest.raises(ValueError, match="the same pairs"):
        correct(random_pairs(0), random_pairs(3))


@pytest.mark.parametrize("seed", range(3))
def test_tar_equals_scikit_learn(seed: int) -> None:
    """Of the points of its ROC curve the one with the most genuine pairs at an allowed rate."""
    pairs = random_pairs(seed, 1000)
    rates = (0.29, 0.1, 0.01, 0.0)
    false, true, _ = roc_curve(pairs.same, pairs.score, drop_intermediate=False)
    for rate, accepted in zip(rates, accepted_same(pairs, pairs, rates), strict=True):
        assert accepted.mean() == pytest.approx(true[false <= rate * (1 + 1e-12)].max())


def test_a_transferred_threshold_is_that_of_the_other_system() -> None:
    old = scored([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0])
    new = scored([0.35, 0.45, 0.9, 0.0], [1, 1, 0, 0])
    assert accepted_same(new, old, [0.25])[0].tolist() == [True, True]  # above 0.3
    assert accepted_same(new, old, [0.0])[0].tolist() == [False, True]  # above 0.4


def test_scores_come_back_from_their_file(tmp_path) -> None:
    pairs = random_pairs(4)
    again = ScoredPairs.read(tmp_path, pairs.write(tmp_path))
    for name in ("score", "same", "fold"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pairs, name))
    with pytest.raises(RequestError, match="not readable"):
        ScoredPairs.read(tmp_path, "0" * 64)
