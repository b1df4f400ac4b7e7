"""Thresholds in a cell: pairs of new queries and old vectors accepted at the old system's thresholds."""

from __future__ import annotations

from collections.abc import Iterator

from compatbench.evaluation.acceptance import Acceptance, acceptance_rates
from compatbench.evaluation.retrieval import transfer_thresholds
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.array_names import is_shared, threshold_array
from compatbench.records.parts import Metric, VerifiedPairs
from compatbench.vocabulary import MetricName

SAMPLED_QUERIES = 500
"""Queries whose pairs with the whole gallery are looked at, drawn in proportion to their labels."""


def threshold_transfer(chain: ServedChain) -> list[VerifiedPairs]:
    """Pairs accepted by the second newest generation, the newest, both together and the reference.

    Each at its own thresholds for the false accept rates that there are enough pairs for, and those of the newest
    generation's queries also at the old system's.
    """
    new, old = chain.upgrade
    chain.progress("thresholds", 0.0)
    sides = {(str(query), str(gallery)): chain.pair(query, gallery) for query, gallery in chain.systems}
    if new in chain.references:
        sides[f"*{new}", f"*{new}"] = chain.reference(new)
    sampled = {" on ".join(at): chain.sampled(both, SAMPLED_QUERIES) for at, both in sides.items()}
    found = transfer_thresholds(sampled, f"{old} on {old}")
    entries = []
    for at, (name, (queries, _)) in zip(sides, sampled.items(), strict=True):
        asked = [(False, name), (True, found.reference)] if at[0] == str(new) else [(False, name)]
        for transferred, tuned_on in asked:
            accepted = found.acceptance(name, transferred=transferred)
            entries += [
                VerifiedPairs(
                    query_generation=at[0],
                    gallery_generation=at[1],
                    rate=rate,
                    transferred=transferred,
                    threshold=limit,
                    queries=len(queries),
                    array=one.put(
                        chain.arrays,
                        threshold_array(*at, rate, transferred=transferred),
                        shared=is_shared(*at),
                    ),
                )
                for limit, (rate, one) in zip(found.thresholds[tuned_on], accepted.items(), strict=True)
            ]
    return entries


def acceptance_metrics(entry: VerifiedPairs, accepted: Acceptance) -> Iterator[Metric]:
    """TAR and, at a transferred threshold, FAR of one entry, with 95% intervals over queries."""
    tar, far = acceptance_rates({"": [accepted]})[""]
    name = MetricName.TRANSFER_TAR if entry.transferred else MetricName.TAR
    yield metric(name.at_rate(entry.rate), entry.at, tar, entry.queries)
    if entry.transferred:
        yield metric(MetricName.TRANSFER_FAR.at_rate(entry.rate), entry.at, far, entry.queries)
