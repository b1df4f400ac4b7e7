"""Exact retrieval scoring of several systems while one gallery passes by: it may be larger than the memory.

The gallery comes in chunks, twice: the first pass takes the scores of each query's relevant items, the second counts
the irrelevant items that score as high or higher. Every system sees each chunk through its own map, so that a chunk is
read and mapped once for all of them. Numbers, masking and ties are those of `retrieval.evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from compatbench.evaluation.acceptance import Acceptance, supported_rates
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.counting import FLOOR, count_ahead
from compatbench.evaluation.ranks import rank_numbers
from compatbench.evaluation.retrieval import COLUMN_TILE, ROW_TILE, full_float32
from compatbench.evaluation.verification import ImpostorScores

CHUNK_ITEMS = 2**14, 2**17
"""Gallery items scored at once: few, or as many as a query has relevant ones, but no more than this."""
BLOCK_QUERIES = 2048
BLOCK_BYTES = 2**29
"""What the relevant items' scores and counts of a block of queries may take, over all systems."""
VERIFIED_QUERIES, VERIFIED_PAIRS = 1000, 2**27
"""At most so many of the first queries, and of their pairs with the whole gallery, are looked at for thresholds."""

Rows = NDArray[np.intp]

Chunks = Callable[[int], Iterator[Mapping[str, Tensor]]]
"""Begins a pass over the gallery in chunks of so many items, the last one smaller.

A chunk is the vectors (n, D) of each version of the gallery, by name and of unit length.
"""


@dataclass(frozen=True, eq=False)
class Relevant:
    """Which gallery items are relevant to which of Q queries; queries of one group share them."""

    groups: Sequence[Rows]
    """Positions in the gallery, ascending, for each group."""
    group: Rows
    """(Q,)"""
    own: Rows
    """(Q,) position of the query itself in the gallery, which never counts; −1 where it is not there."""
    items: int
    """N."""

    @cached_property
    def own_place(self) -> Rows:
        """(Q,) where the query itself stands among its relevant items; −1 where it does not."""
        places = np.full(len(self.group), -1, dtype=np.intp)
        for query, (group, own) in enumerate(zip(self.group, self.own, strict=True)):
            rows = self.groups[group]
            place = np.searchsorted(rows, own)
            if own >= 0 and place < len(rows) and rows[place] == own:
                places[query] = place
        return places

    @property
    def widest(self) -> int:
        """The most relevant items that a query has, at least 1."""
        return max([1, *(len(self.groups[group]) for group in np.unique(self.group))])

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """(Q,) relevant items of each query, itself left out."""
        sizes = np.array([len(rows) for rows in self.groups], dtype=np.int64)
        return sizes[self.group] - (self.own_place >= 0)

    def __getitem__(self, queries: slice) -> Relevant:
        return Relevant(self.groups, self.group[queries], self.own[queries], self.items)


@dataclass(frozen=True)
class System:
    """Queries, and the version of the gallery that they search."""

    queries: Tensor
    """(Q, D), of unit length."""
    gallery: str


@dataclass(frozen=True)
class Scored:
    """What one system scored."""

    results: QueryResults
    own_threshold: Mapping[float, Acceptance]
    """Over the verified queries, by false accept rate: at the system's own threshold for it."""
    transferred: Mapping[float, Acceptance]
    """The same at the reference system's threshold."""


