"""Counting scores that reach thresholds, against comparing every pair."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.evaluation.counting import FLOOR, count_reaching, sort_rows


def assert_counts(scores: np.ndarray, thresholds: np.ndarray, valid: np.ndarray) -> None:
    for row, number in enumerate(valid):
        thresholds[row, : thresholds.shape[1] - number] = FLOOR
    thresholds.sort(axis=1)
    counts = count_reaching(torch.from_numpy(scores.copy()), torch.from_numpy(thresholds), torch.from_numpy(valid))
    for row, number in enumerate(valid):
        chosen = thresholds[row, thresholds.shape[1] - number :]
        assert counts[row, thresholds.shape[1] - number :].tolist() == [int((scores[row] >= t).sum()) for t in chosen]


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
    """Also where scores are tied with thresholds, crowd together, or lie far outside of them."""
    rng = np.random.default_rng(seed)
    scores = (centre + np.round(rng.normal(size=(rows, width)), decimals) * spread).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = FLOOR
    pool = np.concatenate([scores.ravel(), np.float32(centre) + np.float32(spread) * rng.normal(size=50)])
    pool = pool[pool > FLOOR].astype(np.float32)
    thresholds = rng.choice(pool, size=(rows, number))
    assert_counts(scores, thresholds, rng.integers(0, number + 1, rows))


@pytest.mark.parametrize(("rows", "width", "number"), [(3, 70_000, 60), (600, 500, 3), (2, 64, 9000), (5000, 3, 2)])
def test_counts_are_exact_across_slabs(rows: int, width: int, number: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=0.2, size=(rows, width)).astype(np.float32)
    thresholds = rng.choice(scores.ravel(), size=(rows, number))
    thresholds[:, 0] = scores[:, 0]
    assert_counts(scores, thresholds, np.full(rows, number))


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_share_the_rows(threads: int) -> None:
    rng = np.random.default_rng(1)
    scores = torch.from_numpy(rng.normal(size=(7, 50)).astype(np.float32))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ordered = scores.clone()
        sort_rows(ordered)
        assert torch.equal(ordered, scores.sort(dim=1).values)
        assert_counts(scores.numpy(), rng.normal(size=(7, 4)).astype(np.float32), np.full(7, 4))
    finally:
        torch.set_num_threads(before)
