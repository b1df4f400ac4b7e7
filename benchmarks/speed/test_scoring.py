"""Exact scoring beside the bare matrix product, and beside pytorch-metric-learning.

Both sides of a ratio are measured in turn in the same rounds, so that other work on the machine strikes both;
`ratio` is that of their medians, `best_ratio` that of their minima.
"""

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from compatbench.evaluation.relevance import by_label
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.evaluation.scoring import System, score

ROUNDS = 5


def clusters(size: int, dim: int, classes: int, seed: int, first_id: int = 0) -> Vectors:
    """Class clusters that overlap: retrieval neither perfect nor by chance."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(classes))
    labels = torch.arange(size) % classes
    values = centres[labels] + 3 * torch.randn(size, dim, generator=generator)
    return Vectors(torch.nn.functional.normalize(values), labels, torch.arange(first_id, first_id + size))


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(benchmark: BenchmarkFixture, ours: Callable[[], object], theirs: Callable[[], object]) -> dict[str, float]:
    """Time `ours` by the benchmark, and `theirs` before each of its rounds."""
    ours()
    theirs()
    others: list[float] = []
    benchmark.pedantic(ours, setup=lambda: others.append(seconds(theirs)), rounds=ROUNDS)
    assert benchmark.stats is not None
    own = benchmark.stats.stats
    return {
        "other_median": float(np.median(others)),
        "other_best": min(others),
        "median": own.median,
        "best": own.min,
    }


@pytest.mark.benchmark(group="scoring")
@pytest.mark.parametrize("data", ["clusters", "noise"])
def test_scoring_beside_the_matrix_product(benchmark: BenchmarkFixture, data: str) -> None:
    """2,000 queries, 60,000 items, 512 dimensions, 1,000 classes: ratio to `query @ gallery.T`, target ≤ 1.5."""
    query = clusters(2_000, 512, 1_000, seed=0, first_id=10**6)
    gallery = clusters(60_000, 512, 1_000, seed=1)
    if data == "noise":
        query, gallery = (
            Vectors(torch.randn(side.values.shape, generator=torch.manual_seed(2)), side.labels, side.ids)
            for side in (query, gallery)
        )
    times = compare(benchmark, lambda: evaluate(query, gallery), lambda: query.values @ gallery.values.T)
    benchmark.extra_info["ratio"] = times["median"] / times["other_median"]
    benchmark.extra_info["best_ratio"] = times["best"] / times["other_best"]
    benchmark.extra_info["ratio_of"] = "scoring / matrix product, target ≤ 1.5"
    benchmark.extra_info["threads"] = torch.get_num_threads()


@pytest.mark.benchmark(group="scoring")
def test_scoring_beside_pytorch_metric_learning(benchmark: BenchmarkFixture) -> None:
    """10,000 queries and items, 64 dimensions, 10 classes: how many times faster than its mean average precision.

    Its rankings stop at the number of relevant items, ours go through the whole gallery; target ≥ 2.
    """
    side = clusters(10_000, 64, 10, seed=0)
    calculator = AccuracyCalculator(include=("mean_average_precision",), k="max_bin_count")

    def theirs() -> None:
        calculator.get_accuracy(side.values, side.labels, side.values, side.labels, ref_includes_query=True)

    times = compare(benchmark, lambda: evaluate(side, side), theirs)
    benchmark.extra_info["ratio"] = times["other_median"] / times["median"]
    benchmark.extra_info["best_ratio"] = times["other_best"] / times["best"]
    benchmark.extra_info["ratio_of"] = "pytorch-metric-learning / scoring, target ≥ 2"
    benchmark.extra_info["threads"] = torch.get_num_threads()


@pytest.mark.benchmark(group="scoring")
def test_scoring_on_one_thread(benchmark: BenchmarkFixture) -> None:
    """10,000 × 10,000 × 64 with 10 classes, the call that a suite makes hundreds of times; ratio to the product."""
    side = clusters(10_000, 64, 10, seed=0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = compare(benchmark, lambda: evaluate(side, side), lambda: side.values @ side.values.T)
    finally:
        torch.set_num_threads(threads)
    benchmark.extra_info["ratio"] = times["median"] / times["other_median"]
    benchmark.extra_info["best_ratio"] = times["best"] / times["other_best"]
    benchmark.extra_info["ratio_of"] = "scoring / matrix product"
    benchmark.extra_info["threads"] = 1


@pytest.mark.benchmark(group="scoring")
@pytest.mark.parametrize("items", [16_000, 60_000])
def test_a_gallery_that_passes_by_beside_one_in_memory(benchmark: BenchmarkFixture, items: int) -> None:
    """1,000 queries of 3 systems, 64 dimensions, 100 classes, in chunks of 16,384: ratio to `evaluate` three times.

    The gallery is in no order, as in files, and in one chunk or in four; target ≤ 1.5.
    """
    gallery = clusters(items, 64, 100, seed=0)
    order = torch.randperm(items, generator=torch.Generator().manual_seed(3))
    gallery = gallery.at(order)
    rows = np.arange(1_000)
    queries = gallery.at(torch.from_numpy(rows))
    relevance = by_label(queries.labels.numpy(), gallery.labels.numpy(), rows)
    systems = {name: System(queries.values, "items") for name in ("old", "new", "mapped")}

    def chunks(size: int) -> Iterator[Mapping[str, torch.Tensor]]:
        for begin in range(0, items, size):
            yield {"items": gallery.values[begin : begin + size]}

    def passing() -> None:
        score(systems, chunks, relevance, queries.ids.numpy(), chunk_items=2**14)

    times = compare(benchmark, passing, lambda: [evaluate(queries, gallery) for _ in systems])
    benchmark.extra_info["ratio"] = times["median"] / times["other_median"]
    benchmark.extra_info["best_ratio"] = times["best"] / times["other_best"]
    benchmark.extra_info["ratio_of"] = "gallery in chunks / gallery in memory, target ≤ 1.5"
    benchmark.extra_info["threads"] = torch.get_num_threads()
