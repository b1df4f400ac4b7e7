"""Inner product and distance rank as faiss ranks the vectors as they are stored."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch

from compatbench.comparison.evaluate import Settings, compare
from compatbench.comparison.inputs import length_notices, read_items
from compatbench.comparison.relevance import by_class
from compatbench.comparison.split import make_split
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError
from compatbench.evaluation.hamming import queries_of_signs, stored_signs
from compatbench.evaluation.similarity import Ranking
from compatbench.machine.stopwatch import Stopwatch
from compatbench.vocabulary import FitOn, Similarity

ITEMS, QUERIES, CLASSES = 200, 240, 5


@pytest.mark.parametrize("across_queries", [False, True])
@pytest.mark.parametrize("similarity", Similarity)
def test_inner_products_of_what_it_makes_rank_as_faiss_does(similarity: Similarity, across_queries: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, stored = torch.randn(30, 6, generator=generator), torch.randn(80, 6, generator=generator)
    stored *= torch.rand(80, 1, generator=generator) * 5
    unit = torch.nn.functional.normalize
    longest = float(torch.cat((query, stored)).norm(dim=1).max())
    ranking = Ranking.of(similarity, longest, across_queries=across_queries)
    scores = ranking.query(query.clone()) @ ranking.gallery(stored.clone()).T
    assert -1.5 <= float(scores.min()) <= float(scores.max()) < 2
    index = faiss.IndexFlatL2(6) if similarity is Similarity.L2 else faiss.IndexFlatIP(6)
    as_stored = (unit(query), unit(stored)) if similarity is Similarity.COSINE else (query, stored)
    index.add(as_stored[1].numpy())
    _, expected = index.search(as_stored[0].numpy(), 80)
    assert np.array_equal(scores.argsort(dim=1, descending=True).numpy(), expected)
    if similarity is Similarity.L2 and across_queries:
        torch.testing.assert_close(
            -2 * scores / ranking.scale**2, torch.cdist(query, stored) ** 2, rtol=1e-4, atol=1e-4
        )


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Queries of both models are moved by a constant of the model, and lengths of old items differ."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(CLASSES, 6))
    made = {"labels": np.arange(ITEMS) % CLASSES, "q_labels": np.arange(QUERIES) % CLASSES}
    hidden = {side: centres[made[f"{side}labels"]] for side in ("", "q_")}
    hidden = {side: one + 0.4 * generator.normal(size=one.shape) for side, one in hidden.items()}
    for name, dim, noise in (("old", 8, 0.9), ("new", 10, 0.4)):
        turn, moved = generator.normal(size=(6, dim)), 4 * generator.normal(size=dim)
        for side, one in hidden.items():
            vectors = one @ turn + noise * generator.normal(size=(len(one), dim)) + (moved if side else 0)
            if name == "old" and not side:
                vectors *= np.exp(generator.normal(size=(ITEMS, 1)))
            made[f"{side}{name}"] = vectors.astype(np.float32)
            np.savez(f"{side}{name}.npz", vectors=made[f"{side}{name}"], labels=made[f"{side}labels"])
    return made


def found(**settings: object) -> tuple[object, dict[str, np.ndarray]]:
    items, queries = (read_items(Path(f"{side}old.npz"), Path(f"{side}new.npz")) for side in ("", "q_"))
    chosen = Settings(adapters=("ridge", "procrustes"), **settings)  # type: ignore[arg-type]
    comparison, results = compare(
        items, queries, by_class(items, queries), chosen, "", torch.device("cpu"), Stopwatch()
    )
    return comparison, {name: one.per_query("mAP") for name, one in results.items()} | {
        "ids": next(iter(results.values())).ids
    }


def average_precision(order: np.ndarray, relevant: np.ndarray) -> float:
    hits = relevant[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


@pytest.mark.parametrize("similarity", [Similarity.DOT, Similarity.L2])
def test_the_old_system_scores_as_its_index_would(files: dict[str, np.ndarray], similarity: Similarity) -> None:
    """The whole gallery is searched, since only queries are fitted on."""
    comparison, results = found(similarity=similarity, fit_on=FitOn.QUERIES)
    assert comparison.similarity is similarity
    assert comparison.notices == []
    for name, query, stored in (("status quo", "q_old", "old"), ("full backfill", "q_new", "new")):
        index = faiss.IndexFlatL2(8 if stored == "old" else 10)
        if similarity is Similarity.DOT:
            index = faiss.IndexFlatIP(index.d)
        index.add(files[stored])
        _, order = index.search(files[query][results["ids"]], ITEMS)
        expected = [
            average_precision(one, files["labels"] == files["q_labels"][row])
            for one, row in zip(order, results["ids"], strict=True)
        ]
        assert np.allclose(results[name], expected, atol=1e-5)


def test_unequal_lengths_are_said_where_cosine_does_not_see_them(files: dict[str, np.ndarray]) -> None:
    comparison, _ = found()
    (notice,) = [one for one in comparison.notices if one.kind == "lengths"]
    assert "old.npz (" in notice.text
    assert "--similarity dot or l2" in notice.text
    for name in ("old", "new"):
        unit = files[name] / np.linalg.norm(files[name], axis=1, keepdims=True)
        np.save(f"{name}.npy", unit)
    assert length_notices(read_items(Path("old.npy"), Path("new.npy"))) == ()


def test_adapters_fitted_on_queries_learn_where_queries_lie(files: dict[str, np.ndarray]) -> None:
    parts = {}
    gains = {}
    for fit_on in FitOn:
        comparison, results = found(fit_on=fit_on)
        parts[fit_on], gains[fit_on] = comparison.parts, (results["ridge"] - results["status quo"]).mean()
        assert len(results["ids"]) == comparison.parts.queries
    assert (parts[FitOn.DOCUMENTS].fitting_pairs, parts[FitOn.DOCUMENTS].fitting_pairs_of_queries) == (100, 0)
    assert (parts[FitOn.QUERIES].fitting_pairs, parts[FitOn.QUERIES].fitting_pairs_of_queries) == (120, 120)
    assert (parts[FitOn.BOTH].fitting_pairs, parts[FitOn.BOTH].fitting_pairs_of_queries) == (220, 120)
    assert [parts[one].queries for one in FitOn] == [240, 120, 120]
    assert [parts[one].searched_items for one in FitOn] == [100, 200, 100]
    assert gains[FitOn.QUERIES] > 0 > gains[FitOn.DOCUMENTS]


def test_queries_are_fitted_on_only_where_there_are_some(files: dict[str, np.ndarray]) -> None:
    items = read_items(Path("old.npz"), Path("new.npz"))
    with pytest.raises(RequestError, match=r"--fit-on both takes .*--old-queries"):
        compare(items, None, by_class(items, None), Settings(fit_on=FitOn.BOTH), "", torch.device("cpu"), Stopwatch())


@pytest.mark.parametrize("dim", [6, 16, 48, 300, 1024])
def test_packed_bits_rank_by_hamming_distance_to_the_last_tie(tmp_path: Path, dim: int) -> None:
    """Against whole numbers, an item as far as a relevant one counted before it; and scores are still cosines."""
    generator = np.random.default_rng(dim)
    labels = np.arange(ITEMS) % CLASSES
    hidden = generator.normal(size=(CLASSES, dim))[labels] + 2 * generator.normal(size=(ITEMS, dim))
    bits = {"old": hidden > 0, "new": hidden + generator.normal(size=hidden.shape) > 0}
    for name, one in bits.items():
        np.save(tmp_path / f"{name}.npy", np.packbits(one, axis=1))
    packed = InputOptions(packed_bits=True, dims=dim, old_dims=dim)
    items = read_items(tmp_path / "old.npy", tmp_path / "new.npy", labels, packed)
    chosen = Settings(adapters=("procrustes",))
    _, results = compare(items, None, by_class(items, None), chosen, "", torch.device("cpu"), Stopwatch())
    gallery = make_split(by_class(items, None), chosen.fit_pairs, 2000, 0).gallery
    for name, one in (("status quo", bits["old"]), ("full backfill", bits["new"])):
        for row, found in zip(results[name].ids, results[name].per_query("mAP"), strict=True):
            others = gallery[gallery != row]
            far, relevant = (one[others] != one[row]).sum(1), labels[others] == labels[row]
            order = np.lexsort((relevant, far))
            assert found == pytest.approx(average_precision(order, relevant), abs=1e-6)
    unit = {name: torch.from_numpy(np.where(one, 1.0, -1.0)) / dim**0.5 for name, one in bits.items()}
    mapped = torch.nn.functional.normalize(torch.randn(9, dim, generator=torch.Generator().manual_seed(0)))
    for queries in (unit["old"][:9].float(), mapped):
        cosines = queries_of_signs(queries) @ stored_signs(unit["old"].float()).T
        torch.testing.assert_close(cosines.double(), queries.double() @ unit["old"].T, rtol=1e-4, atol=1e-6)
