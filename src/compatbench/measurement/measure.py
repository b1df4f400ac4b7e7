"""Measures a cell: every part of its record from its models, their vectors and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compatbench.measurement.backfill import backfill_curves
from compatbench.measurement.chance_level import chance_metrics
from compatbench.measurement.costs import costs, step_costs
from compatbench.measurement.example_retrievals import example_retrievals
from compatbench.measurement.index_search import index_search
from compatbench.measurement.matrix import matrix
from compatbench.measurement.metrics import ArrayScorer
from compatbench.measurement.protocol_scores import pair_scores, protocol_scores
from compatbench.measurement.served_chain import ServedChain
from compatbench.measurement.threshold_transfer import threshold_transfer
from compatbench.measurement.worst_flips import worst_flips
from compatbench.records.record import (
    ArrayRef,
    BackfillCurve,
    ExampleRetrieval,
    IndexSearch,
    Metric,
    PairScores,
    ProtocolScores,
    VerifiedPairs,
    WorstFlip,
)


@dataclass(frozen=True)
class Measurements:
    """The measured parts of a record, by its names; all empty for an unmeasured cell."""

    split_hash: str = ""
    parents: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    arrays: list[ArrayRef] = field(default_factory=list)
    backfill: list[BackfillCurve] = field(default_factory=list)
    search: list[IndexSearch] = field(default_factory=list)
    verification: list[VerifiedPairs] = field(default_factory=list)
    protocols: list[ProtocolScores] = field(default_factory=list)
    pairs: list[PairScores] = field(default_factory=list)
    worst_flips: list[WorstFlip] = field(default_factory=list)
    examples: list[ExampleRetrieval] = field(default_factory=list)
    losses: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    costs: dict[str, float | None] = field(default_factory=dict)
    step_costs: dict[str, dict[str, float | None]] = field(default_factory=dict)


def measure(chain: ServedChain, index_kinds: Sequence[str], *, at_chance: bool) -> Measurements:
    """Measure all there is; searches with indexes of `index_kinds`, and the level of chance for rows `at_chance`."""
    scorer = ArrayScorer(chain.store.arrays)
    old = str(chain.upgrade[1])
    arrays = matrix(chain)
    results = scorer.by_cosine(arrays)
    flips = worst_flips(chain, results)
    examples = example_retrievals(chain)
    curves = backfill_curves(chain, results[old, old])
    search = index_search(chain, index_kinds)
    verified = threshold_transfer(chain)
    protocols, pairs = protocol_scores(chain), pair_scores(chain)
    models = {str(step): one.trained for step, one in enumerate(chain.generations)}
    references = {f"*{step}": one.trained for step, one in chain.references.items()}
    return Measurements(
        split_hash=chain.split_hash,
        parents={label: one.id for label, one in (models | references).items()},
        metrics=[
            *scorer.metrics(arrays, curves, verified, protocols, pairs, chain.seen),
            *(chance_metrics(chain) if at_chance else ()),
        ],
        arrays=arrays,
        backfill=curves,
        search=search,
        verification=verified,
        protocols=protocols,
        pairs=pairs,
        worst_flips=flips,
        examples=examples,
        losses={label: one.facts["losses"] for label, one in models.items()},
        costs=costs(chain),
        step_costs=step_costs(chain),
    )
