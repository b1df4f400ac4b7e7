"""Identities of per-query numbers, valid for every model: a changed or mixed-up array breaks them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.arrays import CUTOFFS, QueryResults
from compatbench.storage.coded_columns import LEVELS

ROUNDING = 1e-5
"""AP and AP@R are kept as float32, and were summed in float64."""
FIRST_OF_CODE = {5: 2, 10: 6}
"""The best rank that the rank of a leaderboard may stand for; ranks beyond 10 are 11 there."""


def broken_identities(results: QueryResults, *, coarse: bool = False, ordered: bool = True) -> Iterator[str]:
    """The broken identities of the arrays of one matrix entry, each in one line.

    With f the rank of the first relevant item and R the number of relevant ones (itself at rank f, the others
    anywhere behind it): 1/(f R) ≤ AP ≤ 1/R Σ_{i≤R} i/(f+i−1), AP@R ≤ AP, and AP@R > 0 exactly where f ≤ R. With
    one relevant item AP = 1/f. The hit rates are CMC@1 = R@1 = P@1 = mean(f = 1) and never fall with k.

    `coarse` results, those of a leaderboard, are off by a level, their ranks stand for several, and their AP@R are in
    no order: of them the bounds of AP hold with the loosest rank and one level more. Those in no order at all, by L2
    distance, have no such bounds: `ordered` is false.
    """
    asked, f, r = results.answerable, results.first_rank, results.relevant
    if len(np.unique(results.ids)) < len(results):
        yield "a query is there twice"
    if (r < 0).any() or (f < 0).any():
        yield "ranks and numbers of relevant items are never negative"
        return
    if ((f > 0) != asked).any():
        yield "a query has a first relevant item exactly where it has any"
        return
    ap, at_r = results.average_precision[asked].astype(np.float64), results.ap_at_r[asked].astype(np.float64)
    if np.isnan(ap).any() or np.isnan(at_r).any():
        yield "AP and AP@R are numbers wherever there is a relevant item"
        return
    if not (np.isnan(results.average_precision[~asked]).all() and np.isnan(results.ap_at_r[~asked]).all()):
        yield "AP and AP@R are undefined where nothing is relevant"
    if coarse:
        if not all(((one >= 0) & (one <= 1)).all() for one in (ap, at_r)):
            yield "AP and AP@R lie between 0 and 1"
        elif ordered and not _within_levels(results):
            yield "AP is out of the bounds that the first rank sets"
        return
    first, relevant = f[asked].astype(np.float64), r[asked].astype(np.float64)
    if (ap < 1 / (first * relevant) - ROUNDING).any() or (ap > _highest(first, relevant) + ROUNDING).any():
        yield "AP is out of the bounds that the first rank sets"
    if (at_r > ap + ROUNDING).any() or (at_r < 0).any():
        yield "AP@R lies between 0 and AP"
    if ((at_r > 0) != (first <= relevant)).any():
        yield "AP@R is above 0 exactly where the first relevant item is among the first R"
    yield from _broken_depths(results)
    hits = [float(results.hits(k)[asked].mean()) if asked.any() else 0.0 for k in CUTOFFS]
    if hits != sorted(hits):
        yield "hit rates never fall with k"


def _within_levels(results: QueryResults) -> bool:
    """Whether AP is within a level of the bounds of the loosest rank that each one may stand for."""
    asked = results.answerable
    ap, last, r = (
        one[asked].astype(np.float64) for one in (results.average_precision, results.first_rank, results.relevant)
    )
    first = last.copy()
    if results.ndcg_at_10 is None:  # else ranks up to 10 are kept one by one
        for code, best in FIRST_OF_CODE.items():
            first[last == code] = best
    lowest = np.where(last > 10, 0.0, 1 / (last * r))
    low, found, high = (_level(one) for one in (lowest, ap, _highest(first, r)))
    return bool(((found >= low - 1) & (found <= high + 1)).all())


def _level(shares: NDArray[np.float64]) -> NDArray[np.intp]:
    levels = LEVELS["share"]
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, shares)


def _broken_depths(results: QueryResults) -> Iterator[str]:
    """Of the numbers of the first 10 and 100 ranks, where they were measured."""
    asked, f, r = results.answerable, results.first_rank, results.relevant
    before = np.zeros_like(r)
    for depth, found in ((10, results.found_at_10), (100, results.found_at_100)):
        if found is None:
            continue
        if (found < before).any() or (found > np.minimum(r, depth)).any() or ((found > 0) != results.hits(depth)).any():
            yield f"the first {depth} hold a relevant item where the first rank says so, and no more than there are"
        before = found
    if results.ap_at_100 is not None:
        cut, ap = results.ap_at_100[asked].astype(np.float64), results.average_precision[asked].astype(np.float64)
        share = ap * np.maximum(1, r[asked] / 100)  # AP@100 leaves out what follows, and divides by no more than 100
        if not ((cut >= 0) & (cut <= np.minimum(share, 1) + ROUNDING) & ((cut > 0) == results.hits(100)[asked])).all():
            yield "AP@100 lies between 0 and AP · max(1, R/100), and is 0 without a relevant item in the first 100"
    if results.ndcg_at_10 is not None:
        ndcg = results.ndcg_at_10[asked]
        if not ((ndcg >= 0) & (ndcg <= 1 + ROUNDING) & ((ndcg > 0) | (f[asked] > 10))).all():
            yield "nDCG@10 lies between 0 and 1, and is above 0 where a relevant item is in the first 10"


def _highest(first: NDArray[np.float64], relevant: NDArray[np.float64]) -> NDArray[np.float64]:
    """AP with all other relevant items right behind the first: mean_i i/(f+i−1) = 1 − (f−1) mean_i 1/(f+i−1)."""
    from scipy.special import digamma

    highest: NDArray[np.float64] = 1 - (first - 1) * (digamma(first + relevant) - digamma(first)) / relevant
    return highest
