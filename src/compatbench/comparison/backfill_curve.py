"""Retrieval while items are re-embedded: one list from stored old and new vectors, at some shares, in some orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.comparison.backfill_tables import RANK_MERGE
from compatbench.comparison.comparison import FULL_BACKFILL, STATUS_QUO, CurvePoint, MixedCurve
from compatbench.comparison.fitting import Fit
from compatbench.comparison.inputs import PairedItems
from compatbench.comparison.systems import self_test
from compatbench.data.vectors.pairing import Rows
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.means import Means
from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.scoring import Chunks, MixedSystem, System, score
from compatbench.generations.adapters import FittedAdapter
from compatbench.machine.seeds import stream_seed
from compatbench.vocabulary import MetricName, Order

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Of the searched items, re-embedded."""
QUERIES, PAIRS = 500, 2**28
"""At most so many of the first queries, and of their pairs with the searched items, are followed."""

_CHUNK_ITEMS = 2**14
_BLOCK_SCORES = 2**24


@dataclass(frozen=True, eq=False)
class Searched:
    """What the curves are measured on."""

    systems: Mapping[str, System]
    chunks: Chunks
    """Passes over the items, in the versions that the systems search."""
    ids: NDArray[np.int64]
    relevance: Relevance
    gallery: PairedItems
    rows: Rows
    """The searched items, or documents."""
    metric: MetricName
    seed: int
    results: Mapping[str, QueryResults]
    """Of the systems before and after the backfill, on all queries."""


def backfill_curves(searched: Searched, adapter: Fit | None) -> list[MixedCurve]:
    """Curves of both encoders online, and of queries mapped by an adapter in random order and in its own.

    `rank merge`: old queries search what still holds old vectors, new queries what holds new ones. With the adapter new
    queries, mapped, search the former. The scores of both are ranked in one list.
    """
    shuffled = np.random.default_rng(stream_seed(searched.seed, "compare", "backfill")).permutation(len(searched.rows))
    orders = {Order.RANDOM: shuffled}
    found = _follow(searched, "", orders)
    if adapter is not None and adapter.adapter is not None:
        if adapter.adapter.maps.order is not None and searched.gallery.documents is None:
            orders[Order.OWN] = _own_order(searched, adapter.adapter)
        found += _follow(searched, adapter.plugin.name, orders)
    return found


def _own_order(searched: Searched, adapter: FittedAdapter) -> Rows:
    """(N,) positions among the searched items, the first to re-embed first."""
    scores = [
        adapter.order(searched.gallery.old_vectors(searched.rows[begin : begin + _CHUNK_ITEMS]))
        for begin in range(0, len(searched.rows), _CHUNK_ITEMS)
    ]
    return np.argsort(-torch.cat(scores).double().numpy(), kind="stable")


def _follow(searched: Searched, name: str, orders: Mapping[Order, Rows]) -> list[MixedCurve]:
    """By the adapter `name`, if any: a curve for each order of positions, the first to re-embed first."""
    size = len(searched.rows)
    before, after = (name, self_test(name)) if name else (STATUS_QUO, FULL_BACKFILL)
    after = after if after in searched.systems else FULL_BACKFILL
    followed = np.arange(min(len(searched.ids), QUERIES, max(1, PAIRS // size)))
    stored, renewed = (
        System(searched.systems[one].queries[: len(followed)], searched.systems[one].gallery) for one in (before, after)
    )
    mixed = {}
    for order, positions in orders.items():
        place = np.empty(size, dtype=np.intp)
        place[positions] = np.arange(size)
        for share in SHARES[1:-1]:
            mixed[f"{order} {share}"] = MixedSystem(stored, renewed, place < round(share * size))
    members = searched.gallery.documents
    between = score(
        mixed,
        searched.chunks,
        searched.relevance[followed],
        searched.ids[followed],
        chunk_items=_CHUNK_ITEMS,
        block_scores=_BLOCK_SCORES,
        members=None if members is None else members.sizes(searched.rows),
    )
    at_ends = {
        share: searched.results[one].per_query(searched.metric)[: len(followed)]
        for share, one in zip((SHARES[0], SHARES[-1]), (before, after), strict=True)
    }
    curves = []
    for order in orders:
        values = {share: between[f"{order} {share}"].per_query(searched.metric) for share in SHARES[1:-1]}
        means = Means(values | at_ends)
        points = [CurvePoint(share=share, value=means.mean(share)) for share in SHARES]
        curves.append(MixedCurve(serving=name or RANK_MERGE, order=order, queries=len(followed), points=points))
    return curves
