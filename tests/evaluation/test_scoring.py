"""Scoring of a gallery that passes by against the scoring of whole galleries, against pytrec_eval, and by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
import pytrec_eval
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from compatbench.data.lists import Lists
from compatbench.evaluation import scoring
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.relevance import Relevance, by_label
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.evaluation.scoring import Chunks, System, score
from compatbench.evaluation.thresholds import ThresholdTransfer


def chunked(versions: Mapping[str, Tensor]) -> Chunks:
    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        for begin in range(0, len(next(iter(versions.values()))), size):
            yield {name: one[begin : begin + size] for name, one in versions.items()}

    return chunks


def judged(lists: Sequence[NDArray[np.int64]], own: NDArray[np.int64], items: int) -> Relevance:
    size = len(lists)
    return Relevance.of(Lists.of(lists), np.arange(size), own, Lists.empty(size), items, by_label=False)


def same(found: QueryResults, expected: QueryResults) -> None:
    for name in ("ids", "first_rank", "relevant"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert np.allclose(found.average_precision, expected.average_precision, atol=1e-6, equal_nan=True)
    assert np.allclose(found.ap_at_r, expected.ap_at_r, atol=1e-6, equal_nan=True)


@pytest.fixture(params=["one chunk", "many chunks", "many chunks and blocks, of which few may wait"])
def chunk_items(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    if request.param.endswith("wait"):
        monkeypatch.setattr(scoring, "BLOCK_QUERIES", 16)
        monkeypatch.setattr(scoring, "WAITING_BYTES", 48 * 8 * 2 * 40)
    return 512 if request.param == "one chunk" else 64


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("sort", [False, True])
def test_scores_are_those_of_the_whole_gallery(tied: bool, sort: bool, chunk_items: int) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 12, 300)
    labels = np.sort(labels) if sort else labels
    labels[0] = 12  # alone in its class, so that it is a query without an answer
    values = torch.from_numpy(generator.normal(size=(300, 16)).astype(np.float32))
    if tied:
        values = values[torch.from_numpy(generator.integers(0, 20, 300))]
    other = torch.from_numpy(generator.normal(size=(300, 9)).astype(np.float32))
    unit, other = F.normalize(values), F.normalize(other)
    rows = np.concatenate(([0], generator.permutation(np.arange(1, 300))[:110]))
    ids = torch.from_numpy(np.arange(300) + 1000)
    systems = {"a": System(unit[rows], "x"), "b": System(other[rows], "y")}
    relevance = by_label(labels[rows], labels, rows)
    found = score(systems, chunked({"x": unit, "y": other}), relevance, rows + 1000, chunk_items=chunk_items)
    classes = torch.from_numpy(labels)
    for name, side in (("a", unit), ("b", other)):
        query = Vectors(side[rows], classes[rows], ids[rows])
        same(found[name], evaluate(query, Vectors(side, classes, ids)))


def test_relevance_judgements_are_those_of_pytrec_eval(chunk_items: int) -> None:
    generator = np.random.default_rng(1)
    gallery = F.normalize(torch.from_numpy(generator.normal(size=(200, 8)).astype(np.float32)))
    queries = F.normalize(torch.from_numpy(generator.normal(size=(70, 8)).astype(np.float32)))
    groups = [np.sort(generator.choice(200, generator.integers(1, 9), replace=False)) for _ in range(70)]
    relevance = judged(groups, np.full(70, -1), 200)
    found = score(
        {"a": System(queries, "x")}, chunked({"x": gallery}), relevance, np.arange(70), chunk_items=chunk_items
    )["a"]
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
    relevance = judged([np.array([2])], np.array([0]), 3)  # itself irrelevant, by a judgement
    systems = {"a": System(gallery[:1], "x")}
    found = score(systems, chunked({"x": gallery}), relevance, np.array([7]), chunk_items=64)["a"]
    assert found.first_rank.tolist() == [2]
    assert found.average_precision.tolist() == [0.5]


def test_acceptance_is_counted_pair_by_pair(chunk_items: int) -> None:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 5, 300)
    sides = [F.normalize(torch.from_numpy(generator.normal(size=(300, 6)).astype(np.float32))) for _ in range(2)]
    rows, first = np.arange(0, 300, 2), np.arange(0, 240, 2)
    systems = {"old": System(sides[0][rows], "x"), "new": System(sides[1][rows], "x")}
    relevance, tested = by_label(labels[rows], labels, rows), by_label(labels[first], labels, first)
    tuned = ThresholdTransfer(["old"], tested, first, "old")
    old = {"old": System(sides[0][first], "x")}
    score(old, chunked({"x": sides[0]}), tested, first, chunk_items=chunk_items, transfer=tuned)
    found = ThresholdTransfer(systems, tested, first, "old", tuned.thresholds["old"])
    score(systems, chunked({"x": sides[0]}), relevance, rows, chunk_items=chunk_items, transfer=found)
    assert found.rates == (1e-2,)  # 29,000 impostor pairs: enough for 290 false accepts, and for 29 at the next rate
    same_class = labels[first][:, None] == labels
    pair = first[:, None] != np.arange(300)
    cosines = {name: (side[first] @ sides[0].T).numpy() for name, side in zip(systems, sides, strict=True)}
    limits = {}
    for name, scores in cosines.items():
        descending = np.sort(scores[~same_class])[::-1]
        limits[name] = descending[int(0.01 * len(descending))]
        assert found.thresholds[name] == pytest.approx([limits[name]])
    for name, scores in cosines.items():
        for transferred in (False, True):
            above = scores > (limits["old"] if transferred else limits[name])
            (accepted,) = found.acceptance(name, transferred=transferred).values()
            assert accepted.ids.tolist() == first.tolist()
            for array, pairs in (("genuine", same_class & pair), ("impostors", ~same_class)):
                assert getattr(accepted, array).tolist() == pairs.sum(axis=1).tolist()
                assert getattr(accepted, f"accepted_{array}").tolist() == (pairs & above).sum(axis=1).tolist()


def test_chunks_that_do_not_hold_the_gallery_are_refused() -> None:
    gallery = torch.eye(4)
    relevance = judged([np.array([1])], np.array([-1]), 5)
    with pytest.raises(ValueError, match="the chunks held 4 items, and there are 5"):
        score({"a": System(gallery[:1], "x")}, chunked({"x": gallery}), relevance, np.array([0]), chunk_items=64)
