"""Threshold transfer: pairs of another system accepted at a threshold tuned on the old model's scores.

Many systems do not only rank, they cut. `acceptance` has the terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from compatbench.evaluation.acceptance import Acceptance, allowed_pairs, supported_rates
from compatbench.evaluation.counting import FLOOR
from compatbench.evaluation.relevance import Relevance, Rows


class ImpostorScores:
    """Collects the scores of all impostor pairs in parts, and keeps only the highest, for the thresholds."""

    def __init__(self, pairs: int, rates: Sequence[float]) -> None:
        self._allowed = [allowed_pairs(rate, pairs) for rate in rates]
        self._count = max(self._allowed, default=0) + 1
        self._kept = np.empty(0, dtype=np.float32)
        self._queries = np.empty(0, dtype=np.int32)
        """Whose pair each of the kept scores is."""
        self._floor = FLOOR
        self._lock = Lock()

    def add(self, rows: Rows, scores: NDArray[np.float32]) -> None:
        """Add further cosines (B, M) of the queries `rows` (B,); FLOOR stands for everything but an impostor pair."""
        high = scores > self._floor
        above, queries = scores[high], np.repeat(rows.astype(np.int32), np.count_nonzero(high, axis=1))
        with self._lock:
            self._kept = np.concatenate((self._kept, above))
            self._queries = np.concatenate((self._queries, queries))
            if len(self._kept) > 2 * self._count:
                highest = np.argpartition(self._kept, -self._count)[-self._count :]
                self._kept, self._queries = self._kept[highest], self._queries[highest]
                self._floor = float(self._kept.min())  # what equals the lowest kept one changes no threshold

    def thresholds(self) -> list[float]:
        """For each rate the lowest score with at most that share of the impostor pairs above it.

        It is the (m + 1)-th highest score, m the most pairs that the rate allows: accepted is what is above it, so
        that ties are rejected together. −∞ where even all pairs are not too many.
        """
        descending = np.sort(self._kept)[::-1]
        return [float(descending[m]) if m < len(descending) else -np.inf for m in self._allowed]

    def accepted(self, queries: int) -> Iterator[NDArray[np.int64]]:
        """At each of the thresholds, how many pairs of each query (V,) are above it: all of these are kept."""
        for limit in self.thresholds():
            yield np.bincount(self._queries[self._kept > limit], minlength=queries)


class ThresholdTransfer:
    """Thresholds of several systems, and the pairs accepted at them, for V queries with the whole gallery.

    A gallery item is genuine to a query that it is relevant to; the query's own sample is no pair, nor is what it is
    to ignore. `score` shows it all scores once. So the thresholds of the system that the others are read at have to be
    known: a transfer of that system alone, without `limits`, finds them.
    """

    def __init__(
        self,
        systems: Iterable[str],
        relevance: Relevance,
        ids: NDArray[np.int64],
        reference: str,
        limits: Sequence[float] = (),
        rates: Sequence[float] | None = None,
    ) -> None:
        """`relevance` and `ids` (V,) are those of the queries; `limits` are the thresholds of `reference`, by rate.

        Without false accept `rates`, at those that there are enough impostor pairs for.
        """
        self.ids, self.reference, self.limits = ids, reference, limits
        self.genuine, self.impostors = relevance.count, relevance.irrelevant
        pairs = int(self.impostors.sum())
        self.rates = supported_rates(pairs) if rates is None else tuple(rates)
        self._highest = {name: ImpostorScores(pairs, self.rates) for name in systems}
        self._genuine: dict[str, list[tuple[Rows, Tensor]]] = {name: [] for name in self._highest}
        self._transferred = {name: np.zeros((len(limits), len(ids)), np.int64) for name in self._highest}

    def __len__(self) -> int:
        return len(self.ids) if self.rates else 0

    def see_impostors(self, name: str, rows: Rows, scores: Tensor) -> None:
        """Take in scores (B, M) of impostor pairs of the queries `rows` (B,), FLOOR in place of other pairs."""
        self._highest[name].add(rows, scores.cpu().numpy())
        for place, limit in enumerate(self.limits if name != self.reference else ()):
            self._transferred[name][place, rows] += _above(scores, limit)

    def see_genuine(self, name: str, rows: Rows, scores: Tensor) -> None:
        """Take in all scores (B, P) of genuine pairs of the queries `rows` (B,), FLOOR in place of other pairs."""
        self._genuine[name].append((rows, scores))

    @cached_property
    def thresholds(self) -> Mapping[str, Sequence[float]]:
        """By system, of each of `rates`; all scores must have been seen."""
        return {name: scores.thresholds() for name, scores in self._highest.items()}

    def acceptance(self, name: str, *, transferred: bool) -> dict[float, Acceptance]:
        """By rate, the pairs that a system accepts at its own threshold, or at the reference's."""
        if transferred and name != self.reference:
            limits, impostors = self.limits, list(self._transferred[name])
        else:
            limits, impostors = self.thresholds[name], list(self._highest[name].accepted(len(self.ids)))
        found = {}
        for rate, limit, counts in zip(self.rates, limits, impostors, strict=True):
            genuine = np.zeros(len(self.ids), np.int64)
            for rows, scores in self._genuine[name]:
                genuine[rows] = _above(scores, limit)
            found[rate] = Acceptance(self.ids, self.genuine, self.impostors, genuine, counts)
        return found


def _above(scores: Tensor, limit: float) -> NDArray[np.int64]:
    """(B,) how many scores of each row are above a limit. On a CPU numpy is ten times as fast at it."""
    high = scores > max(limit, FLOOR)
    on_cpu = high.device.type == "cpu"
    counts: NDArray[np.int64] = np.count_nonzero(high.numpy(), axis=1) if on_cpu else high.sum(1).cpu().numpy()
    return counts
