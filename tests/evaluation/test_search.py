"""Index recall against brute force; rates are only checked to be there, for they depend on the machine."""

import numpy as np
import pytest
import torch

from compatbench.errors import InvalidResultError
from compatbench.evaluation.search import recall, search_speed


def clusters(rng, size: int, dim: int = 16) -> np.ndarray:
    centres = rng.normal(size=(20, dim))
    return (centres[rng.integers(0, 20, size)] + 0.5 * rng.normal(size=(size, dim))).astype(np.float32)


def test_recall_by_hand() -> None:
    truth = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert recall(truth, truth) == 1
    assert recall(truth[:, ::-1], truth) == 1
    assert recall(np.array([[4, 9, 1, 0], [-1, -1, -1, 6]]), truth) == pytest.approx(3 / 8)


def test_numbers_and_recall_against_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exhaustive neighbours that recall is taken against are those of a numpy cosine search."""
    rng = np.random.default_rng(0)
    gallery, query = clusters(rng, 800) * 3, clusters(rng, 50)
    seen = []
    monkeypatch.setattr(
        "compatbench.evaluation.search.recall", lambda found, truth: seen.append((found, truth)) or recall(found, truth)
    )
    numbers = search_speed(query, gallery, k=10, repeats=2)
    cosines = (query @ gallery.T) / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(gallery, axis=1)
    nearest = np.argsort(-cosines, axis=1)[:, :10]
    (found, truth) = seen[0]
    np.testing.assert_array_equal(truth, nearest)
    overlap = np.mean([len(set(f) & set(n)) / 10 for f, n in zip(found.tolist(), nearest.tolist(), strict=True)])
    assert numbers["faiss_hnsw_recall"] == pytest.approx(overlap)
    assert numbers["faiss_hnsw_recall"] > 0.9
    assert numbers["bytes_per_vector"] == 64
    assert min(numbers["faiss_flat_qps"], numbers["faiss_hnsw_qps"], numbers["faiss_hnsw_build_seconds"]) > 0
    assert not any(name.startswith("faiss_ivfpq") for name in numbers)


def test_large_galleries_get_a_product_quantiser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compatbench.evaluation.search.TRAINING_POINTS", 8)  # so that 2,048 are large
    rng = np.random.default_rng(1)
    gallery = clusters(rng, 2048, dim=4)
    numbers = search_speed(gallery[:100], gallery, repeats=1)
    assert numbers["faiss_ivfpq_bytes_per_vector"] == 4
    assert 0.3 < numbers["faiss_ivfpq_recall"] <= 1
    assert numbers["faiss_ivfpq_qps"] > 0


def test_k_is_cut_to_the_gallery() -> None:
    rng = np.random.default_rng(2)
    assert search_speed(clusters(rng, 5), clusters(rng, 4), k=10, repeats=1)["faiss_hnsw_recall"] == 1


def test_thread_numbers_are_restored() -> None:
    import faiss

    before = faiss.omp_get_max_threads(), torch.get_num_threads()
    rng = np.random.default_rng(3)
    search_speed(clusters(rng, 5), clusters(rng, 50), repeats=1)
    with pytest.raises(ValueError, match="query vectors have 16 dimensions, gallery vectors 8"):
        search_speed(clusters(rng, 5), clusters(rng, 50, dim=8))
    assert (faiss.omp_get_max_threads(), torch.get_num_threads()) == before
    assert float((torch.ones(300, 300) @ torch.ones(300, 300)).mean()) == 300


def test_vectors_without_direction_are_refused() -> None:
    rng = np.random.default_rng(4)
    gallery = clusters(rng, 50)
    gallery[7] = 0
    with pytest.raises(InvalidResultError, match="gallery: 1 of 50 vectors are zero, the first is row 7"):
        search_speed(clusters(rng, 5), gallery)