def score(
    systems: Mapping[str, System],
    chunks: Chunks,
    relevant: Relevant,
    ids: NDArray[np.int64],
    reference: str,
    device: torch.device | None = None,
) -> dict[str, Scored]:
    """Score every system; `ids` (Q,) name the queries, and `reference` is the system whose thresholds are transferred.

    Thresholds are read from the first queries, at most VERIFIED_QUERIES that make at most VERIFIED_PAIRS.
    """
    room = BLOCK_BYTES // (8 * len(systems) * relevant.widest) // ROW_TILE * ROW_TILE
    height = max(ROW_TILE, min(BLOCK_QUERIES, room))
    verified = min(height, len(ids), VERIFIED_QUERIES, max(1, VERIFIED_PAIRS // relevant.items))
    blocks = []
    limits: dict[str, dict[float, float]] = {}
    with torch.no_grad(), full_float32(device or torch.device("cpu")):
        for begin in range(0, len(ids), height):
            rows = slice(begin, begin + height)
            block = _Block(
                {name: system.queries[rows] for name, system in systems.items()},
                {name: system.gallery for name, system in systems.items()},
                relevant[rows],
                chunks,
                verified if begin == 0 else 0,
                device or torch.device("cpu"),
            )
            limits = block.find_relevant() or limits
            block.count(limits, reference)
            blocks.append(block)
    return {name: _joined(name, blocks, ids, relevant, verified) for name in systems}


class _Block:
    """Some queries of every system, for two passes over the gallery."""

    def __init__(
        self,
        queries: Mapping[str, Tensor],
        galleries: Mapping[str, str],
        relevant: Relevant,
        chunks: Chunks,
        verified: int,
        device: torch.device,
    ) -> None:
        self.size = len(relevant.group)
        self.galleries, self.relevant, self.chunks, self.verified, self.device = (
            galleries, relevant, chunks, verified, device,
        )  # fmt: skip
        padding = -self.size % ROW_TILE
        self.queries = {name: F.pad(one.to(device), (0, 0, 0, padding)) for name, one in queries.items()}
        widest = relevant.widest
        fewest, most = CHUNK_ITEMS
        self.width = -(-min(relevant.items, most, max(fewest, widest)) // COLUMN_TILE) * COLUMN_TILE
        self.positives = {name: torch.full((self.size, widest), FLOOR, device=device) for name in queries}
        self.ahead = {name: torch.zeros((self.size, widest), dtype=torch.int32, device=device) for name in queries}
        self.accepted: dict[tuple[str, str, float], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.rates = supported_rates(int(self.impostors[:verified].sum()))

    @property
    def impostors(self) -> NDArray[np.int64]:
        """(B,) irrelevant items of each query, itself left out."""
        counts: NDArray[np.int64] = self.relevant.items - self.relevant.count - (self.relevant.own >= 0)
        return counts

    def find_relevant(self) -> dict[str, dict[float, float]]:
        """First pass: scores of the relevant items; thresholds by system and rate, where some queries are verified."""
        pairs = int(self.impostors[: self.verified].sum())
        highest = {name: ImpostorScores(pairs, self.rates) for name in self.queries}
        for places, scores in self._passes():
            for name, product in scores:
                self.positives[name][places.rows, places.within] = product[places.rows, places.columns]
                if self.rates:
                    places.mask(product)
                    highest[name].add(product[: self.verified].cpu().numpy())
        own = self.relevant.own_place
        inside = torch.from_numpy(np.flatnonzero(own >= 0)).to(self.device)
        for positives in self.positives.values():
            positives[inside, torch.from_numpy(own[own >= 0]).to(self.device)] = FLOOR
        return (
            {name: dict(zip(self.rates, scores.thresholds(), strict=True)) for name, scores in highest.items()}
            if self.verified
            else {}
        )

    def count(self, limits: Mapping[str, Mapping[float, float]], reference: str) -> None:
        """Second pass: irrelevant items ahead of each relevant one, and what is accepted at the thresholds."""
        asked = {
            name: {("own", rate): limits[name][rate] for rate in self.rates}
            | {("transferred", rate): limits[reference][rate] for rate in self.rates}
            for name in self.queries
        }
        impostors = {(name, *key): np.zeros(self.verified, dtype=np.int64) for name in asked for key in asked[name]}
        for places, scores in self._passes():
            for name, product in scores:
                places.mask(product)
                self.ahead[name] += count_ahead(product, self.positives[name]).int()
                for key, limit in asked[name].items():
                    impostors[name, *key] += (product[: self.verified] > limit).sum(1).cpu().numpy()
        for name, by_key in asked.items():
            positives = self.positives[name][: self.verified]
            for key, limit in by_key.items():
                genuine = ((positives > limit) & (positives > FLOOR)).sum(1).cpu().numpy()
                self.accepted[(name, *key)] = genuine, impostors[name, *key]

    def numbers(self, name: str) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        """First rank, AP and AP@R (B,) of one system."""
        return rank_numbers(self.ahead[name], self.relevant.count)

    def _passes(self) -> Iterator[tuple[_Places, Iterator[tuple[str, Tensor]]]]:
        """Chunk by chunk: where relevant items are, and each system's scores (B, n), which are overwritten by the next.

        All products have one shape: the ragged edge of another one would round equal vectors' scores differently.
        """
        offset = 0
        product = torch.empty(len(next(iter(self.queries.values()))), self.width, device=self.device)
        for chunk in self.chunks(self.width):
            size = len(next(iter(chunk.values())))
            padded = {name: F.pad(one.to(self.device), (0, 0, 0, self.width - size)) for name, one in chunk.items()}

            def scores(padded: Mapping[str, Tensor] = padded, size: int = size) -> Iterator[tuple[str, Tensor]]:
                for name, queries in self.queries.items():
                    torch.mm(queries, padded[self.galleries[name]].T, out=product)
                    yield name, product[: self.size, :size]

            yield _Places(self.relevant, offset, size, self.device), scores()
            offset += size
        if offset != self.relevant.items:
            raise ValueError(f"the chunks held {offset} items, and there are {self.relevant.items}")


class _Places:
    """Where the relevant items of a block of queries lie in one chunk of the gallery."""

    def __init__(self, relevant: Relevant, offset: int, size: int, device: torch.device) -> None:
        rows, columns, within = [], [], []
        for query, group in enumerate(relevant.group):
            items = relevant.groups[group]
            first, last = np.searchsorted(items, (offset, offset + size))
            rows.append(np.full(last - first, query))
            columns.append(items[first:last] - offset)
            within.append(np.arange(first, last))
        self.rows, self.columns, self.within = (
            torch.from_numpy(np.concatenate(parts)).to(device) for parts in (rows, columns, within)
        )
        own = np.flatnonzero((relevant.own >= offset) & (relevant.own < offset + size))
        self.own = torch.from_numpy(own).to(device), torch.from_numpy(relevant.own[own] - offset).to(device)

    def mask(self, product: Tensor) -> None:
        """Put FLOOR in place of relevant items and of the queries themselves."""
        product[self.rows, self.columns] = FLOOR
        product[self.own] = FLOOR


def _joined(name: str, blocks: Sequence[_Block], ids: NDArray[np.int64], relevant: Relevant, verified: int) -> Scored:
    first_rank, ap, ap_at_r = (np.concatenate(parts) for parts in zip(*(b.numbers(name) for b in blocks), strict=True))
    count = relevant.count
    first = blocks[0]
    found: dict[str, dict[float, Acceptance]] = {"own": {}, "transferred": {}}
    for kind, by_rate in found.items():
        for rate in first.rates:
            genuine, impostors = first.accepted[name, kind, rate]
            by_rate[rate] = Acceptance(ids[:verified], count[:verified], first.impostors[:verified], genuine, impostors)
    results = QueryResults(ids, first_rank, ap, ap_at_r, count.astype(np.int32))
    return Scored(results, found["own"], found["transferred"])
