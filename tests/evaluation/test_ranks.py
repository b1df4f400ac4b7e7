"""The numbers of ranked relevant items, against a walk down each ranking and a hand-computed one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.evaluation.ranks import rank_numbers

Rankings = list[list[bool]]


def ahead_of(rankings: Rankings, room: int) -> tuple[torch.Tensor, np.ndarray]:
    """Counts (B, room) as `rank_numbers` takes them, with senseless ones where a ranking has fewer relevant items."""
    ahead = torch.full((len(rankings), room), 7)
    for row, ranking in enumerate(rankings):
        places = [place for place, relevant in enumerate(ranking) if relevant]
        for found, place in enumerate(places):
            ahead[row, room - 1 - found] = place - found
    return ahead, np.array([sum(ranking) for ranking in rankings])


def walked(ranking: list[bool]) -> tuple[float, float, float]:
    """AP, AP@R and trapezoidal AP, item by item down the ranking."""
    total = sum(ranking)
    found, ap, ap_at_r, area, precision_before = 0, 0.0, 0.0, 0.0, 1.0
    for rank, relevant in enumerate(ranking, start=1):
        found += relevant
        if relevant:
            ap += found / rank / total
            ap_at_r += found / rank / total if rank <= total else 0
            area += (precision_before + found / rank) / 2 / total
        precision_before = found / rank
    return ap, ap_at_r, area


@given(rankings=st.lists(st.lists(st.booleans(), min_size=1, max_size=30).filter(any), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_numbers_are_those_of_a_walk_down_the_ranking(rankings: Rankings) -> None:
    ahead, relevant = ahead_of(rankings, room=30)
    first_rank, ap, ap_at_r = rank_numbers(ahead, relevant).values()
    area = rank_numbers(ahead, relevant, trapezoid=True)["average_precision"]
    assert first_rank.tolist() == [ranking.index(True) + 1 for ranking in rankings]
    expected = np.array([walked(ranking) for ranking in rankings])
    np.testing.assert_allclose(np.stack((ap, ap_at_r, area), axis=1), expected, rtol=1e-6)


def test_numbers_by_hand() -> None:
    ahead = torch.tensor([[3, 1, 0]], dtype=torch.int32)  # relevant items at ranks 1, 3 and 6
    first_rank, ap, ap_at_r = rank_numbers(ahead, np.array([3])).values()
    assert first_rank.tolist() == [1]
    assert ap[0] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert ap_at_r[0] == pytest.approx((1 + 2 / 3) / 3)
    area = rank_numbers(ahead, np.array([3]), trapezoid=True)["average_precision"][0]
    assert area == pytest.approx(((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 5 + 3 / 6) / 2) / 3)


def test_numbers_of_the_first_ranks_by_hand() -> None:
    ahead = torch.tensor([[150, 3, 1, 0]])  # relevant items at ranks 1, 3, 6 and 154
    found = rank_numbers(ahead, np.array([4]), cut=True, grades=torch.tensor([[9.0, 1.0, 3.0, 2.0]]))
    assert found["ap_at_100"][0] == pytest.approx((1 + 2 / 3 + 3 / 6) / 4)
    assert (found["found_at_10"][0], found["found_at_100"][0]) == (3, 3)
    gained = 2 / np.log2(2) + 3 / np.log2(4) + 1 / np.log2(7)
    best = 9 / np.log2(2) + 3 / np.log2(3) + 2 / np.log2(4) + 1 / np.log2(5)
    assert found["ndcg_at_10"][0] == pytest.approx(gained / best)


def test_of_more_than_100_relevant_items_the_first_100_are_all_that_can_be_found() -> None:
    found = rank_numbers(torch.zeros(1, 250), np.array([250]), cut=True, grades=torch.ones(1, 250))
    assert found["ap_at_100"].tolist() == [1.0]
    assert (found["found_at_10"][0], found["found_at_100"][0], found["ndcg_at_10"][0]) == (10, 100, 1.0)


def test_a_query_without_relevant_items_has_no_precision() -> None:
    for trapezoid in (False, True):
        found = rank_numbers(torch.tensor([[5, 2]]), np.array([0]), trapezoid=trapezoid)
        first_rank, ap, ap_at_r = found.values()
        assert first_rank.tolist() == [0]
        assert np.isnan([ap[0], ap_at_r[0]]).all()
        assert (first_rank.dtype, ap.dtype, ap_at_r.dtype) == (np.int32, np.float32, np.float32)
