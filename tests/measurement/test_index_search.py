"""Index searches of a record, against indexes that are built and asked by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known_vectors import known_chain, with_gallery

from compatbench.evaluation.indexes import build, faiss_threads
from compatbench.evaluation.search import SearchQueries, unit_rows
from compatbench.measurement import index_search as module
from compatbench.measurement.index_search import index_search
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import IndexSearch

ITEMS, DIM = 400, 8
OLD, CROSS, NEW, REFILLED = ("0", "0", "0"), ("1", "0", "0"), ("1", "1", "1"), ("1", "1", "0")
KINDS = "flat", "hnsw", "ivfpq"


Searches = dict[tuple[str, tuple[str, str, str]], IndexSearch]


def chain(folder: Path, new_dim: int = DIM) -> ServedChain:
    """Each query is a gallery item."""
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 5, ITEMS))
    ids = torch.from_numpy(rng.permutation(9000)[:ITEMS])
    spaces = []
    for dim in (DIM, new_dim):
        vectors = rng.normal(size=(5, dim))[labels] + rng.normal(size=(ITEMS, dim))
        spaces.append(torch.from_numpy(vectors.astype(np.float32)))
    return known_chain(folder, spaces, labels, ids)


def searches(tested: ServedChain) -> Searches:
    return {
        (one.index, (one.query_generation, one.gallery_generation, one.trained_generation)): one
        for one in index_search(tested, KINDS)
    }


def recall(kind: str, query: torch.Tensor, vectors: torch.Tensor, trained: torch.Tensor | None = None) -> float:
    unit = [unit_rows(side.numpy(), "") for side in (query, vectors)]
    with faiss_threads(1):
        built = (
            build(kind, unit[1]) if trained is None else build(kind, unit_rows(trained.numpy(), "")).refilled(unit[1])
        )
        queries = SearchQueries.of(*unit, np.arange(ITEMS))
        return queries.recall(built.index.search(unit[0], queries.k + 1)[1])


def test_every_entry_is_what_an_index_by_hand_finds(tmp_path: Path) -> None:
    tested = chain(tmp_path)
    found = searches(tested)
    assert set(found) == {(kind, at) for kind in ("flat", "hnsw", "ivfpq") for at in (OLD, CROSS, NEW)} | {
        ("ivfpq", REFILLED)
    }
    old, new = tested.generations
    for kind in ("flat", "hnsw", "ivfpq"):
        assert found[kind, OLD].recall == pytest.approx(recall(kind, old.query, old.gallery))
        assert found[kind, CROSS].recall == pytest.approx(recall(kind, new.query, old.gallery))
        assert found[kind, NEW].recall == pytest.approx(recall(kind, new.query, new.gallery))
    assert found["ivfpq", REFILLED].recall == pytest.approx(recall("ivfpq", new.query, new.gallery, old.gallery))
    assert found["ivfpq", REFILLED].recall < found["ivfpq", NEW].recall
    assert {(one.queries, one.k) for one in found.values()} == {(ITEMS, 10)}
    assert found["flat", OLD].bytes_per_vector == pytest.approx(4 * DIM, rel=0.02)


def test_queries_are_led_down_and_galleries_led_up(tmp_path: Path) -> None:
    tested = chain(tmp_path, new_dim=12)
    old, new = tested.generations
    led = replace(new, to_previous=lambda query, _: query[:, 2:10].roll(1, 1))
    found = searches(replace(tested, generations=[old, led]))
    assert ("ivfpq", REFILLED) not in found, "vectors of another dimension do not fit the old index"
    assert found["ivfpq", CROSS].recall == pytest.approx(recall("ivfpq", new.query[:, 2:10].roll(1, 1), old.gallery))
    risen = replace(new, from_previous=lambda gallery: torch.cat([gallery, gallery[:, :4]], dim=1))
    found = searches(replace(tested, generations=[old, risen]))
    rewritten = torch.cat([old.gallery, old.gallery[:, :4]], dim=1)
    assert found["ivfpq", CROSS].recall == pytest.approx(recall("ivfpq", new.query, rewritten))
    assert found["ivfpq", REFILLED].recall == pytest.approx(recall("ivfpq", new.query, new.gallery, rewritten))
    assert found["hnsw", OLD].recall == pytest.approx(recall("hnsw", old.query, old.gallery))


def test_an_index_of_the_same_old_vectors_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = chain(tmp_path)
    first = searches(tested)
    built = []
    monkeypatch.setattr(module, "build", lambda kind, vectors: built.append(kind) or build(kind, vectors))
    second = searches(tested)
    assert built == ["flat", "flat", "hnsw", "hnsw", "ivfpq"], "of the old vectors, then of the new ones"
    for at, one in first.items():
        assert second[at].recall == one.recall
        assert second[at].bytes_per_vector == one.bytes_per_vector
    for at in (OLD, CROSS):
        assert second["ivfpq", at].build_seconds == first["ivfpq", at].build_seconds


def test_a_damaged_index_is_built_again(tmp_path: Path) -> None:
    tested = chain(tmp_path)
    first = searches(tested)
    lines: list[str] = []
    files = list(tested.store.indexes.glob("*.safetensors"))
    for file in files:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    second = searches(replace(tested, notify=lines.append))
    assert len(lines) == len(files) == 1
    assert {at: one.recall for at, one in second.items()} == {at: one.recall for at, one in first.items()}


def test_no_kind_of_index_is_no_search(tmp_path: Path) -> None:
    assert index_search(chain(tmp_path), ()) == []


def test_queries_that_the_gallery_does_not_hold_skip_nothing(tmp_path: Path) -> None:
    tested = chain(tmp_path)
    split = tested.dataset.query
    found = searches(with_gallery(tested, split.labels, split.ids + 10_000))
    unit = unit_rows(tested.generations[0].query.numpy(), "")
    index = build("ivfpq", unit).index
    assert found["ivfpq", OLD].recall == pytest.approx(SearchQueries.of(unit, unit).recall(index.search(unit, 10)[1]))
