"""Measures a cell: every part of its record from its models, their vectors and their scores."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.convergence import is_converged, loss_fall
from compatbench.generations.chain import TrainedModel
from compatbench.measurement.backfill import backfill_curves, backfilled_queries
from compatbench.measurement.chance_level import chance_metrics
from compatbench.measurement.costs import costs, step_costs
from compatbench.measurement.examples import example_retrievals, worst_flips
from compatbench.measurement.index_search import index_search
from compatbench.measurement.matrix import matrix
from compatbench.measurement.metrics import ArrayScorer
from compatbench.measurement.protocol_scores import pair_scores, protocol_scores
from compatbench.measurement.served_chain import ServedChain
from compatbench.measurement.threshold_transfer import threshold_transfer
from compatbench.records.parts import Convergence
from compatbench.records.record import Measurements


def measure(chain: ServedChain, index_kinds: Sequence[str], *, at_chance: bool) -> Measurements:
    """Measure all there is; searches with indexes of `index_kinds`, and the level of chance for rows `at_chance`."""
    scorer = ArrayScorer(chain.store.arrays)
    old = str(chain.upgrade[1])
    arrays, results = matrix(chain)
    models = {str(step): one.trained for step, one in enumerate(chain.generations)}
    references = {f"*{step}": one.trained for step, one in chain.references.items()}
    found = Measurements(
        split_hash=chain.split_hash,
        parents={label: one.id for label, one in (models | references).items()},
        features=dict(chain.features),
        query_classes=len(set(chain.dataset.query.labels.tolist())),
        judged=chain.dataset.judgements is not None,
        arrays=arrays,
        worst_flips=worst_flips(chain, results),
        examples=example_retrievals(chain),
        backfill=backfill_curves(chain, results[old, old]),
        backfilled=backfilled_queries(chain),
        search=index_search(chain, index_kinds),
        verification=threshold_transfer(chain),
        protocols=protocol_scores(chain),
        pairs=pair_scores(chain),
        losses={label: one.report.losses for label, one in models.items()},
        convergence={label: _convergence(one) for label, one in (models | references).items()},
        costs=costs(chain),
        step_costs=step_costs(chain),
    )
    found = found.stored(chain.arrays.save(chain.store.arrays))
    metrics = [*scorer.metrics(found, chain.seen), *(chance_metrics(chain) if at_chance else ())]
    return found.model_copy(update={"metrics": metrics})


def _convergence(trained: TrainedModel) -> Convergence:
    """An encoder without a head is as it was published: the classifier on top changes no embedding."""
    report = trained.report
    return Convergence(
        converged=trained.model.encoder.spec.head.none or is_converged(report.losses, report.accuracy),
        loss_fall=loss_fall(report.losses),
        accuracy=report.accuracy,
        held_out_accuracy=report.held_out.get("accuracy", []),
        held_out_loss=report.held_out.get("loss", []),
    )
