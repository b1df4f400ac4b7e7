"""Identities of per-query numbers, valid for every model: a changed or mixed-up array breaks them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.arrays import CUTOFFS, QueryResults
from compatbench.evaluation.grouped_results import GroupedResults, Results
from compatbench.storage.group_sums import PARTS
from compatbench.vocabulary import MetricName

ROUNDING = 1e-5
"""AP and AP@R are kept as float32, and were summed in float64."""


def broken_identities(results: Results) -> Iterator[str]:
    """The broken identities of the arrays of one matrix entry, each in one line.

    With f the rank of the first relevant item and R the number of relevant ones (itself at rank f, the others
    anywhere behind it): 1/(f R) ≤ AP ≤ 1/R Σ_{i≤R} i/(f+i−1), AP@R ≤ AP, and AP@R > 0 exactly where f ≤ R. With
    one relevant item AP = 1/f. The hit rates are CMC@1 = R@1 = P@1 = mean(f = 1) and never fall with k.

    Sums over groups have the bounds of their queries' sums, with the loosest rank that the hits leave.
    """
    ascending = np.sort(results.ids)
    if (ascending[1:] == ascending[:-1]).any():
        yield "a query is there twice"
    if isinstance(results, GroupedResults):
        yield from _broken_sums(results)
        return
    asked, f, r = results.answerable, results.first_rank, results.relevant
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


def _broken_sums(results: GroupedResults) -> Iterator[str]:
    n, sums = results.sizes, results.sums
    hits = [sums[name] for k in CUTOFFS if (name := f"CMC@{k}") in sums]
    shares = [one for name, one in sums.items() if name != "relevant"]
    if any((one < 0).any() or (one > n).any() for one in shares):
        yield "sums of shares lie between 0 and the number of queries"
    if any((more < fewer).any() for fewer, more in pairwise(hits)):
        yield "hit rates never fall with k"
    if "relevant" not in sums or len(hits) < len(CUTOFFS) or MetricName.MAP_AT_R not in sums:
        return
    ap, relevant = sums[MetricName.MAP], sums["relevant"]
    if (relevant < n).any():
        yield "every query of a group has a relevant item"
        return
    if sums[MetricName.MAP_AT_R].sum() > ap.sum() + 1 / PARTS:
        yield "AP@R is no more than AP"
    most = relevant - n + 1  # relevant items that one query of the group may have
    parts = [*np.diff([np.zeros(len(n)), *hits], axis=0), n - hits[-1]]  # queries by the kind of their first rank
    first, last = (1, *(k + 1 for k in CUTOFFS)), (*CUTOFFS, np.inf)
    highest = sum(part * _highest(np.full(len(n), float(rank)), most) for part, rank in zip(parts, first, strict=True))
    lowest = sum(part / (rank * most) for part, rank in zip(parts, last, strict=True))
    if (ap < lowest - 2 / PARTS).any() or (ap > highest + 2 / PARTS).any():
        yield "AP is out of the bounds that the hits set"


def _highest(first: NDArray[np.float64], relevant: NDArray[np.float64]) -> NDArray[np.float64]:
    """AP with all other relevant items right behind the first: mean_i i/(f+i−1) = 1 − (f−1) mean_i 1/(f+i−1)."""
    from scipy.special import digamma

    highest: NDArray[np.float64] = 1 - (first - 1) * (digamma(first + relevant) - digamma(first)) / relevant
    return highest
