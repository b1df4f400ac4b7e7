"""Groups of queries: means are those of the queries, and intervals are as wide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.flips import flip_estimates
from compatbench.evaluation.grouped_results import GroupedResults, read_results
from compatbench.evaluation.means import Means
from compatbench.storage.group_sums import Numbers, block_bytes, sums_path
from compatbench.storage.query_groups import (
    MOST,
    MOST_OF_A_SEQUENCE,
    count_of_groups,
    group_of,
    lost_column,
    most_groups,
)


@pytest.mark.parametrize("queries", [1, 7, 256, 257, 500, 1633, 4771, 100_000])
def test_groups_are_as_large_as_each_other_but_for_one_query(queries: int) -> None:
    for most in (MOST_OF_A_SEQUENCE, MOST):
        sizes = np.bincount(group_of(np.arange(queries) * 3, count_of_groups(queries, most)))
        assert sizes.sum() == queries
        assert sizes.max() - sizes.min() <= 1
        assert min(queries, most // 2) <= len(sizes) <= most


def test_a_sequence_has_half_as_many_groups_as_an_upgrade() -> None:
    assert [most_groups(generations) for generations in (2, 3, 5)] == [256, 128, 128]


def test_a_query_is_in_the_same_group_wherever_it_stands_and_neighbours_are_apart() -> None:
    ids = np.arange(4771)
    groups = group_of(ids, 251)
    shuffled = np.random.default_rng(0).permutation(4771)
    assert np.array_equal(group_of(ids[shuffled], 251), groups[shuffled])
    together = (np.diff(groups) == 0).mean()
    assert together == pytest.approx(1 / 251, abs=0.004), "as by chance"


def results(seed: int, better: float = 0.0) -> Iterator[QueryResults]:
    """Of 2,000 queries that are hard or easy for every model, and of two models."""
    draw = np.random.default_rng(seed)
    hard = draw.normal(size=2000)
    for gain in (0.0, better):
        rank = np.maximum(1, np.rint(np.exp(hard - gain + draw.normal(size=2000) * 0.7 + 1))).astype(np.int32)
        yield QueryResults(
            ids=np.arange(2000),
            first_rank=rank,
            average_precision=(1 / rank).astype(np.float32),
            ap_at_r=np.where(rank == 1, 1, 0).astype(np.float32),
            relevant=np.ones(2000, dtype=np.int32),
        )


def grouped(folder: Path, name: str, one: QueryResults, old: QueryResults | None = None) -> GroupedResults:
    """Written as on a leaderboard, and read."""
    columns = {metric: one.per_query(metric) for metric in one.names} | {"relevant": one.relevant.astype(float)}
    if old is not None:
        columns |= {lost_column("old", k): one.lost(old, k) for k in (1, 10)}
    groups = group_of(one.ids, count_of_groups(len(one)))
    sums = {metric: Numbers.summed(values, groups) for metric, values in columns.items()}
    content = block_bytes({name: {"ids": Numbers.exact(one.ids), **sums}})
    sha256 = hashlib.sha256(content).hexdigest()
    sums_path(folder, sha256).write_bytes(content)
    found = read_results(folder, f"{sha256}#{name}")
    assert isinstance(found, GroupedResults)
    return found


def test_means_are_those_of_the_queries_and_flips_too(tmp_path: Path) -> None:
    before, after = results(0, better=0.3)
    old, new = grouped(tmp_path, "old", before), grouped(tmp_path, "new", after, before)
    assert (new.count, len(new)) == (2000, 250)
    for metric, value in after.metrics().items():
        assert new.metrics()[metric] == pytest.approx(value, abs=1e-12 if metric.startswith("CMC") else 2e-5)
    exact = flip_estimates({"": [(before, after)]}, (1, 10))[""]
    for name, found in flip_estimates({"": [(old, new)]}, (1, 10))[""].items():
        assert found.value == pytest.approx(exact[name].value, abs=1e-12)
        assert found.low == pytest.approx(exact[name].low, abs=0.2 * (exact[name].value - exact[name].low))


def test_intervals_of_differences_are_as_wide_on_average(tmp_path: Path) -> None:
    """Over 200 pairs of models: the mean width, and how often the interval of no difference leaves 0 out."""
    widths, missed = [], []
    for seed in range(200):
        pair = list(results(seed))
        in_groups = [grouped(tmp_path, "one", one) for one in pair]
        for several in (pair, in_groups):
            means = Means({place: one.per_query("mAP") for place, one in enumerate(several)})
            gain = means.estimate(np.subtract, 0, 1)
            widths.append(gain.high - gain.low)
            missed.append(gain.low > 0 or gain.high < 0)
    exact, found = np.mean(widths[::2]), np.mean(widths[1::2])
    assert found == pytest.approx(exact, rel=0.02)
    assert np.std(widths[1::2]) / found < 0.1
    assert np.mean(missed[1::2]) == pytest.approx(0.05, abs=0.04)


def test_other_queries_and_missing_columns_are_told_in_one_line(tmp_path: Path) -> None:
    before, after = results(0)
    new = grouped(tmp_path, "new", after)
    with pytest.raises(RequestError, match="'new' has no sums of 'lost@1 old'"):
        new.lost(grouped(tmp_path, "old", before), 1)
    with pytest.raises(ValueError, match="the same queries"):
        new.lost(before, 1)
    with pytest.raises(RequestError, match="not as long as there are groups"):
        GroupedResults.of("x#y", {"ids": np.arange(2000), "mAP": np.zeros(7)})
