"""Index search between files of embeddings, against indexes that are built and asked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from compatbench.comparison.embedding_search import FileSearch, search_embeddings
from compatbench.comparison.inputs import PairedItems, read_items
from compatbench.evaluation.indexes import build, faiss_threads
from compatbench.evaluation.search import SearchQueries, unit_rows
from compatbench.generations import adapters
from compatbench.generations.adapters import FittedAdapter

ITEMS, ASKED = 300, 60
REFILLED = ", in the index that was trained on old ones"


@pytest.fixture
def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    """New (N, 8) and old (N, 6)."""
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(9, 8))[generator.integers(0, 9, ITEMS)] + 0.6 * generator.normal(size=(ITEMS, 8))
    return torch.from_numpy(hidden.astype(np.float32)), torch.from_numpy(
        (hidden @ generator.normal(size=(8, 6))).astype(np.float32)
    )


@pytest.fixture
def items(vectors: tuple[torch.Tensor, torch.Tensor], tmp_path: Path) -> PairedItems:
    """The old file is shuffled, so rows are found by id."""
    new, old = vectors
    shuffled = np.random.default_rng(1).permutation(ITEMS)
    np.savez(tmp_path / "new.npz", vectors=new, ids=np.arange(ITEMS))
    np.savez(tmp_path / "old.npz", vectors=old.numpy()[shuffled], ids=shuffled)
    return read_items(tmp_path / "old.npz", tmp_path / "new.npz")


def searches(items: PairedItems, **options: object) -> dict[tuple[str, str], FileSearch]:
    given: dict[str, FittedAdapter] = options.pop("adapters", {})  # type: ignore[assignment]
    found = search_embeddings(items, given, queries=ASKED, repeats=1, **options)  # type: ignore[arg-type]
    return {(one.index, one.searched): one for one in found}


def recall(kind: str, query: torch.Tensor, stored: torch.Tensor, trained: torch.Tensor | None = None) -> float:
    rows = np.sort(np.random.default_rng(0).permutation(ITEMS)[:ASKED])
    unit = unit_rows(stored.numpy(), "")
    with faiss_threads(1):
        built = build(kind, unit) if trained is None else build(kind, unit_rows(trained.numpy(), "")).refilled(unit)
        queries = SearchQueries.of(unit_rows(query.numpy()[rows], ""), unit, rows)
        return queries.recall(built.index.search(queries.query, 11)[1])


def test_old_vectors_are_asked_by_all_queries(vectors: tuple[torch.Tensor, torch.Tensor], items: PairedItems) -> None:
    new, old = vectors
    ridge = adapters.fit("ridge", old, new)
    found = searches(items, adapters={"mine": ridge})
    for kind in ("flat", "hnsw", "ivfpq"):
        expected = {
            "old queries on old vectors": recall(kind, old, old),
            "new queries, no adapter on old vectors": recall(kind, torch.nn.functional.normalize(new)[:, :6], old),
            "new queries, mine on old vectors": recall(kind, ridge.query(new), old),
            "new queries on new vectors": recall(kind, new, new),
        }
        mine = {name: one.numbers.recall for (index, name), one in found.items() if index == kind}
        assert mine == pytest.approx(expected), kind
    numbers = found["flat", "old queries on old vectors"].numbers
    assert (numbers.queries, numbers.k, numbers.repeats) == (ASKED, 10, 1)


def test_a_rewritten_gallery_has_an_index_of_its_own(
    vectors: tuple[torch.Tensor, torch.Tensor], items: PairedItems
) -> None:
    new, old = vectors
    fct = adapters.fit("fct", old, new, params={"epochs": 2, "inner": 8})
    found = searches(items, adapters={"fct": fct})
    name = "new queries, fct on rewritten old vectors"
    assert found["ivfpq", name].numbers.recall == pytest.approx(recall("ivfpq", new, fct.gallery(old)))
    assert found["flat", name].bytes_per_vector == pytest.approx(4 * 8, rel=0.05)
    assert found["flat", "old queries on old vectors"].bytes_per_vector == pytest.approx(4 * 6, rel=0.05)


def test_new_vectors_of_the_old_dimension_go_into_the_old_index_too(
    vectors: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    new, old = vectors[0][:, :6], vectors[1]
    np.save(tmp_path / "new.npy", new)
    np.save(tmp_path / "old.npy", old)
    turned = adapters.fit("random_rotation", old, new)
    found = searches(read_items(tmp_path / "old.npy", tmp_path / "new.npy"), adapters={"turned": turned})
    assert [name for index, name in found if name.endswith(REFILLED)] == [
        f"new queries on new vectors{REFILLED}", f"new queries, turned on new vectors{REFILLED}",
    ]  # fmt: skip
    assert {index for index, name in found if name.endswith(REFILLED)} == {"ivfpq"}
    rotated = turned.new(new)
    for name, stored in (("new queries", new), ("new queries, turned", rotated)):
        one = found["ivfpq", f"{name} on new vectors{REFILLED}"]
        assert one.numbers.recall == pytest.approx(recall("ivfpq", stored, stored, old))
        assert one.build_seconds < found["ivfpq", f"{name} on new vectors"].build_seconds, "nothing was trained"


def test_seed_and_k_choose_what_is_asked(items: PairedItems) -> None:
    names = "ivfpq", "old queries on old vectors"
    first, again, other = (searches(items, seed=seed)[names].numbers.recall for seed in (0, 0, 1))
    assert first == again != other
    assert searches(items, k=1)["hnsw", names[1]].numbers.k == 1


def test_few_items_have_no_inverted_lists(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.random.default_rng(2).normal(size=(20, 4)))
    items = read_items(tmp_path / "few.npy", tmp_path / "few.npy")
    said: list[str] = []
    found = searches(items, notify=said.append)
    assert {index for index, _ in found} == {"flat", "hnsw"}
    assert all(one.numbers.queries == 20 for one in found.values())
    assert said == ["flat: old vectors", "flat: new vectors", "hnsw: old vectors", "hnsw: new vectors"]
