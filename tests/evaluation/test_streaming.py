"""Streamed scoring against the scoring of whole galleries, against pytrec_eval, and by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import pytrec_eval
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from compatbench.evaluation import streaming
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.evaluation.streaming import Chunks, Relevant, System, score
from compatbench.evaluation.verification import acceptance, thresholds


def chunked(versions: Mapping[str, Tensor]) -> Chunks:
    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        for begin in range(0, len(next(iter(versions.values()))), size):
            yield {name: one[begin : begin + size] for name, one in versions.items()}

    return chunks


def by_label(labels: NDArray[np.int64], queries: NDArray[np.int64], own: NDArray[np.int64]) -> Relevant:
    groups = [np.flatnonzero(labels == one) for one in range(labels.max() + 1)]
    return Relevant(groups, queries.astype(np.intp), own.astype(np.intp), len(labels))


def same(found: QueryResults, expected: QueryResults) -> None:
    for name in ("ids", "first_rank", "relevant"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert np.allclose(found.average_precision, expected.average_precision, atol=1e-6, equal_nan=True)
    assert np.allclose(found.ap_at_r, expected.ap_at_r, atol=1e-6, equal_nan=True)


@pytest.fixture(params=["one chunk", "many chunks and blocks"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "one chunk":
        monkeypatch.setattr(streaming, "CHUNK_ITEMS", (64, 64))
        monkeypatch.setattr(streaming, "BLOCK_QUERIES", 48)


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("tied", [False, True])
def test_scores_are_those_of_the_whole_gallery(tied: bool) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 12, 300)
    labels[0] = 12  # alone in its class, so that it is a query without an answer
    values = torch.from_numpy(generator.normal(size=(300, 16)).astype(np.float32))
    if tied:
        values = values[torch.from_numpy(generator.integers(0, 20, 300))]
    other = torch.from_numpy(generator.normal(size=(300, 9)).astype(np.float32))
    unit, other = F.normalize(values), F.normalize(other)
    rows = np.concatenate(([0], generator.permutation(np.arange(1, 300))[:110]))
    ids = torch.from_numpy(np.arange(300) + 1000)
    systems = {"a": System(unit[rows], "x"), "b": System(other[rows], "y")}
    relevant = by_label(labels, labels[rows], rows)
    found = score(systems, chunked({"x": unit, "y": other}), relevant, rows + 1000, "a")
    classes = torch.from_numpy(labels)
    for name, side in (("a", unit), ("b", other)):
        query = Vectors(side[rows], classes[rows], ids[rows])
        same(found[name].results, evaluate(query, Vectors(side, classes, ids)))


@pytest.mark.usefixtures("sizes")
def test_relevance_judgements_are_those_of_pytrec_eval() -> None:
    generator = np.random.default_rng(1)
    gallery = F.normalize(torch.from_numpy(generator.normal(size=(200, 8)).astype(np.float32)))
    queries = F.normalize(torch.from_numpy(generator.normal(size=(70, 8)).astype(np.float32)))
    groups = [np.sort(generator.choice(200, generator.integers(1, 9), replace=False)) for _ in range(70)]
    relevant = Relevant(groups, np.arange(70), np.full(70, -1), 200)
    found = score({"a": System(queries, "x")}, chunked({"x": gallery}), relevant, np.arange(70), "a")["a"].results
    qrels = {f"q{query}": {f"d{item}": 1 for item in items} for query, items in enumerate(groups)}
    run = {
        f"q{query}": {f"d{item}": float(value) for item, value in enumerate(row)}
        for query, row in enumerate((queries @ gallery.T).numpy())
    }
    measured = pytrec_eval.RelevanceEvaluator(qrels, {"map", "recip_rank"}).evaluate(run)
    for query in range(70):
        assert found.average_precision[query] == pytest.approx(measured[f"q{query}"]["map"], abs=1e-6)
        assert 1 / found.first_rank[query] == pytest.approx(measured[f"q{query}"]["recip_rank"], abs=1e-6)


def test_a_query_never_finds_itself_nor_ranks_behind_itself() -> None:
    gallery = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]))
    relevant = Relevant([np.array([2])], np.array([0]), np.array([0]), 3)  # itself irrelevant, by a judgement
    found = score({"a": System(gallery[:1], "x")}, chunked({"x": gallery}), relevant, np.array([7]), "a")["a"].results
    assert found.first_rank.tolist() == [2]
    assert found.average_precision.tolist() == [0.5]


@pytest.mark.parametrize("chunk", [(64, 64), (2**14, 2**17)])
def test_acceptance_is_that_of_the_whole_gallery(monkeypatch: pytest.MonkeyPatch, chunk: tuple[int, int]) -> None:
    monkeypatch.setattr(streaming, "CHUNK_ITEMS", chunk)
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 5, 300)
    sides = [F.normalize(torch.from_numpy(generator.normal(size=(300, 6)).astype(np.float32))) for _ in range(2)]
    rows, classes, ids = np.arange(0, 300, 2), torch.from_numpy(labels), torch.arange(300)
    found = score(
        {"old": System(sides[0][rows], "x"), "new": System(sides[1][rows], "x")},
        chunked({"x": sides[0]}),
        by_label(labels, labels[rows], rows),
        rows,
        "old",
    )
    rates = (1e-2,)  # 36,000 impostor pairs: enough for 360 false accepts, and no more than 36 at the next rate
    gallery = Vectors(sides[0], classes, ids)
    queries = {
        name: Vectors(side[rows], classes[rows], ids[rows]) for name, side in zip(("old", "new"), sides, strict=True)
    }
    limits = {name: thresholds(one, gallery, rates) for name, one in queries.items()}
    for name, kind, limit in (
        ("old", "own_threshold", limits["old"]),
        ("new", "own_threshold", limits["new"]),
        ("old", "transferred", limits["old"]),
        ("new", "transferred", limits["old"]),
    ):
        by_rate = getattr(found[name], kind)
        assert set(by_rate) == set(rates)
        expected = acceptance(queries[name], gallery, limit)[0]
        for array in ("ids", "genuine", "impostors", "accepted_genuine", "accepted_impostors"):
            assert np.array_equal(getattr(by_rate[1e-2], array), getattr(expected, array)), (name, kind, array)


def test_chunks_that_do_not_hold_the_gallery_are_refused() -> None:
    gallery = torch.eye(4)
    relevant = Relevant([np.array([1])], np.array([0]), np.array([-1]), 5)
    with pytest.raises(ValueError, match="the chunks held 4 items, and there are 5"):
        score({"a": System(gallery[:1], "x")}, chunked({"x": gallery}), relevant, np.array([0]), "a")
