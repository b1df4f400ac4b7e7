"""The numbers from per-query arrays, of a cell just measured or of a record under verification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.acceptance import Acceptance
from compatbench.evaluation.curves import BackfillMeans, CurvePoints
from compatbench.evaluation.grouped_results import Results, read_results
from compatbench.evaluation.pair_scores import ScoredPairs
from compatbench.measurement.backfill import curve_metrics, share_metrics
from compatbench.measurement.matrix import entry_metrics
from compatbench.measurement.protocol_scores import pair_metrics, protocol_metrics
from compatbench.measurement.threshold_transfer import acceptance_metrics
from compatbench.measurement.upgrade import upgrade_metrics
from compatbench.records.parts import ORACLE, ArrayRef, Metric
from compatbench.records.record import Measurements


@dataclass(frozen=True)
class ArrayScorer:
    """Scores the arrays in `folder`; reads and scores an array once, even if several entries or records name it."""

    folder: Path
    _results: dict[str, Results] = field(default_factory=dict)
    _metrics: dict[str, list[Metric]] = field(default_factory=dict)

    def metrics(self, measured: Measurements, seen: NDArray[np.bool_] | None = None) -> list[Metric]:
        """The metrics from the arrays of a cell, in order; also by subsets if `seen` (Q,) has both.

        Raises RequestError for an array that is missing or damaged.
        """
        found: list[Metric] = []
        for ref in measured.arrays:
            found += self._entry(ref)
            of_a_model = ref.distance == "cosine" and ref.query_generation != ORACLE
            if seen is not None and of_a_model and seen.any() and not seen.all():
                found += entry_metrics(self.results(ref.array), ref, "seen", seen)
                found += entry_metrics(self.results(ref.array), ref, "unseen", ~seen)
        results = self.by_cosine(measured.arrays)
        found += upgrade_metrics(results)
        for means in measured.backfilled:
            found += share_metrics(means, BackfillMeans.read(self.folder, means.array), results)
        for curve in measured.backfill:
            found += curve_metrics(curve, CurvePoints.read(self.folder, curve.array))
        for verified in measured.verification:
            found += acceptance_metrics(verified, Acceptance.read(self.folder, verified.array))
        for scores in measured.protocols:
            found += protocol_metrics(scores, self.results(scores.array))
        found += pair_metrics(measured.pairs, lambda name: ScoredPairs.read(self.folder, name))
        return found

    def by_cosine(self, arrays: Sequence[ArrayRef]) -> dict[tuple[str, str], Results]:
        """Per-query results by query and gallery generation."""
        return {ref.at: self.results(ref.array) for ref in arrays if ref.distance == "cosine"}

    def results(self, name: str) -> Results:
        """Per-query results of one array. Raises RequestError if it is missing or damaged."""
        if name not in self._results:
            self._results[name] = read_results(self.folder, name)
        return self._results[name]

    def _entry(self, ref: ArrayRef) -> Iterator[Metric]:
        if ref.array not in self._metrics:
            self._metrics[ref.array] = list(entry_metrics(self.results(ref.array), ref))
        place = ref.model_dump(exclude={"array"})
        return (metric.model_copy(update=place) for metric in self._metrics[ref.array])
