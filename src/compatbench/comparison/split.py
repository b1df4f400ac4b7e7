"""Separates the items for fitting from the queries and items for scoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compatbench.comparison.comparison import Parts
from compatbench.data.vectors.pairing import Rows
from compatbench.errors import RequestError
from compatbench.evaluation.relevance import Relevance
from compatbench.vocabulary import FitOn

FEWEST_ITEMS = 20


@dataclass(frozen=True, eq=False)
class FitSplit:
    """Rows of the gallery's and of the queries' tables."""

    fit: Rows
    """Gallery items that adapters are fitted on; they are no part of the gallery that is searched."""
    fit_queries: Rows
    """Queries that adapters are fitted on; they are not scored."""
    gallery: Rows
    """The other items, ascending as drawn."""
    queries: Rows
    """Queries that are scored, in random order."""
    counts: Parts
    """Of these, and of the queries that were left out."""


def make_split(
    relevance: Relevance, fit_pairs: int, query_limit: int, seed: int, fit_on: FitOn = FitOn.DOCUMENTS
) -> FitSplit:
    """Draw at most `fit_pairs` items to fit on, at most half of all, and at most `query_limit` queries.

    Items that are relevant to no query go to the fitting part first, so that judgements, which are few, are not lost.
    Where these are too few, relevant items are fitted on too, and stay in the gallery, so that the numbers are over all
    judgements, if queries are not items themselves. By class every item is alike. With `fit_on` "queries" at most half
    of these are fitted on instead, and with "both" some of each. Raises RequestError where too little is left.
    """
    size = relevance.items
    if size < FEWEST_ITEMS:
        raise RequestError(f"{size} items are too few to fit on one half and search the other; give {FEWEST_ITEMS}")
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(size)
    if not relevance.by_label:
        asked_for = np.zeros(size, dtype=np.bool_)
        asked_for[relevance.listed.values] = True
        shuffled = shuffled[np.argsort(asked_for[shuffled], kind="stable")]
    wanted = {FitOn.DOCUMENTS: fit_pairs, FitOn.QUERIES: 0, FitOn.BOTH: (fit_pairs + 1) // 2}[fit_on]
    fit = np.sort(shuffled[: min(wanted, size // 2)])
    fit_queries = _queries_to_fit(relevance, fit_pairs - wanted, seed)
    kept = np.ones(size, dtype=np.bool_)
    kept[fit] = False
    searched_too = _judged_of(relevance, fit, fit_queries)
    kept[searched_too] = True
    kept[relevance.own[fit_queries][relevance.own[fit_queries] >= 0]] = False  # the same items
    fitted = (relevance.own >= 0) & ~kept[relevance.own]
    fitted[fit_queries] = True
    answerable = relevance.among(np.flatnonzero(kept), np.arange(len(relevance))).count > 0
    candidates = np.flatnonzero(answerable & ~fitted)
    if not len(candidates):
        raise RequestError(
            "no query has a relevant item among those that are searched: check that labels or judgements belong to "
            "these files, or give more items of each class"
        )
    gallery, queries = np.flatnonzero(kept), generator.permutation(candidates)[:query_limit]
    counts = Parts(
        searched_fitting_items=len(searched_too),
        fitting_pairs=len(fit) + len(fit_queries),
        fitting_pairs_of_queries=len(fit_queries),
        searched_items=len(gallery),
        queries=len(queries),
        candidate_queries=len(candidates),
        unanswerable_queries=int((~answerable & ~fitted).sum()),
        fitting_queries=int(fitted.sum()),
    )
    return FitSplit(fit, fit_queries, gallery, queries, counts)


def _judged_of(relevance: Relevance, fit: Rows, fit_queries: Rows) -> Rows:
    """Those of the fitting items that are relevant to a query; none by class, or where queries are items."""
    if relevance.by_label or (relevance.own >= 0).any():
        return fit[:0]
    asked = np.ones(len(relevance), dtype=np.bool_)
    asked[fit_queries] = False
    return np.intersect1d(fit, relevance.listed.take(relevance.group[asked]).values)


def _queries_to_fit(relevance: Relevance, most: int, seed: int) -> Rows:
    """At most half of the queries, from a stream of their own, so that the items drawn do not depend on them."""
    if most <= 0:
        return np.empty(0, dtype=np.intp)
    if len(relevance) < FEWEST_ITEMS:
        raise RequestError(f"{len(relevance)} queries are too few to fit on half of them; give {FEWEST_ITEMS}")
    shuffled = np.random.default_rng([seed, 1]).permutation(len(relevance))
    return np.sort(shuffled[: min(most, len(relevance) // 2)])
