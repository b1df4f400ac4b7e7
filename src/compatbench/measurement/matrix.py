"""The compatibility matrix: per-query results of M(q,g), and their retrieval numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.arrays import RETRIEVAL, QueryResults
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.grouped_results import Results
from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.retrieval import evaluate
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import MatrixEntry, ServedChain
from compatbench.records.array_names import entry_array
from compatbench.records.parts import ArrayRef, Metric
from compatbench.storage.artefacts import Artefact, get_or_make
from compatbench.storage.canonical import digest
from compatbench.vocabulary import DERIVED_FROM, Similarity

Subset = Literal["all", "seen", "unseen"]
DISTANCES = Similarity.COSINE, Similarity.L2


def matrix(chain: ServedChain) -> tuple[list[ArrayRef], dict[tuple[str, str], QueryResults]]:
    """Every entry by cosine, and by L2 distance if it ranks otherwise, with the results by cosine; then the oracle's.

    That is left out if no query has more than one relevant item, where it is 100 by construction. Each pair of models
    is scored once for all cells of a runs folder.
    """
    total = len(chain.generations) * (len(chain.generations) + 1) // 2 + len(chain.references)
    arrays, results = [], {}
    for done, entry in enumerate(chain.entries(), start=1):
        cosine, l2 = (_scored(chain, entry, distance) for distance in DISTANCES)
        results[entry.query, entry.gallery] = cosine
        name = cosine.put(chain.arrays, entry.name, shared=entry.shared)
        arrays.append(ArrayRef(**entry.place, distance="cosine", array=name))
        if any(not np.array_equal(one, l2.columns[column], equal_nan=True) for column, one in cosine.columns.items()):
            name = l2.put(chain.arrays, entry_array(entry.query, entry.gallery, "l2"), shared=entry.shared)
            arrays.append(ArrayRef(**entry.place, distance="l2", array=name))
        chain.progress("evaluate", done / total)
    if results["0", "0"].relevant.max(initial=0) > 1:
        oracle = chain.oracle()
        name = _scored(chain, oracle, Similarity.COSINE).put(chain.arrays, oracle.name, shared=oracle.shared)
        arrays.append(ArrayRef(**oracle.place, distance="cosine", array=name))
    return arrays, results


def _scored(chain: ServedChain, entry: MatrixEntry, distance: Similarity) -> QueryResults:
    """The per-query results, from an earlier cell that scored the same vectors if there was one."""

    def make() -> Artefact:
        results = evaluate(entry.queries.to(chain.device), entry.documents.to(chain.device), distance).rounded()
        return Artefact({name: torch.from_numpy(column) for name, column in results.columns.items()})

    name = digest([entry.id, chain.dataset.fingerprint, distance, RETRIEVAL])
    stored = get_or_make(chain.store.evaluations, name, make, chain.notify)
    return QueryResults(**{name: column.numpy() for name, column in stored.tensors.items()})


def entry_metrics(
    results: Results, entry: ArrayRef, subset: Subset = "all", mask: NDArray[np.bool_] | None = None
) -> Iterator[Metric]:
    """The retrieval numbers of one entry over the queries in `mask` (Q,).

    Of all queries by cosine every number with its 95% interval, else those of DERIVED_FROM without.
    """
    whole = (subset, entry.distance) == ("all", "cosine")
    chosen = results.answerable if mask is None else results.answerable & mask
    queries = results.count if mask is None else int(chosen.sum())
    for name in results.names if whole else DERIVED_FROM:
        values = results.per_query(name)[chosen]
        number = mean_estimate(values) if whole or not len(values) else Estimate(float(values.mean()))
        yield metric(name, entry.at, number, queries, subset=subset, distance=entry.distance)
