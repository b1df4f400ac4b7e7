"""Exact retrieval scoring of several systems while one gallery passes by in chunks: it may be larger than the memory.

A first pass takes the scores of each query's relevant items; as soon as a block of queries has them all, the irrelevant
items of a chunk that score as high or higher are counted, for earlier chunks in a second pass. A gallery of one chunk
passes by once. Threads share the blocks; `ranks.rank_numbers` has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.counting import FLOOR, count_ahead
from compatbench.evaluation.ranks import CUT, rank_numbers
from compatbench.evaluation.relevance import Relevance, Rows
from compatbench.evaluation.thresholds import ThresholdTransfer
from compatbench.machine.threads import in_threads

BLOCK_QUERIES = 1024
BLOCK_SCORES = 2**26
"""Scores held at once: 256 MiB in float32."""
WAITING_BYTES = 2**29
"""What the relevant items' scores and counts may take between two passes, over all systems."""

# Matrix products compute the ragged edge of their output by another code path, whose rounding differs: equal
# gallery vectors would then score unequally. Products of whole tiles keep ties bitwise equal.
ROW_TILE, COLUMN_TILE = 16, 64

Chunks = Callable[[int], Iterator[Mapping[str, Tensor]]]
"""Begins a pass over the gallery in chunks of so many items, the last one smaller, or filled up with zeros.

A chunk is the vectors (n, D) of each version of the gallery, by name; no more are read than there are systems for.
"""


