"""Who is fitted on is never scored; judgements are not lost to fitting; what is left out is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatbench.comparison.split import make_split
from compatbench.data.lists import Lists
from compatbench.errors import RequestError
from compatbench.evaluation.relevance import Relevance, by_label


def of_classes(labels: np.ndarray) -> Relevance:
    return by_label(labels, labels, np.arange(len(labels)))


def judged(lists: list[list[int]], items: int) -> Relevance:
    size = len(lists)
    return Relevance.of(Lists.of(lists), np.arange(size), np.full(size, -1), Lists.empty(size), items, by_label=False)


@given(
    classes=st.integers(1, 10),
    size=st.integers(20, 80),
    pairs=st.integers(1, 100),
    limit=st.integers(1, 100),
    seed=st.integers(0, 5),
)
def test_fitting_and_scored_items_never_meet(classes: int, size: int, pairs: int, limit: int, seed: int) -> None:
    labels = np.arange(size) % classes
    split = make_split(of_classes(labels), pairs, limit, seed)
    assert len(split.fit) == min(pairs, size // 2)
    assert sorted([*split.fit, *split.gallery]) == list(range(size))
    assert not set(split.queries) & set(split.fit)
    assert len(split.queries) == min(limit, split.counts.candidate_queries)
    assert split.counts.candidate_queries + split.counts.unanswerable_queries + split.counts.fitting_queries == size
    for query in split.queries:
        assert any(labels[item] == labels[query] and item != query for item in split.gallery)


def test_items_that_nobody_asks_for_are_fitted_on_first() -> None:
    """40 documents, of which 3 queries ask for 25 to 29: half are fitted on, and none of the five is among them."""
    rows = np.array([25, 26, 27, 28, 29])
    relevance = judged([[25, 26], [27, 28], [29]], 40)
    for seed in range(5):
        split = make_split(relevance, 100, 100, seed)
        assert len(split.fit) == 20
        assert not set(rows) & set(split.fit)
        assert sorted(split.queries) == [0, 1, 2]


def test_where_all_items_are_asked_for_those_fitted_on_are_searched_too() -> None:
    split = make_split(judged([[item] for item in range(20)], 25), 100, 100, 0)
    counts = split.counts
    assert (len(split.fit), counts.candidate_queries, counts.unanswerable_queries) == (12, 20, 0)
    assert set(range(20)) <= set(split.gallery)
    assert counts.searched_fitting_items == len(set(split.fit) & set(split.gallery)) == 7
    assert len(split.gallery) == counts.searched_items == 20
    itself = replace(judged([[(item + 1) % 20] for item in range(20)], 20), own=np.arange(20))
    assert make_split(itself, 100, 100, 0).counts.searched_fitting_items == 0  # a query is an item that is fitted on


def test_the_same_seed_gives_the_same_split() -> None:
    relevance = of_classes(np.arange(200) % 5)
    first, again, other = (make_split(relevance, 50, 30, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.fit, again.fit)
    assert np.array_equal(first.queries, again.queries)
    assert not np.array_equal(first.fit, other.fit)


def test_too_little_is_refused() -> None:
    with pytest.raises(RequestError, match="19 items are too few"):
        make_split(of_classes(np.zeros(19, dtype=int)), 5, 5, 0)
    with pytest.raises(RequestError, match="no query has a relevant item"):
        make_split(of_classes(np.arange(30)), 5, 5, 0)
