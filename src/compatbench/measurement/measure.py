"""Fills a record with its numbers: the compatibility matrix, what derives from it, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import METRICS, QueryResults
from compatbench.evaluation.chance import chance_distribution
from compatbench.evaluation.compatibility import compatibility
from compatbench.evaluation.retrieval import evaluate
from compatbench.evaluation.statistics import bootstrap_interval
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import MatrixEntry, ServedGeneration, matrix_entries, pair
from compatbench.measurement.costs import costs, step_costs
from compatbench.measurement.example_retrievals import add_example_retrievals
from compatbench.measurement.index_search import add_index_search
from compatbench.measurement.protocol_scores import add_protocol_scores
from compatbench.measurement.threshold_transfer import add_threshold_transfer
from compatbench.measurement.upgrade import add_backfill, add_chain_scores, add_flips
from compatbench.measurement.worst_flips import add_worst_flips
from compatbench.records.record import ArrayRef, Metric, Record
from compatbench.records.store import Store
from compatbench.storage.canonical import digest
from compatbench.storage.files import write_whole
from compatbench.vocabulary import Expectation

Distance = Literal["cosine", "l2"]
DERIVED_FROM = ("mAP", "CMC@1")
CHANCE_ROTATIONS = 100
"""Enough that a row at chance leaves their range once in a hundred times."""


def measure(
    record: Record,
    trainer: ChainTrainer,
    served: list[ServedGeneration],
    references: dict[int, ServedGeneration],
    store: Store,
) -> None:
    """Score every pair of generations and the references, and add metrics, arrays and costs to `record`."""
    matrix = Matrix(record, trainer, store)
    total = len(served) * (len(served) + 1) // 2 + len(references)
    for done, entry in enumerate(matrix_entries(trainer, served, references), start=1):
        matrix.score(entry)
        trainer.progress("evaluate", done / total)
    for step in references:
        add_compatibility(record, str(step), str(step - 1))
    add_flips(record, matrix.results, len(served))
    add_chain_scores(record, matrix.results, len(served))
    add_worst_flips(record, trainer, served, matrix.results)
    add_example_retrievals(record, trainer, served)
    add_backfill(record, trainer, served, matrix.results, store)
    if record.spec.index_search:
        add_index_search(record, trainer, served, store)
    add_threshold_transfer(record, trainer, served, references, store)
    add_protocol_scores(record, trainer, served, references, store)
    if Expectation.CROSS_AT_CHANCE in record.spec.method.expects:
        newest = len(served) - 1
        for query, gallery in dict.fromkeys([*((step, step - 1) for step in references), (newest, 0)]):
            _chance(record, trainer, served, query, gallery)
    record.costs = costs(trainer, served)
    record.step_costs = step_costs(trainer, served)


class Matrix:
    """Scores pairs of generations into a record, each pair of models once for all cells of a runs folder."""

    def __init__(self, record: Record, trainer: ChainTrainer, store: Store) -> None:
        self.record = record
        self.store = store
        self.results: dict[tuple[str, str], QueryResults] = {}
        """By cosine."""
        self.fingerprint = trainer.dataset.fingerprint
        self.device = trainer.device
        old_classes = torch.tensor(trainer.chain[0].class_ids(trainer.dataset.train_classes))
        self.seen = torch.isin(trainer.dataset.query.labels, old_classes).numpy()

    def score(self, entry: MatrixEntry) -> None:
        """Add M[query][gallery] by cosine and by L2 distance."""
        query, gallery = entry.query, entry.gallery
        distances: tuple[Distance, ...] = ("cosine", "l2")
        for distance in distances:
            results, sha256 = self._results(entry, distance)
            if distance == "cosine":
                self.results[query, gallery] = results
            self.record.arrays.append(
                ArrayRef(query_generation=query, gallery_generation=gallery, distance=distance, sha256=sha256)
            )
            everyone = np.ones(len(self.seen), dtype=bool)
            subsets: list[tuple[Literal["all", "seen", "unseen"], npt.NDArray[np.bool_]]] = [("all", everyone)]
            if distance == "cosine" and self.seen.any() and not self.seen.all():
                subsets += [("seen", self.seen), ("unseen", ~self.seen)]
            for subset, mask in subsets:
                self.record.metrics += entry_metrics(results, mask, query, gallery, subset, distance)

    def _results(self, entry: MatrixEntry, distance: Distance) -> tuple[QueryResults, str]:
        """Per-query results, from an earlier cell that scored the same vectors where there was one."""
        name = digest([entry.id, self.fingerprint, distance])
        pointer = self.store.evaluations / f"{name}.json"
        try:
            sha256 = str(json.loads(pointer.read_text())["sha256"])
            return QueryResults.read(self.store.arrays, sha256), sha256
        except (OSError, ValueError, KeyError, RequestError):
            pass  # not scored yet, or damaged: score it
        results = evaluate(entry.queries.to(self.device), entry.documents.to(self.device), distance)
        sha256 = results.write(self.store.arrays)
        write_whole(pointer, json.dumps({"sha256": sha256}))
        return results, sha256


def entry_metrics(
    results: QueryResults,
    mask: npt.NDArray[np.bool_],
    query: str,
    gallery: str,
    subset: Literal["all", "seen", "unseen"],
    distance: Distance,
) -> Iterable[Metric]:
    """The retrieval numbers of one entry over the queries in `mask` (Q,), with their intervals."""
    for name in METRICS:
        values = results.per_query(name)[mask & results.answerable]
        low, high = bootstrap_interval(values)
        yield Metric(
            name=name,
            query_generation=query,
            gallery_generation=gallery,
            value=float(values.mean()) if len(values) else None,
            ci_low=low,
            ci_high=high,
            n=len(values),
            subset=subset,
            distance=distance,
        )


def add_compatibility(record: Record, new: str, old: str) -> None:
    """Compatibility numbers (protocol §3) of neighbouring generations from the matrix."""
    for name in DERIVED_FROM:
        cells = [record.metric(name, *at) for at in ((old, old), (new, old), (new, new), (f"*{new}", f"*{new}"))]
        values = [entry.value for entry in cells if entry is not None and entry.value is not None]
        if len(values) < len(cells):
            continue
        queries = next(entry.n for entry in cells if entry is not None)
        for number, value in compatibility(*values).items():
            record.metrics.append(
                Metric(
                    name=f"{number}:{name}",
                    query_generation=new,
                    gallery_generation=old,
                    value=value,
                    n=queries,
                    direction="higher",
                )
            )


def _chance(record: Record, trainer: ChainTrainer, served: list[ServedGeneration], query: int, gallery: int) -> None:
    """What cross-retrieval scores between unrelated spaces: mean and range over random rotations."""
    scores = chance_distribution(*pair(served, trainer, query, gallery), rotations=CHANCE_ROTATIONS, seed=trainer.seed)
    record.metrics.append(
        Metric(
            name="chance:mAP",
            query_generation=str(query),
            gallery_generation=str(gallery),
            value=float(np.mean(scores)),
            ci_low=float(np.min(scores)),
            ci_high=float(np.max(scores)),
            n=len(scores),
        )
    )
