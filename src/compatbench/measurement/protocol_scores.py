"""Numbers of a dataset's own protocols beside those that every dataset has: degrees of difficulty, lists of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.acceptance import supported_rates
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.pair_scores import ScoredPairs, accepted_same, correct, score_pairs
from compatbench.evaluation.retrieval import evaluate
from compatbench.evaluation.statistics import bootstrap_interval
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import ServedGeneration, matrix_entries
from compatbench.records.record import Metric, PairScores, ProtocolScores, Record
from compatbench.records.store import Store

PROTOCOL_METRICS = ("mAP", "CMC@1")


def add_protocol_scores(
    record: Record,
    trainer: ChainTrainer,
    served: Sequence[ServedGeneration],
    references: Mapping[int, ServedGeneration],
    store: Store,
) -> None:
    """Add the scores of every matrix entry under the dataset's further protocols, and of its list of pairs."""
    dataset = trainer.dataset
    if not dataset.protocols and dataset.pairs is None:
        return
    for at in matrix_entries(trainer, served, references):
        for protocol, judgements in dataset.protocols.items():
            judged = replace(at.queries, judgements=judgements).to(trainer.device)
            results = evaluate(judged, at.documents.to(trainer.device), trapezoid=True)
            entry = ProtocolScores(
                protocol=protocol,
                query_generation=at.query,
                gallery_generation=at.gallery,
                sha256=results.write(store.arrays),
            )
            record.protocols.append(entry)
            record.metrics += protocol_metrics(entry, results)
        if dataset.pairs is not None:
            sha256 = score_pairs(at.queries, at.documents, dataset.pairs).write(store.arrays)
            record.pairs.append(PairScores(query_generation=at.query, gallery_generation=at.gallery, sha256=sha256))
    record.metrics += pair_metrics(record.pairs, lambda sha256: ScoredPairs.read(store.arrays, sha256))


def protocol_metrics(entry: ProtocolScores, results: QueryResults) -> Iterator[Metric]:
    """`mAP:<protocol>` and `CMC@1:<protocol>` of one entry; the AP is the trapezoidal one of the arrays."""
    for name in PROTOCOL_METRICS:
        values = results.per_query(name)[results.answerable]
        yield _metric(f"{name}:{entry.protocol}", entry, values)


def pair_metrics(entries: Sequence[PairScores], read: Callable[[str], ScoredPairs]) -> Iterator[Metric]:
    """Accuracy in folds and TAR of every entry, and those of cross pairs at the threshold of their gallery's model.

    TAR is read at the false accept rates for which there are enough pairs of different people.
    """
    scored = {(entry.query_generation, entry.gallery_generation): read(entry.sha256) for entry in entries}
    for entry in entries:
        at = entry.query_generation, entry.gallery_generation
        systems = {"": scored[at]}
        if at[0] != at[1]:
            systems["transfer_"] = scored[at[1], at[1]]
        for prefix, tuned_on in systems.items():
            yield _metric(f"{prefix}pair_accuracy", entry, correct(scored[at], tuned_on))
            rates = supported_rates(int((tuned_on.same == 0).sum()))
            for rate, accepted in zip(rates, accepted_same(scored[at], tuned_on, rates), strict=True):
                yield _metric(f"{prefix}pair_TAR@FAR={rate:g}", entry, accepted)


def _metric(name: str, entry: ProtocolScores | PairScores, values: NDArray[np.generic]) -> Metric:
    each = values.astype(np.float64)
    low, high = bootstrap_interval(each)
    return Metric(
        name=name,
        query_generation=entry.query_generation,
        gallery_generation=entry.gallery_generation,
        value=float(each.mean()) if len(each) else None,
        ci_low=low,
        ci_high=high,
        n=len(each),
    )
