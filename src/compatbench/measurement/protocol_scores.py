"""Numbers of a dataset's own protocols: degrees of difficulty, lists of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.acceptance import supported_rates
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.bootstrap import mean_estimate
from compatbench.evaluation.pair_scores import ScoredPairs, accepted_same, correct, score_pairs
from compatbench.evaluation.retrieval import evaluate
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.record import Metric, PairScores, ProtocolScores
from compatbench.vocabulary import DERIVED_FROM


def protocol_scores(chain: ServedChain) -> list[ProtocolScores]:
    """Every matrix entry under each of the dataset's further protocols."""
    protocols = chain.dataset.protocols
    found = []
    for at in chain.entries() if protocols else ():
        for protocol, judgements in protocols.items():
            judged = replace(at.queries, judgements=judgements).to(chain.device)
            results = evaluate(judged, at.documents.to(chain.device), trapezoid=True)
            found.append(
                ProtocolScores(
                    protocol=protocol,
                    query_generation=at.query,
                    gallery_generation=at.gallery,
                    sha256=results.write(chain.store.arrays),
                )
            )
    return found


def pair_scores(chain: ServedChain) -> list[PairScores]:
    """The dataset's list of pairs by every matrix entry."""
    pairs = chain.dataset.pairs
    if pairs is None:
        return []
    return [
        PairScores(
            query_generation=at.query,
            gallery_generation=at.gallery,
            sha256=score_pairs(at.queries, at.documents, pairs).write(chain.store.arrays),
        )
        for at in chain.entries()
    ]


def protocol_metrics(entry: ProtocolScores, results: QueryResults) -> Iterator[Metric]:
    """`mAP:<protocol>` and `CMC@1:<protocol>` of one entry; the AP is the trapezoidal one of the arrays."""
    for name in DERIVED_FROM:
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
    mean = mean_estimate(values)
    return Metric(
        name=name,
        query_generation=entry.query_generation,
        gallery_generation=entry.gallery_generation,
        value=mean.value,
        ci_low=mean.low,
        ci_high=mean.high,
        n=len(values),
    )
