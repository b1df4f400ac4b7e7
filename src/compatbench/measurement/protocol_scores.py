"""Numbers of a dataset's own protocols: degrees of difficulty, lists of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.acceptance import supported_rates
from compatbench.evaluation.grouped_results import Results
from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.pair_scores import ScoredPairs, accepted_same, correct, score_pairs
from compatbench.evaluation.retrieval import evaluate
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import Metric, PairScores, ProtocolScores
from compatbench.vocabulary import DERIVED_FROM, MetricName


def protocol_scores(chain: ServedChain) -> list[ProtocolScores]:
    """Every matrix entry under each of the dataset's further protocols."""
    protocols = chain.dataset.protocols
    found = []
    for at in chain.entries() if protocols else ():
        for protocol, judgements in protocols.items():
            judged = replace(at.queries, judgements=judgements).to(chain.device)
            results = evaluate(judged, at.documents.to(chain.device), trapezoid=True).rounded()
            name = results.put(chain.arrays, f"{at.name} {protocol}", shared=at.shared)
            found.append(ProtocolScores(protocol=protocol, **at.place, array=name))
    return found


def pair_scores(chain: ServedChain) -> list[PairScores]:
    """The dataset's list of pairs by every matrix entry."""
    pairs = chain.dataset.pairs
    if pairs is None:
        return []
    found = []
    for at in chain.entries():
        scored = score_pairs(at.queries, at.documents, pairs)
        name = scored.put(chain.arrays, f"{at.name} pairs", shared=at.shared)
        found.append(PairScores(**at.place, array=name))
    return found


def protocol_metrics(entry: ProtocolScores, results: Results) -> Iterator[Metric]:
    """`mAP:<protocol>` and `CMC@1:<protocol>` of one entry; the AP is the trapezoidal one of the arrays."""
    for name in DERIVED_FROM:
        values = results.per_query(name)[results.answerable]
        yield metric(name.of(entry.protocol), entry.at, mean_estimate(values), len(values))


def pair_metrics(entries: Sequence[PairScores], read: Callable[[str], ScoredPairs]) -> Iterator[Metric]:
    """Accuracy in folds and TAR of every entry, and those of cross pairs at the threshold of their gallery's model.

    TAR is read at the false accept rates for which there are enough pairs of different people.
    """
    scored = {entry.at: read(entry.array) for entry in entries}
    for (query, gallery), system in scored.items():
        tuned = [(MetricName.PAIR_ACCURACY, MetricName.PAIR_TAR, system)]
        if query != gallery:
            by_old = scored[gallery, gallery]
            tuned.append((MetricName.TRANSFER_PAIR_ACCURACY, MetricName.TRANSFER_PAIR_TAR, by_old))
        for accuracy, tar, tuned_on in tuned:
            rates = supported_rates(int((tuned_on.same == 0).sum()))
            found: dict[str, NDArray[np.bool_]] = {accuracy: correct(system, tuned_on)}
            for rate, accepted in zip(rates, accepted_same(system, tuned_on, rates), strict=True):
                found[tar.at_rate(rate)] = accepted
            for name, values in found.items():
                yield metric(name, (query, gallery), mean_estimate(values), len(values))
