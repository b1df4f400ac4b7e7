"""Backfill curves beside what they replace: scoring the mixed gallery anew at every step of every order."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from compatbench.evaluation.backfill import backfill, class_wise_order, highest_first
from compatbench.evaluation.curves import BETAS
from compatbench.evaluation.retrieval import Side, Vectors, evaluate
from compatbench.vocabulary import Order

GALLERY, DIM, CLASSES = 10_000, 64, 10


def two_spaces(queries: int) -> tuple[Side, Side]:
    """Class clusters, and the same with other noise: two models of one embedding dimension."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(GALLERY) % CLASSES
    centres = torch.randn(CLASSES, DIM, generator=generator)[labels]
    sides = []
    for noise in (3.5, 3.0):
        values = centres + noise * torch.randn(GALLERY, DIM, generator=generator)
        side = Vectors(values, labels, torch.arange(GALLERY))
        sides.append((Vectors(side.values[:queries], side.labels[:queries], side.ids[:queries]), side))
    return sides[0], sides[1]


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.benchmark(group="backfill")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("queries", "orders"), [(1_000, 1), (1_000, 7), (10_000, 1)])
def test_backfill_beside_scoring_every_step(benchmark: BenchmarkFixture, queries: int, orders: int) -> None:
    """10,000 items, 64 dimensions, 10 classes, 21 steps; a cell follows 1,000 queries in 7 orders.

    `ratio` is the estimated time of scoring the gallery once for each step and order, from one such scoring, to
    the measured one; targets on one thread: 3 s for 1,000 queries in 7 orders, 10 s for 10,000 queries in one.
    """
    old, new = two_spaces(queries)
    rng = np.random.default_rng(0)
    several = [rng.permutation(GALLERY) for _ in range(3)] + [class_wise_order(old[1].labels, rng) for _ in range(3)]
    plans = {Order.RANDOM: [*several, highest_first(rng.random(GALLERY))][:orders]}
    once: list[float] = []

    def score_once() -> None:
        started = time.perf_counter()
        evaluate(*new)
        once.append(time.perf_counter() - started)

    curves = benchmark.pedantic(
        lambda: backfill(old, new, plans), setup=score_once, rounds=5 if queries < GALLERY else 2
    )[Order.RANDOM]
    assert curves[0].curve("mAP")[-1] == pytest.approx(evaluate(*new).metrics()["mAP"], abs=1e-6)
    steps = orders * len(BETAS)
    assert benchmark.stats is not None
    benchmark.extra_info["ratio"] = steps * float(np.median(once)) / benchmark.stats.stats.median
    benchmark.extra_info["ratio_of"] = "scoring every step / backfill"
    benchmark.extra_info["threads"] = 1
