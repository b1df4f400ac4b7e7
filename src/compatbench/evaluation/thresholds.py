"""Threshold transfer: pairs of another system accepted at a threshold tuned on the old model's scores.

Many systems do not only rank, they cut. `acceptance` has the terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        self._floor = FLOOR
        self._lock = Lock()

    def add(self, scores: NDArray[np.float32]) -> None:
        """Add further cosines, of any shape; FLOOR stands for everything but an impostor pair."""
        above = scores[scores > self._floor]
        with self._lock:
            self._kept = np.concatenate((self._kept, above))
            if len(self._kept) > 2 * self._count:
                self._kept = np.partition(self._kept, -self._count)[-self._count :]
                self._floor = float(self._kept.min())  # what equals the lowest kept one changes no threshold

    def thresholds(self) -> list[float]:
        """For each rate the lowest score with at most that share of the impostor pairs above it.

        It is the (m + 1)-th highest score, m the most pairs that the rate allows: accepted is what is above it, so
        that ties are rejected together. −∞ where even all pairs are not too many.
        """
        descending = np.sort(self._kept)[::-1]
        return [float(descending[m]) if m < len(descending) else -np.inf for m in self._allowed]


class ThresholdTransfer:
    """Thresholds of several systems, and the pairs accepted at them, for V queries with the whole gallery.

    A gallery item is genuine to a query that it is relevant to; the query's own sample is no pair, nor is what it is
    to ignore. `score` shows it all scores twice: thresholds come from the first pass, and acceptances from the second.
    """

    def __init__(
        self,
        systems: Iterable[str],
        relevance: Relevance,
        ids: NDArray[np.int64],
        reference: str,
        rates: Sequence[float] | None = None,
    ) -> None:
        """`relevance` and `ids` (V,) are those of the queries; every system is also read at `reference`'s thresholds.

        Without false accept `rates`, at those that there are enough impostor pairs for.
        """
        self.ids, self.reference = ids, reference
        self.genuine, self.impostors = relevance.count, relevance.irrelevant
        pairs = int(self.impostors.sum())
        self.rates = supported_rates(pairs) if rates is None else tuple(rates)
        self._highest = {name: ImpostorScores(pairs, self.rates) for name in systems}
        shape = 2, len(self.rates), len(ids)
        self._genuine, self._impostors = ({name: np.zeros(shape, np.int64) for name in systems} for _ in range(2))

    def __len__(self) -> int:
        return len(self.ids) if self.rates else 0

    def see(self, name: str, scores: Tensor) -> None:
        """Add scores of impostor pairs of any shape, FLOOR in place of other pairs."""
        self._highest[name].add(scores.cpu().numpy())

    def accept(self, name: str, rows: Rows, scores: Tensor, *, genuine: bool) -> None:
        """Count accepted pairs in these scores (B, M) of queries `rows` (B,), FLOOR in place of other pairs."""
        counts = (self._genuine if genuine else self._impostors)[name]
        for kind, system in enumerate((name, self.reference)):
            for place, limit in enumerate(self.thresholds[system]):
                counts[kind, place, rows] += _count_rows(scores > max(limit, FLOOR))

    @cached_property
    def thresholds(self) -> Mapping[str, Sequence[float]]:
        """By system, of each of `rates`; all scores must have been seen."""
        return {name: scores.thresholds() for name, scores in self._highest.items()}

    def acceptance(self, name: str, *, transferred: bool) -> dict[float, Acceptance]:
        """By rate, the pairs that a system accepts at its own threshold, or at the reference's."""
        genuine, impostors = self._genuine[name][int(transferred)], self._impostors[name][int(transferred)]
        return {
            rate: Acceptance(self.ids, self.genuine, self.impostors, *accepted)
            for rate, *accepted in zip(self.rates, genuine, impostors, strict=True)
        }


def _count_rows(flags: Tensor) -> NDArray[np.int64]:
    """(B,) how many of each row of (B, M) are true. On a CPU numpy is ten times as fast at it."""
    on_cpu = flags.device.type == "cpu"
    counts: NDArray[np.int64] = np.count_nonzero(flags.numpy(), axis=1) if on_cpu else flags.sum(1).cpu().numpy()
    return counts
