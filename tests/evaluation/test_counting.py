"""Counting irrelevant scores ahead of relevant ones, against comparing every pair."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.evaluation.counting import FLOOR, count_ahead

pytestmark = pytest.mark.usefixtures("way_to_count")


def assert_counts(scores: np.ndarray, relevant: np.ndarray, present: np.ndarray) -> None:
    """`relevant[b]` has `present[b]` scores, and FLOOR at other places."""
    for row, number in enumerate(present):
        relevant[row, np.random.default_rng(row).permutation(relevant.shape[1])[number:]] = FLOOR
    counts = count_ahead(torch.from_numpy(scores.copy()), torch.from_numpy(relevant.copy()))
    assert counts.dtype == torch.int32
    for row, number in enumerate(present):
        by_score = np.sort(relevant[row])[relevant.shape[1] - number :]
        expected = [int((scores[row] >= score).sum()) for score in by_score]
        assert counts[row, relevant.shape[1] - number :].tolist() == expected


@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 9),
    width=st.integers(1, 300),
    number=st.integers(1, 40),
    decimals=st.integers(0, 7),
    spread=st.sampled_from([1e-30, 1e-7, 1e-3, 1.0]),
    centre=st.sampled_from([-1.0, 0.0, 0.99]),
)
@settings(max_examples=150, deadline=None)
def test_counts_are_exact(
    seed: int, rows: int, width: int, number: int, decimals: int, spread: float, centre: float
) -> None:
    """Also where scores are tied with relevant ones, crowd together, or lie far outside of them."""
    rng = np.random.default_rng(seed)
    noise = np.clip(np.round(rng.normal(size=(rows, width)), decimals) * spread, -0.5, 0.5)
    scores = (centre + noise).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = FLOOR
    pool = np.concatenate([scores.ravel(), centre + np.clip(spread * rng.normal(size=50), -0.5, 0.5)])
    pool = pool[pool > FLOOR].astype(np.float32)
    relevant = rng.choice(pool, size=(rows, number))
    assert_counts(scores, relevant, rng.integers(0, number + 1, rows))


@pytest.mark.parametrize(("rows", "width", "number"), [(7, 70_000, 60), (600, 500, 3), (2, 64, 9000), (5000, 3, 2)])
def test_counts_are_exact_across_slabs(rows: int, width: int, number: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=0.2, size=(rows, width)).astype(np.float32)
    relevant = rng.choice(scores.ravel(), size=(rows, number))
    relevant[:, 0] = scores[:, 0]
    assert_counts(scores, relevant, np.full(rows, number))


def test_the_two_zeros_are_one_score() -> None:
    scores = torch.tensor([[-0.0, 0.0, 0.1, -0.1]])
    assert count_ahead(scores, torch.tensor([[0.0]])).tolist() == [[3]]
    assert count_ahead(scores, torch.tensor([[-0.0]])).tolist() == [[3]]


def test_neighbouring_floats_are_told_apart() -> None:
    for score in (1.5, 1.0, 0.3, 1e-38, 1e-45):
        value = np.float32(score)
        above, below = np.nextafter(value, np.float32(2)), np.nextafter(value, np.float32(-2))
        scores = torch.tensor([[above, value, below], [-above, -value, -below]])
        assert count_ahead(scores, torch.tensor([[value], [-value]])).tolist() == [[2], [2]]
