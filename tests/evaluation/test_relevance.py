"""Where queries find their relevant items, against the definition pair by pair."""

import numpy as np
import pytest

from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists
from compatbench.evaluation import relevance as module
from compatbench.evaluation.relevance import Relevance, order_and_relevance


def expected(relevance: Relevance, pairs: np.ndarray, hidden: np.ndarray, width: int) -> None:
    """Relevant and hidden pairs (Q, N) are those that the chunks name, and no place is taken twice."""
    size = relevance.items
    named, out = np.zeros(pairs.shape, dtype=int), np.zeros(pairs.shape, dtype=bool)
    places = np.zeros((len(pairs), relevance.widest), dtype=int)
    for first in range(0, size, width):
        last = min(first + width, size)
        for rows, columns, place in relevance.relevant(first, last):
            named[:, first:last][rows, columns] += 1
            places[rows, place] += 1
        out[:, first:last][relevance.hidden(first, last)] = True
    assert places.max() <= 1
    assert np.array_equal(out, hidden)
    assert np.array_equal(named == 1, pairs | ((named == 1) & hidden))
    assert relevance.count.tolist() == pairs.sum(axis=1).tolist()
    assert relevance.irrelevant.tolist() == (~pairs & ~hidden).sum(axis=1).tolist()
    listed = np.flatnonzero(named.any(axis=0))
    assert relevance.span == ((listed[0], listed[-1] + 1) if len(listed) else (0, 0))
    some = np.arange(len(pairs))[::2]
    assert relevance.columns_of(some).tolist() == np.flatnonzero(named[some].any(axis=0)).tolist()


@pytest.mark.parametrize("sliced", [1, 1024])
@pytest.mark.parametrize("width", [1000, 17])
def test_by_label(monkeypatch: pytest.MonkeyPatch, sliced: int, width: int) -> None:
    monkeypatch.setattr(module, "_SLICED", sliced)
    rng = np.random.default_rng(0)
    labels, ids, asked, names = rng.integers(0, 5, 60), rng.permutation(90)[:60], rng.integers(0, 7, 40), np.arange(40)
    order, whole = order_and_relevance((asked, names), (labels, ids), None)
    own = names[:, None] == ids[order]
    same = (asked[:, None] == labels[order]) & ~own
    expected(whole, same, own, width)
    rows = np.argsort(whole.group, kind="stable")[5:25]
    expected(whole[rows], same[rows], own[rows], width)
    kept, some = np.arange(0, 60, 3), np.array([7, 3, 3, 39])
    expected(whole.among(kept, some), same[np.ix_(some, kept)], own[np.ix_(some, kept)], width)


@pytest.mark.parametrize("width", [1000, 17])
def test_by_judgement(width: int) -> None:
    rng = np.random.default_rng(1)
    ids, names = rng.permutation(90)[:60], rng.permutation(40)
    lists = [rng.permutation(90)[: rng.integers(0, 20)] for _ in range(40)]
    judgements = Judgements(
        np.arange(40), Lists.of([one[::2] for one in lists]), Lists.of([one[1::2] for one in lists])
    )
    order, whole = order_and_relevance((names * 0, names), (ids * 0, ids), judgements)
    assert order.tolist() == list(range(60))
    own = names[:, None] == ids
    relevant = np.array([np.isin(ids, lists[name][::2]) for name in names]) & ~own
    hidden = np.array([np.isin(ids, lists[name][1::2]) for name in names]) | own
    expected(whole, relevant, hidden, width)
    kept, some = np.arange(0, 60, 3), np.array([7, 3, 39])
    expected(whole.among(kept, some), relevant[np.ix_(some, kept)], hidden[np.ix_(some, kept)], width)
