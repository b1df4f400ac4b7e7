"""Numbers of systems from their per-query results, against the formulas on the same queries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from compatbench.comparison.comparison import FULL_BACKFILL, STATUS_QUO
from compatbench.comparison.numbers import acceptance_numbers, gain_p_values, retrieval_numbers, tax
from compatbench.evaluation.acceptance import Acceptance
from compatbench.evaluation.arrays import QueryResults


def results(seed: int, lift: float) -> QueryResults:
    generator = np.random.default_rng(seed)
    ap = np.clip(generator.random(300) * 0.5 + lift, 0.01, 1).astype(np.float32)
    rank = np.where(generator.random(300) < ap, 1, 4).astype(np.int32)
    return QueryResults(np.arange(300), rank, ap, ap / 2, np.full(300, 3, dtype=np.int32))


@pytest.fixture
def systems() -> dict[str, QueryResults]:
    return {STATUS_QUO: results(0, 0.1), FULL_BACKFILL: results(1, 0.4), "a": results(2, 0.2), "b": results(3, 0.1)}


def test_gains_are_differences_and_shares_of_the_means(systems: dict[str, QueryResults]) -> None:
    found = retrieval_numbers(systems)
    oo, full, no = (float(systems[name].average_precision.mean()) for name in (STATUS_QUO, FULL_BACKFILL, "a"))
    numbers = found["a"]
    assert numbers["mAP"].value == pytest.approx(no)
    assert numbers["cross_gain:mAP"].value == pytest.approx(no - oo)
    assert numbers["update_gain:mAP"].value == pytest.approx((no - oo) / (full - oo))
    assert numbers["retention:mAP"].value == pytest.approx(no / full)
    hits = {name: systems[name].hits(1) for name in (STATUS_QUO, "a")}
    broken = (hits[STATUS_QUO] & ~hits["a"]).mean()
    assert numbers["NFR@1"].value == pytest.approx(broken)
    assert numbers["relative_NFR@1"].value == pytest.approx(broken / hits[STATUS_QUO].mean())
    gain = found[STATUS_QUO]["cross_gain:mAP"]
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert found[FULL_BACKFILL]["retention:mAP"].value == 1


def test_the_interval_of_a_gain_is_the_paired_bootstrap(systems: dict[str, QueryResults]) -> None:
    gain = retrieval_numbers(systems)["a"]["cross_gain:mAP"]
    difference = systems["a"].average_precision - systems[STATUS_QUO].average_precision
    draws = np.random.default_rng(9).integers(0, 300, (4000, 300))
    expected = np.quantile(difference[draws].mean(axis=1), [0.025, 0.975])
    assert (gain.low, gain.high) == pytest.approx(expected, abs=0.003)


def test_where_a_backfill_gains_nothing_there_is_no_share_of_it(systems: dict[str, QueryResults]) -> None:
    systems[FULL_BACKFILL] = systems[STATUS_QUO]
    assert retrieval_numbers(systems)["a"]["update_gain:mAP"].value is None


def test_p_values_are_corrected_for_the_number_of_adapters(systems: dict[str, QueryResults]) -> None:
    old = systems[STATUS_QUO].per_query("mAP")
    raw = {name: stats.ttest_rel(systems[name].per_query("mAP"), old).pvalue for name in ("a", "b")}
    low, high = sorted(raw.values())
    found = gain_p_values(systems, ["a", "b"])
    assert sorted(found.values()) == pytest.approx([min(1, 2 * low), max(min(1, 2 * low), high)])
    assert gain_p_values(systems, []) == {}


def test_the_tax_is_the_self_test_against_the_full_backfill(systems: dict[str, QueryResults]) -> None:
    found = tax(systems, "a", "b")
    expected = systems["b"].average_precision.mean() - systems[FULL_BACKFILL].average_precision.mean()
    assert found.value == pytest.approx(float(expected))
    assert found.high is not None
    assert found.high < 0


def test_thresholds_have_their_own_and_the_old_systems_numbers() -> None:
    def accepted(genuine: int, impostors: int) -> Acceptance:
        ones = np.ones(10, dtype=np.int64)
        return Acceptance(np.arange(10), 4 * ones, 50 * ones, genuine * ones, impostors * ones)

    found = acceptance_numbers({"a": {0.01: accepted(3, 1)}}, {"a": {0.01: accepted(2, 5)}})["a"]
    assert found["TAR@FAR=0.01"].value == 0.75
    assert (found["transfer_TAR@FAR=0.01"].value, found["transfer_FAR@FAR=0.01"].value) == (0.5, 0.1)
