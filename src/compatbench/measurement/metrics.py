"""The numbers from per-query arrays, of a cell just measured or of a record under verification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.acceptance import Acceptance
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.curves import BackfillMeans, QueryCurves
from compatbench.evaluation.pair_scores import ScoredPairs
from compatbench.measurement.backfill import curve_metrics, share_metrics
from compatbench.measurement.matrix import entry_metrics
from compatbench.measurement.protocol_scores import pair_metrics, protocol_metrics
from compatbench.measurement.threshold_transfer import acceptance_metrics
from compatbench.measurement.upgrade import upgrade_metrics
from compatbench.records.record import ArrayRef, Measurements, Metric


@dataclass(frozen=True)
class ArrayScorer:
    """Scores the arrays in `folder`; reads and scores an array once, even if several entries or records name it."""

    folder: Path
    _results: dict[str, QueryResults] = field(default_factory=dict)
    _metrics: dict[str, list[Metric]] = field(default_factory=dict)

    def metrics(self, measured: Measurements, seen: NDArray[np.bool_] | None = None) -> list[Metric]:
        """The metrics from the arrays of a cell, in order; also by subsets if `seen` (Q,) has both.

        Raises RequestError for an array that is missing or damaged.
        """
        found: list[Metric] = []
        for ref in measured.arrays:
            found += self._entry(ref)
            if seen is not None and ref.distance == "cosine" and seen.any() and not seen.all():
                found += entry_metrics(self.results(ref.sha256), ref, "seen", seen)
                found += entry_metrics(self.results(ref.sha256), ref, "unseen", ~seen)
        results = self.by_cosine(measured.arrays)
        found += upgrade_metrics(results)
        for means in measured.backfilled:
            found += share_metrics(means, BackfillMeans.read(self.folder, means.sha256), results)
        for curve in measured.backfill:
            found += curve_metrics(curve, QueryCurves.read(self.folder, curve.sha256))
        for verified in measured.verification:
            found += acceptance_metrics(verified, Acceptance.read(self.folder, verified.sha256))
        for scores in measured.protocols:
            found += protocol_metrics(scores, self.results(scores.sha256))
        found += pair_metrics(measured.pairs, lambda sha256: ScoredPairs.read(self.folder, sha256))
        return found

    def by_cosine(self, arrays: Sequence[ArrayRef]) -> dict[tuple[str, str], QueryResults]:
        """Per-query results by query and gallery generation."""
        return {ref.at: self.results(ref.sha256) for ref in arrays if ref.distance == "cosine"}

    def results(self, sha256: str) -> QueryResults:
        """Per-query results of one file. Raises RequestError if it is missing or damaged."""
        if sha256 not in self._results:
            self._results[sha256] = QueryResults.read(self.folder, sha256)
        return self._results[sha256]

    def _entry(self, ref: ArrayRef) -> Iterator[Metric]:
        if ref.sha256 not in self._metrics:
            self._metrics[ref.sha256] = list(entry_metrics(self.results(ref.sha256), ref))
        place = ref.model_dump(exclude={"sha256"})
        return (metric.model_copy(update=place) for metric in self._metrics[ref.sha256])
