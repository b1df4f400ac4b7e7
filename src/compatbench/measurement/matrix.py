"""The compatibility matrix: per-query results of M(q,g), and their retrieval numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import RETRIEVAL, QueryResults
from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.retrieval import evaluate
from compatbench.evaluation.similarity import Distance
from compatbench.measurement.numbers import metric
from compatbench.measurement.served_chain import MatrixEntry, ServedChain
from compatbench.records.record import ArrayRef, Metric
from compatbench.storage.canonical import digest
from compatbench.storage.files import write_whole

Subset = Literal["all", "seen", "unseen"]
DISTANCES: tuple[Distance, ...] = ("cosine", "l2")


def matrix(chain: ServedChain) -> list[ArrayRef]:
    """Every entry by cosine and by L2 distance, each pair of models scored once for all cells of a runs folder."""
    total = len(chain.generations) * (len(chain.generations) + 1) // 2 + len(chain.references)
    arrays = []
    for done, entry in enumerate(chain.entries(), start=1):
        for distance in DISTANCES:
            arrays.append(ArrayRef(**entry.place, distance=distance, sha256=_scored(chain, entry, distance)))
        chain.progress("evaluate", done / total)
    return arrays


def _scored(chain: ServedChain, entry: MatrixEntry, distance: Distance) -> str:
    """Hash of the per-query results, from an earlier cell that scored the same vectors where there was one."""
    store = chain.store
    described = [entry.id, chain.dataset.fingerprint, distance, RETRIEVAL]
    pointer = store.evaluations / f"{digest(described)}.json"
    try:
        sha256 = str(json.loads(pointer.read_text())["sha256"])
        QueryResults.read(store.arrays, sha256)
    except (OSError, ValueError, KeyError, RequestError):  # not scored yet, or damaged
        results = evaluate(entry.queries.to(chain.device), entry.documents.to(chain.device), distance)
        sha256 = results.write(store.arrays)
        write_whole(pointer, json.dumps({"sha256": sha256}))
    return sha256


def entry_metrics(
    results: QueryResults, entry: ArrayRef, subset: Subset = "all", mask: NDArray[np.bool_] | None = None
) -> Iterator[Metric]:
    """The retrieval numbers of one entry over the queries in `mask` (Q,), with 95% intervals."""
    chosen = results.answerable if mask is None else results.answerable & mask
    for name in results.names:
        values = results.per_query(name)[chosen]
        yield metric(name, entry.at, mean_estimate(values), len(values), subset=subset, distance=entry.distance)
