"""Which setting of an old index helps new queries: `python scripts/examples/index_settings.py OLD NEW`.

Prints recall@10 against exact search for wider searches of HNSW and IVF-PQ, and for IVF-PQ whose first hundred are
ranked again by the full vectors (docs/index-search.md quotes the output). OLD and NEW have one dimension.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from compatbench.comparison.inputs import read_items
from compatbench.evaluation.indexes import BuiltIndex, Matrix, build, faiss_threads
from compatbench.evaluation.search import SearchQueries

RERANKED = 100


def searches(built: BuiltIndex, kind: str, queries: SearchQueries) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Settings of an index, and what it finds with them."""
    index, query, k = built.index, queries.query, queries.k + 1
    if kind == "hnsw":
        for breadth in (16, 64, 256):
            index.hnsw.efSearch = breadth
            yield f"HNSW, efSearch {breadth}", index.search(query, k)[1]
        return
    lists = faiss.extract_index_ivf(index)
    rule = lists.nprobe
    for probes in (rule, 4 * rule, lists.nlist):
        lists.nprobe = probes
        yield f"IVF-PQ, {probes} of {lists.nlist} lists", index.search(query, k)[1]
    lists.nprobe = rule
    found = index.search(query, RERANKED)[1]
    cosines = np.einsum("qd,qkd->qk", query, queries.vectors[found])
    order = np.argsort(-cosines, axis=1)
    yield f"IVF-PQ, {rule} of {lists.nlist} lists, first {RERANKED} re-ranked", np.take_along_axis(found, order, axis=1)


def recalls(built: BuiltIndex, kind: str, query: Matrix, vectors: Matrix, own: NDArray[np.int64]) -> dict[str, float]:
    """Recall@10 by setting."""
    queries = SearchQueries.of(query, vectors, own)
    return {setting: queries.recall(found) for setting, found in searches(built, kind, queries)}


def main() -> None:
    """Read the two files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    files = parser.parse_args()
    items = read_items(files.old, files.new)
    everything = np.arange(len(items))
    old, new = items.old_vectors(everything).numpy(), items.new_vectors(everything).numpy()
    own = np.sort(np.random.default_rng(0).permutation(len(items))[:1000])
    rows = {}
    with faiss_threads(1):
        for kind in ("hnsw", "ivfpq"):
            index = build(kind, old)
            columns = {"o,o": (index, old, old), "n,o": (index, new, old), "n,n": (build(kind, new), new, new)}
            if kind == "ivfpq":
                columns["n,n refilled"] = index.refilled(new), new, new
            for name, (built, query, vectors) in columns.items():
                for setting, recall in recalls(built, kind, query[own], vectors, own).items():
                    rows.setdefault(setting, {})[name] = recall
    table = [{"recall@10": setting, **found} for setting, found in rows.items()]
    print(f"Faiss {faiss.__version__}, {len(items):,} vectors of {items.old.dim} dimensions\n")
    print(tabulate(table, headers="keys", tablefmt="pipe", floatfmt=".2f", missingval="–"))


if __name__ == "__main__":
    main()
