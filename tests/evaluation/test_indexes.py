"""Sizes by the rules, by hand; what the indexes hold; and that threads are given back."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch

from compatbench.evaluation.indexes import build, faiss_threads, inverted_lists, kinds


def unit(rng, size: int, dim: int) -> np.ndarray:
    vectors = rng.normal(size=(20, dim))[rng.integers(0, 20, size)] + 0.5 * rng.normal(size=(size, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "dim", "expected"),
    [
        (78, 1, (2, 1, 1, 1)),  # 2 points a centroid: 2 lists, 1 bit
        (797, 32, (20, 2, 8, 4)),  # 20 points: 16 codes
        (10_000, 64, (256, 16, 16, 8)),  # 256 points, fewer than 4 · 100
        (1_000_000, 512, (4000, 250, 64, 8)),  # 4 · 1000 lists
        (1_000_000, 130, (4000, 250, 33, 8)),  # ⌈130 / 4⌉ parts
    ],
)
def test_sizes_by_hand(size: int, dim: int, expected: tuple[int, int, int, int]) -> None:
    assert inverted_lists(size, dim) == expected


def test_too_few_vectors_get_no_inverted_lists() -> None:
    assert kinds(77) == ("flat", "hnsw")
    assert kinds(78) == ("flat", "hnsw", "ivfpq")


@pytest.mark.parametrize(("dim", "padded"), [(12, 12), (9, 9), (10, 12)])
def test_ivfpq_has_the_sizes_of_the_rules_and_codes_every_vector(dim: int, padded: int) -> None:
    vectors = unit(np.random.default_rng(0), 700, dim)
    built = build("ivfpq", vectors)
    index = faiss.downcast_index(built.index.index) if dim != padded else built.index
    lists, probes, parts, bits = inverted_lists(700, dim)
    assert (index.nlist, index.nprobe, index.pq.M, index.pq.nbits) == (lists, probes, parts, bits)
    assert (built.index.d, index.d, built.index.ntotal) == (dim, padded, 700)
    centroids = np.sort(index.quantizer.reconstruct_n(0, lists), axis=0)
    codes = (parts * bits + 7) // 8 + 8  # and an id of 8 bytes
    codebooks = 4 * padded * 2**bits + centroids.nbytes
    assert built.bytes_per_vector == pytest.approx(codes + codebooks / 700, rel=0.1)


def test_flat_stores_the_numbers_and_hnsw_its_links_too() -> None:
    vectors = unit(np.random.default_rng(1), 600, 16)
    assert build("flat", vectors).bytes_per_vector == pytest.approx(4 * 16, rel=0.01)
    hnsw = build("hnsw", vectors)
    assert hnsw.bytes_per_vector == pytest.approx(4 * 16 + 4 * 64, rel=0.15)
    assert hnsw.build_seconds > 0


@pytest.mark.parametrize("dim", [12, 10])
def test_a_refilled_index_keeps_its_training_and_holds_the_other_vectors(dim: int) -> None:
    rng = np.random.default_rng(2)
    old, new = unit(rng, 500, dim), unit(rng, 300, dim)
    built = build("ivfpq", old)
    before = built.index.search(old[:5], 3)
    refilled = built.refilled(new)
    inner = [faiss.downcast_index(i.index) if dim == 10 else i for i in (built.index, refilled.index)]
    assert [i.ntotal for i in inner] == [500, 300]
    assert inner[0].nprobe == inner[1].nprobe
    lists = inner[0].nlist
    assert np.array_equal(*(i.quantizer.reconstruct_n(0, lists) for i in inner))
    assert np.array_equal(*(faiss.vector_to_array(i.pq.centroids) for i in inner))
    assert np.array_equal(before[1], built.index.search(old[:5], 3)[1]), "the first index is as it was"


def test_the_same_vectors_give_the_same_index() -> None:
    vectors = unit(np.random.default_rng(3), 500, 8)
    with faiss_threads(1):
        for kind in kinds(500):
            first, second = (faiss.serialize_index(build(kind, vectors).index) for _ in range(2))
            assert np.array_equal(first, second), kind


def test_thread_numbers_are_restored_and_torch_still_works() -> None:
    before = faiss.omp_get_max_threads(), torch.get_num_threads()
    vectors = unit(np.random.default_rng(4), 200, 8)
    with faiss_threads(before[0] + 1):
        assert faiss.omp_get_max_threads() == before[0] + 1
        build("hnsw", vectors)
    with pytest.raises(AttributeError), faiss_threads(before[0] + 1):
        build("hnsw", None)  # type: ignore[arg-type]
    assert (faiss.omp_get_max_threads(), torch.get_num_threads()) == before
    assert float((torch.ones(300, 300) @ torch.ones(300, 300)).mean()) == 300