class MadeVersions(dict[str, Tensor]):
    """A chunk whose versions are made when they are read: an adapter takes many times as long as a search."""

    def __init__(self, make: Callable[[str], Tensor]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Tensor:
        return self._make(name)


@dataclass(frozen=True, eq=False)
class System:
    """Queries, and their version of the gallery; inner products in [−1.75, 2) rank it."""

    queries: Tensor
    """(Q, D)"""
    gallery: str

    @property
    def parts(self) -> tuple[System, ...]:
        """Itself."""
        return (self,)


@dataclass(frozen=True, eq=False)
class MixedSystem:
    """One list from two systems, each of which searches some of the items."""

    stored: System
    renewed: System
    is_renewed: NDArray[np.bool_]
    """(N,) items that `renewed` searches."""

    @property
    def parts(self) -> tuple[System, ...]:
        """The two."""
        return self.stored, self.renewed


def score(
    systems: Mapping[str, System | MixedSystem],
    chunks: Chunks,
    relevance: Relevance,
    ids: NDArray[np.int64],
    *,
    chunk_items: int,
    block_scores: int = BLOCK_SCORES,
    trapezoid: bool = False,
    transfer: ThresholdTransfer | None = None,
    device: torch.device | None = None,
    members: Rows | None = None,
) -> dict[str, QueryResults]:
    """Rank the whole gallery for each of the queries `ids` (Q,), in every system.

    A query skips its own sample and what it is to ignore. Ties are broken pessimistically: of the same score an
    irrelevant item ranks first, and among relevant ones that of the lower grade. Scores are computed in float32 on
    `device`, in products of `chunk_items` columns and about `block_scores` entries (a query whose relevant items are
    more than that still holds all of them at once). Judgements also have the numbers of the first 10 and 100 ranks,
    and classes of more than 100 items AP@100.

    With `trapezoid` the average precision is the one of the revisited Oxford and Paris buildings, see `rank_numbers`.
    A `transfer` of the first queries gets to see all their scores.

    An item may be several vectors, `members` (N,) of each, which follow each other in the chunks: it scores as the best
    of them.

    Raises ValueError where the chunks do not add up to the gallery of `relevance`.
    """
    device = device or torch.device("cpu")
    scorer = _Scorer(systems, chunks, relevance, chunk_items, trapezoid, transfer, device, members)
    with torch.no_grad(), full_float32(device):
        scorer.run(block_scores)
        if relevance.graded is not None:  # items with a grade too low to be relevant count for nDCG alone
            gains = _Scorer(systems, chunks, relevance.graded, chunk_items, trapezoid, None, device, members)
            gains.run(block_scores)
            for name, numbers in scorer.numbers.items():
                ndcg = gains.numbers[name]["ndcg_at_10"]
                numbers["ndcg_at_10"] = np.where(relevance.count > 0, ndcg, np.float32(np.nan))
    count = relevance.count.astype(np.int32)
    return {name: QueryResults(ids=ids, relevant=count, **numbers) for name, numbers in scorer.numbers.items()}


def waiting_queries(relevance: Relevance, systems: int) -> int:
    """How many queries may wait for a second pass at once."""
    return max(ROW_TILE, WAITING_BYTES // (8 * systems * relevance.widest) // ROW_TILE * ROW_TILE)


class _Scorer:
    """One call of `score`."""

    def __init__(
        self,
        systems: Mapping[str, System | MixedSystem],
        chunks: Chunks,
        relevance: Relevance,
        chunk_items: int,
        trapezoid: bool,
        transfer: ThresholdTransfer | None,
        device: torch.device,
        members: Rows | None,
    ) -> None:
        self.systems, self.chunks, self.relevance, self.device = systems, chunks, relevance, device
        self.trapezoid, self.transfer = trapezoid, transfer
        self.width = round_up(min(chunk_items, relevance.items), COLUMN_TILE)
        self.passages = -(-relevance.items // self.width)
        self.members = members
        self.columns = self.width if members is None else round_up(self._most_vectors(members), COLUMN_TILE)
        self.judged = not relevance.by_label and not trapezoid
        self.cut = not trapezoid and (self.judged or relevance.widest > CUT)
        self.only: _Chunk | None = None
        self.versions = dict.fromkeys(part.gallery for one in systems.values() for part in one.parts)
        self.numbers: dict[str, dict[str, NDArray[Any]]] = {name: {} for name in systems}

    def _most_vectors(self, members: Rows) -> int:
        """Of the items of any chunk."""
        return max(int(members[first : first + self.width].sum()) for first in range(0, len(members), self.width))

    def run(self, block_scores: int) -> None:
        """Score all queries, as many at a time as may wait."""
        blocks, threads = self._blocks(block_scores)
        tallest = max(len(block.rows) for block in blocks)
        products = [torch.empty(round_up(tallest, ROW_TILE) * self.columns, device=self.device) for _ in range(threads)]
        room = waiting_queries(self.relevance, len(self.systems)) if self.passages > 1 else len(self.relevance)
        while blocks:
            part = [blocks.pop(0)]
            while blocks and sum(len(one.rows) for one in part) + len(blocks[0].rows) <= room:
                part.append(blocks.pop(0))
            self._pass(part, products, second=False)
            self._pass(part, products, second=True)

    def _blocks(self, block_scores: int) -> tuple[list[_Block], int]:
        """Blocks of queries by group, those that the transfer sees first, and how many threads work on them."""
        size, widest = len(self.relevance), self.relevance.widest
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        # the relevant items' scores, counts and precisions take some four times a score's room
        most = max(1, min(BLOCK_QUERIES, block_scores // threads // max(self.columns, 4 * widest), -(-size // threads)))
        sampled = 0 if self.transfer is None else len(self.transfer)
        order = np.lexsort((self.relevance.group, np.arange(size) >= sampled))
        blocks = []
        for rows, is_sampled in ((order[:sampled], True), (order[sampled:], False)):
            if len(rows):
                height = round_up(-(-len(rows) // -(-len(rows) // most)), ROW_TILE)
                parts = (rows[begin : begin + height] for begin in range(0, len(rows), height))
                blocks += [_Block(self, part, is_sampled) for part in parts]
        return blocks, threads

    def _pass(self, blocks: list[_Block], products: list[Tensor], *, second: bool) -> None:
        passages = max(block.passages(second) for block in blocks)
        if not passages:
            return
        held = 0
        for chunk in self._chunks(passages):
            in_threads(partial(self._visit, iter(blocks), chunk, products, second), len(products))
            held = chunk.last
        if not second and held != self.relevance.items:
            raise ValueError(f"the chunks held {held} items, and there are {self.relevance.items}")

    def _chunks(self, passages: int) -> Iterator[_Chunk]:
        """The first so many chunks on the device. A gallery of one chunk is made once for all passes."""
        if self.passages == 1 and self.only is not None:
            yield self.only
            return
        last = 0
        for vectors in islice(self.chunks(self.width), passages):
            chunk = self._padded(vectors, last)
            last = chunk.last
            if self.passages == 1:
                self.only = chunk
            yield chunk

    def _visit(self, waiting: Iterator[_Block], chunk: _Chunk, products: list[Tensor], second: bool) -> None:
        """The threads take turns at the blocks."""
        product = products.pop()
        with torch.no_grad():
            for block in waiting:
                block.visit(chunk, product, second=second)
        products.append(product)

    def _padded(self, vectors: Mapping[str, Tensor], first: int) -> _Chunk:
        """A chunk on the device, all chunks of one length."""
        whole = {name: vectors[name].to(self.device) for name in self.versions}
        held = len(next(iter(whole.values())))
        missing = self.columns - held
        if missing:
            whole = {name: F.pad(one, (0, 0, 0, missing)) for name, one in whole.items()}
        if self.members is None:
            return _Chunk(whole, first, min(first + held, self.relevance.items))
        last = min(first + self.width, self.relevance.items)
        if held != (expected := int(self.members[first:last].sum())):
            raise ValueError(f"a chunk held {held} vectors, and its items have {expected}")
        return _Chunk(whole, first, last, torch.from_numpy(self.members[first:last]).to(self.device))


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Columns first … last − 1 of the gallery."""

    vectors: Mapping[str, Tensor]
    first: int
    last: int
    members: Tensor | None = None
    """(last − first,) vectors of each item; None where each has one."""

    def best(self, products: Tensor) -> Tensor:
        """(B, last − first) scores of the items from those of their vectors."""
        if self.members is None:
            return products[:, : self.last - self.first]
        vectors = products[:, : int(self.members.sum())].T.contiguous()
        return torch.segment_reduce(vectors, "max", lengths=self.members).T.contiguous()


class _Block:
    """Some queries of every system."""

    def __init__(self, scorer: _Scorer, rows: Rows, sampled: bool) -> None:
        self.scorer, self.rows, self.sampled = scorer, rows, sampled
        self.left = scorer.passages  # chunks to be counted
        self.positives: dict[str, Tensor] = {}
        self.ahead: dict[str, Tensor] = {}

    @cached_property
    def relevance(self) -> Relevance:
        """Of these queries."""
        return self.scorer.relevance[self.rows]

    @cached_property
    def queries(self) -> dict[System, Tensor]:
        """Of every system, up to a whole number of tiles."""
        missing, rows = -len(self.rows) % ROW_TILE, torch.from_numpy(self.rows)
        found: dict[System, Tensor] = {}
        for system in self.scorer.systems.values():
            for one in system.parts:
                if one not in found:
                    own = one.queries[rows.to(one.queries.device)].to(self.scorer.device)
                    found[one] = F.pad(own, (0, 0, 0, missing))
        return found

    def passages(self, second: bool) -> int:
        """How many chunks it has to see in a pass."""
        if not self.left or not second:
            return self.scorer.passages if self.left else 0
        return max(0, self.relevance.span[1] - 1) // self.scorer.width

    def visit(self, chunk: _Chunk, product: Tensor, *, second: bool) -> None:
        """Take in one chunk, with room for its `product`."""
        first, last = chunk.first, chunk.last
        start, stop = self.relevance.span
        counts = (last >= stop) != second  # from the chunk on that completes the relevant items' scores
        transfer = self.scorer.transfer if self.sampled and not second else None
        if not (counts or transfer is not None or (start < last and first < stop and not second)):
            return
        self.left -= counts
        relevant, hidden = list(self.relevance.relevant(first, last)), self.relevance.hidden(first, last)
        parts: dict[System, Tensor] = {}
        for name, system in self.scorer.systems.items():
            if isinstance(system, MixedSystem):
                scores = self._mixed(system, chunk, parts)
            else:
                scores = self._scores(system, chunk, product)
            if not second:
                positives = self._positives(name)
                for rows, columns, places in relevant:
                    positives[rows, places] = scores[rows, columns]
            for rows, columns, _ in relevant:
                scores[rows, columns] = FLOOR
            scores[hidden] = FLOOR
            if counts:
                self._count(name, scores)
            if transfer is not None:
                transfer.see_impostors(name, self.rows, scores)
            if not self.left:
                self._finish(name)

    def _scores(self, system: System, chunk: _Chunk, product: Tensor) -> Tensor:
        """(B, last − first) scores of the items, in the room of `product` if each has one vector."""
        queries = self.queries[system]
        whole = product[: len(queries) * self.scorer.columns].view(len(queries), -1)
        torch.mm(queries, chunk.vectors[system.gallery].T, out=whole)
        return chunk.best(whole[: len(self.rows)])

    def _mixed(self, system: MixedSystem, chunk: _Chunk, parts: dict[System, Tensor]) -> Tensor:
        """(B, last − first) scores of the items; `parts` keeps those of its two systems for others that share them."""
        for one in system.parts:
            if one not in parts:
                room = torch.empty(len(self.queries[one]) * self.scorer.columns, device=self.scorer.device)
                parts[one] = self._scores(one, chunk, room)
        is_renewed = torch.from_numpy(system.is_renewed[chunk.first : chunk.last]).to(self.scorer.device)
        return torch.where(is_renewed, parts[system.renewed], parts[system.stored])

    def _positives(self, name: str) -> Tensor:
        """(B, P) scores of each query's relevant items so far, FLOOR in place of those that it has fewer."""
        if name not in self.positives:
            shape = len(self.rows), self.relevance.widest
            self.positives[name] = torch.full(shape, FLOOR, device=self.scorer.device)
        return self.positives[name]

    def _count(self, name: str, scores: Tensor) -> None:
        """Count the irrelevant items ahead of each relevant one, the lowest-ranked first."""
        own = np.flatnonzero(self.relevance.own_place >= 0)
        self.positives[name][own, self.relevance.own_place[own]] = FLOOR
        ahead = count_ahead(scores, self.positives[name])
        self.ahead[name] = self.ahead[name].add_(ahead) if name in self.ahead else ahead

    def _finish(self, name: str) -> None:
        scorer, scores = self.scorer, self.positives.pop(name)
        if self.sampled and scorer.transfer is not None:
            scorer.transfer.see_genuine(name, self.rows, scores)
        found = rank_numbers(
            self.ahead.pop(name),
            self.relevance.count,
            trapezoid=scorer.trapezoid,
            cut=scorer.cut,
            grades=self._grades(scores) if scorer.judged else None,
        )
        for field, values in found.items():
            whole = scorer.numbers[name].setdefault(field, np.empty(len(scorer.relevance), values.dtype))
            whole[self.rows] = values

    def _grades(self, scores: Tensor) -> Tensor:
        """(B, P) grades of the relevant items with these `scores`, the lowest-ranked first."""
        table = torch.from_numpy(self.relevance.grade_table).to(scores.device)
        table, falling = table.sort(dim=1, descending=True, stable=True)  # among equal scores the highest grade is last
        return table.gather(1, scores.gather(1, falling).sort(dim=1, stable=True).indices)


def round_up(number: int, tile: int) -> int:
    """The next multiple of `tile`."""
    return -(-number // tile) * tile


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Keep matrix products from using fewer bits than float32 has (TF32, bfloat16), whatever training set."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
