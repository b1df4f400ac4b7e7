"""Flips between two systems, counted by hand."""

import numpy as np
import pytest

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.flips import (
    flip_estimates,
    negative_flips,
    positive_flips,
    worst_negative_flips,
)


def ranked(*first_ranks: int) -> QueryResults:
    """Results whose first relevant items have these ranks; 0 where nothing is relevant."""
    ranks = np.array(first_ranks, dtype=np.int32)
    ap = np.where(ranks > 0, 0.5, np.nan).astype(np.float32)
    return QueryResults(np.arange(len(ranks)), ranks, ap, ap, (ranks > 0).astype(np.int32))


OLD = ranked(1, 1, 3, 9, 2, 0)
NEW = ranked(1, 6, 1, 2, 7, 0)


def flip_rates(old: QueryResults, system: QueryResults, k: int) -> dict[str, float | None]:
    """The values alone, of one seed."""
    return {name: rate.value for name, rate in flip_estimates({"": [(old, system)]}, (k,))[""].items()}


def test_flips_by_hand() -> None:
    """Hits in the first 5: old ✓✓✓✗✓, new ✓✗✓✓✗; the sixth query has no answer."""
    np.testing.assert_array_equal(negative_flips(OLD, NEW, 5), [0, 1, 0, 0, 1, np.nan])
    np.testing.assert_array_equal(positive_flips(OLD, NEW, 5), [0, 0, 0, 1, 0, np.nan])
    assert flip_rates(OLD, NEW, 5) == pytest.approx({"NFR@5": 2 / 5, "PFR@5": 1 / 5, "relative_NFR@5": 2 / 4})
    assert flip_rates(OLD, NEW, 1) == pytest.approx({"NFR@1": 1 / 5, "PFR@1": 1 / 5, "relative_NFR@1": 1 / 2})


def test_the_worst_flips_lie_deepest_then_lose_most_then_have_the_lowest_id() -> None:
    old, new = ranked(1, 1, 1, 2, 1, 1, 1, 0), ranked(3, 9, 3, 50, 3, 1, 3, 0)
    new.average_precision[2] = 0.1
    found = worst_negative_flips(old, new, 4)
    assert found.tolist() == [1, 2, 0, 4]
    assert worst_negative_flips(old, old, 4).tolist() == []


def test_the_same_system_flips_nothing() -> None:
    assert flip_rates(OLD, OLD, 5) == {"NFR@5": 0.0, "PFR@5": 0.0, "relative_NFR@5": 0.0}


def test_flips_account_for_the_change_in_hits() -> None:
    rates = flip_rates(OLD, NEW, 5)
    assert rates["PFR@5"] - rates["NFR@5"] == pytest.approx(NEW.metrics()["CMC@5"] - OLD.metrics()["CMC@5"])


def test_rates_of_nothing_are_none() -> None:
    assert flip_rates(ranked(9, 8), ranked(1, 8), 5) == {"NFR@5": 0.0, "PFR@5": 0.5, "relative_NFR@5": None}
    assert flip_rates(ranked(0), ranked(0), 1) == {"NFR@1": None, "PFR@1": None, "relative_NFR@1": None}


def test_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="query ids differ"):
        flip_rates(OLD, ranked(1, 2), 1)


def test_estimates_have_intervals() -> None:
    found = flip_estimates({"up": [(OLD, NEW)], "same": [(OLD, OLD)]}, (1, 5))
    for k in (1, 5):
        assert found["same"][f"NFR@{k}"] == Estimate(0.0, 0.0, 0.0)
    rate = found["up"]["relative_NFR@5"]
    assert rate.low < rate.value < rate.high
    rate = found["up"]["relative_NFR@1"]
    assert (rate.low, rate.high) == (0, 1), "few old hits to divide by say nothing"


def test_estimates_over_seeds_are_ratios_of_means() -> None:
    """Old hits in the first 5: 4 and 2 of 5; negative flips: 2 and 1."""
    other_old, other_new = ranked(1, 7, 7, 9, 2, 0), ranked(1, 7, 7, 9, 9, 0)
    rates = flip_estimates({"up": [(OLD, NEW), (other_old, other_new)]}, (5,))["up"]
    assert rates["NFR@5"].value == pytest.approx((2 + 1) / 10)
    assert rates["relative_NFR@5"].value == pytest.approx((2 + 1) / (4 + 2))


def test_intervals_hold_the_true_rate() -> None:
    """Of 400 queries that the old system answers, each is broken with a chance of 0.2."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(40):
        old, new = ranked(*np.ones(400, dtype=int)), ranked(*np.where(rng.random(400) < 0.2, 3, 1))
        rate = flip_estimates({"up": [(old, new)]}, (1,))["up"]["relative_NFR@1"]
        covered += rate.low <= 0.2 <= rate.high
    assert 33 <= covered <= 40


def test_undefined_estimates_have_no_interval() -> None:
    found = flip_estimates({"up": [(ranked(9, 8), ranked(1, 8))], "none": [(ranked(0, 0), ranked(0, 0))]}, (5,))
    assert found["up"]["relative_NFR@5"] == Estimate()
    assert found["none"]["NFR@5"] == Estimate()
    assert flip_estimates({}, (5,)) == {}
