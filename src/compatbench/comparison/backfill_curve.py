"""Retrieval while items are re-embedded: one list from stored old and new vectors, at some shares, in some orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compatbench.comparison.backfill_tables import RANK_MERGE
from compatbench.comparison.comparison import FULL_BACKFILL, STATUS_QUO, CurvePoint, MixedCurve
from compatbench.comparison.fitting import Fit
from compatbench.comparison.inputs import PairedItems
from compatbench.comparison.systems import Sides, self_test, sized
from compatbench.data.vectors.pairing import Rows
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.means import Means
from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.scoring import Chunks, System, score
from compatbench.evaluation.similarity import Ranking
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

    queries: Sides
    ids: NDArray[np.int64]
    relevance: Relevance
    gallery: PairedItems
    rows: Rows
    """The searched items, or documents."""
    ranking: Ranking
    usual_length: float
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
    found = [_follow(searched, None, "", Order.RANDOM, shuffled)]
    if adapter is not None and adapter.adapter is not None:
        name, fitted = adapter.plugin.name, adapter.adapter
        found.append(_follow(searched, fitted, name, Order.RANDOM, shuffled))
        if fitted.maps.order is not None and searched.gallery.documents is None:
            found.append(_follow(searched, fitted, name, Order.OWN, _own_order(searched, fitted)))
    return found


def _own_order(searched: Searched, adapter: FittedAdapter) -> Rows:
    """(N,) positions among the searched items, the first to re-embed first."""
    scores = [
        adapter.order(searched.gallery.old_vectors(searched.rows[begin : begin + _CHUNK_ITEMS]))
        for begin in range(0, len(searched.rows), _CHUNK_ITEMS)
    ]
    return np.argsort(-torch.cat(scores).double().numpy(), kind="stable")


def _follow(searched: Searched, adapter: FittedAdapter | None, name: str, order: Order, positions: Rows) -> MixedCurve:
    size = len(positions)
    followed = np.arange(min(len(searched.ids), QUERIES, max(1, PAIRS // size)))
    place = np.empty(size, dtype=np.intp)
    place[positions] = np.arange(size)
    queries = _queries(searched, adapter, followed)
    relevance, ids = searched.relevance[followed], searched.ids[followed]
    renewed = {f"{share:g}": place < round(share * size) for share in SHARES[1:-1]}
    members = searched.gallery.documents
    between = score(
        {share: System(queries, share) for share in renewed},
        _mixed(searched, adapter, renewed),
        relevance,
        ids,
        chunk_items=_CHUNK_ITEMS,
        block_scores=_BLOCK_SCORES,
        members=None if members is None else members.sizes(searched.rows),
    )
    before, after = (name, self_test(name)) if name else (STATUS_QUO, FULL_BACKFILL)
    ends = searched.results[before], searched.results[after if after in searched.results else FULL_BACKFILL]
    values = {float(share): one.per_query(searched.metric) for share, one in between.items()}
    values |= {
        share: one.per_query(searched.metric)[: len(followed)]
        for share, one in zip((SHARES[0], SHARES[-1]), ends, strict=True)
    }
    means = Means(values)
    points = [CurvePoint(share=share, value=means.mean(share)) for share in SHARES]
    return MixedCurve(serving=name or RANK_MERGE, order=order, queries=len(followed), points=points)


def _queries(searched: Searched, adapter: FittedAdapter | None, rows: Rows) -> Tensor:
    """(Q, D_o' + D_n'): what searches old vectors, beside what searches new ones."""
    some = torch.from_numpy(rows)
    new, old = searched.queries.new[some], searched.queries.old[some]
    new_lengths, old_lengths = searched.queries.new_lengths[some], searched.queries.old_lengths[some]
    if adapter is None:
        sides = (old, old_lengths), (new, new_lengths)
    else:
        usual = torch.full((len(rows),), searched.usual_length)
        sides = (adapter.query(new, old), usual), (adapter.new(new, old), new_lengths)
    ranking = searched.ranking
    return torch.cat([ranking.query(sized(*side, ranking.similarity)) for side in sides], dim=1)


def _mixed(searched: Searched, adapter: FittedAdapter | None, renewed: Mapping[str, NDArray[np.bool_]]) -> Chunks:
    """Passes over the items: each with its old or its new vector, and zeros in the place of the other."""

    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        gallery, rows = searched.gallery, searched.rows
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            sides = Sides.of(gallery, gallery.rows_of(part))
            old, new = sides.old, sides.new
            if adapter is not None:
                old, new = adapter.gallery(old), adapter.new(new, sides.old)
            both = (old, sides.old_lengths), (new, sides.new_lengths)
            stored = [searched.ranking.gallery(sized(*side, searched.ranking.similarity)) for side in both]
            versions = {}
            for share, flags in renewed.items():
                is_new = torch.from_numpy(_of_vectors(gallery, part, flags[begin : begin + size]))[:, None]
                versions[share] = torch.cat((~is_new * stored[0], is_new * stored[1]), dim=1)
            yield versions

    return chunks


def _of_vectors(gallery: PairedItems, documents: Rows, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return flags if gallery.documents is None else np.repeat(flags, gallery.documents.sizes(documents))
