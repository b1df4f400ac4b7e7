"""Flips in the matrix, against rates by hand."""

from __future__ import annotations

import numpy as np
import pytest

from compatbench.evaluation.arrays import QueryResults
from compatbench.measurement.upgrade import MatrixResults, upgrade_metrics
from compatbench.records.parts import Metric


def flips(results: MatrixResults) -> dict[tuple[str, str, str], Metric]:
    return {
        (one.name, one.query_generation, one.gallery_generation): one
        for one in upgrade_metrics(results)
        if "FR@" in one.name
    }


def ranked(*first_ranks: int) -> QueryResults:
    ranks = np.array(first_ranks, dtype=np.int32)
    ap = np.where(ranks > 0, 0.5, np.nan).astype(np.float32)
    return QueryResults(np.arange(len(ranks)), ranks, ap, ap, (ranks > 0).astype(np.int32))


def test_flips_of_both_systems_by_hand() -> None:
    """First ranks of the old system, of new queries on the old gallery, and of the new system; one query has none."""
    results = {("0", "0"): ranked(1, 1, 1, 4, 20, 0), ("1", "0"): ranked(1, 2, 11, 1, 20, 0)}
    results["1", "1"] = ranked(1, 1, 2, 1, 1, 0)
    found = flips(results)
    expected = {
        "NFR@1": (2 / 5, 1 / 5, "lower"),
        "PFR@1": (1 / 5, 2 / 5, "higher"),
        "relative_NFR@1": (2 / 3, 1 / 3, "lower"),
        "NFR@10": (1 / 5, 0.0, "lower"),
        "PFR@10": (0.0, 1 / 5, "higher"),
        "relative_NFR@10": (1 / 4, 0.0, "lower"),
    }
    for name, (cross, full, direction) in expected.items():
        for gallery, value in (("0", cross), ("1", full)):
            rate = found[name, "1", gallery]
            assert rate.value == pytest.approx(value)
            assert (rate.n, rate.direction) == (5, direction)
            assert rate.ci_low is not None
            assert rate.ci_high is not None
            assert rate.ci_low <= value <= rate.ci_high
    assert len(found) == 2 * len(expected)


def test_flips_in_a_chain_are_against_the_generation_before() -> None:
    hit, miss = ranked(1, 1), ranked(2, 2)
    results = {("0", "0"): miss, ("1", "0"): miss, ("1", "1"): hit, ("2", "0"): miss, ("2", "1"): miss, ("2", "2"): hit}
    found = flips(results)
    assert found["NFR@1", "2", "1"].value == 1.0
    assert found["NFR@1", "2", "2"].value == 0.0
    assert found["PFR@1", "1", "1"].value == 1.0
    assert ("NFR@1", "2", "0") not in found


def test_what_the_entries_do_not_suffice_for_is_left_out() -> None:
    hit = ranked(1, 1)
    assert list(upgrade_metrics({})) == []
    assert list(upgrade_metrics({("0", "0"): hit, ("1", "1"): hit})) == []
    whole = dict.fromkeys((("0", "0"), ("1", "0"), ("1", "1"), ("*1", "*1")), hit)
    assert {one.name for one in upgrade_metrics(whole)} > {"tax:mAP", "criterion:CMC@1", "NFR@1"}
