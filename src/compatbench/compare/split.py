"""Separates the items for fitting from the queries and items for scoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compatbench.compare.comparison import Parts
from compatbench.compare.rows import Rows
from compatbench.errors import RequestError
from compatbench.evaluation.relevance import Relevance

FEWEST_ITEMS = 20


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the gallery's and of the queries' tables."""

    fit: Rows
    """Gallery items that adapters are fitted on; they are no part of the gallery that is searched."""
    gallery: Rows
    """The other items, ascending."""
    queries: Rows
    """Queries that are scored, in random order."""
    counts: Parts
    """Of these, and of the queries that were left out."""


def make_split(relevance: Relevance, fit_pairs: int, query_limit: int, seed: int) -> Split:
    """Draw at most `fit_pairs` items to fit on, at most half of all, and at most `query_limit` queries.

    Items that are relevant to no query go to the fitting part first, so that judgements, which are few, are not lost.
    By class every item is alike. Raises RequestError where too little is left.
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
    fit = np.sort(shuffled[: min(fit_pairs, size // 2)])
    kept = np.ones(size, dtype=np.bool_)
    kept[fit] = False
    fitted = (relevance.own >= 0) & ~kept[relevance.own]
    answerable = relevance.among(np.flatnonzero(kept), np.arange(len(relevance))).count > 0
    candidates = np.flatnonzero(answerable & ~fitted)
    if not len(candidates):
        raise RequestError(
            "no query has a relevant item among those that are searched: check that labels or judgements belong to "
            "these files, or give more items of each class"
        )
    gallery, queries = np.flatnonzero(kept), generator.permutation(candidates)[:query_limit]
    counts = Parts(
        fitting_pairs=len(fit),
        searched_items=len(gallery),
        queries=len(queries),
        candidate_queries=len(candidates),
        unanswerable_queries=int((~answerable & ~fitted).sum()),
        fitting_queries=int(fitted.sum()),
    )
    return Split(fit, gallery, queries, counts)
