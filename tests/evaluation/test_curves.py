"""Numbers of a backfill curve by hand, and what is kept of each query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compatbench.errors import RequestError
from compatbench.evaluation.curves import BETAS, CurvePoints, QueryCurves, area, backfill_numbers, mean_curves
from compatbench.storage.array_files import ArrayFiles, write_columns

SHARES = (0.0, 0.25, 0.75, 1.0)


def test_numbers_by_hand() -> None:
    """Trapezoids: 0.25·0.5 + 0.5·0.5 + 0.25·0.7."""
    numbers = backfill_numbers(SHARES, [0.6, 0.4, 0.6, 0.8], status_quo=0.5)
    assert numbers.area == pytest.approx(0.25 * 0.5 + 0.5 * 0.5 + 0.25 * 0.7)
    assert (numbers.minimum, numbers.minimum_beta) == (0.4, 0.25)
    assert numbers.crossing == 0.75, "above at first, but it does not stay there"


@pytest.mark.parametrize(
    ("curve", "crossing"),
    [
        ([0.6, 0.7, 0.7, 0.8], 0.0),
        ([0.5, 0.7, 0.7, 0.8], 0.25),
        ([0.4, 0.6, 0.5, 0.8], 1.0),
        ([0.6, 0.7, 0.8, 0.5], None),
        ([0.1, 0.1, 0.1, 0.1], None),
    ],
)
def test_crossing_is_where_the_curve_gets_and_stays_above_the_status_quo(
    curve: list[float], crossing: float | None
) -> None:
    assert backfill_numbers(SHARES, curve, status_quo=0.5).crossing == crossing


def test_the_first_of_equal_minima_counts() -> None:
    assert backfill_numbers(SHARES, [0.6, 0.4, 0.4, 0.8], 0.5).minimum_beta == 0.25


def test_area_of_many_curves() -> None:
    curves = np.stack([np.full(21, 0.3), np.array(BETAS)])
    np.testing.assert_allclose(area(BETAS, curves), [0.3, 0.5])


def query_curves(seed: int) -> QueryCurves:
    values = {metric: np.random.default_rng(seed).random((5, 21), dtype=np.float32) for metric in ("mAP", "CMC@1")}
    for each in values.values():
        each[2] = np.nan
    return QueryCurves(np.array([3, 1, 4, 7, 5]), BETAS, values)


def test_queries_without_an_answer_enter_no_curve() -> None:
    curves = query_curves(0)
    assert curves.answerable.tolist() == [True, True, False, True, True]
    expected = curves.values["mAP"][[0, 1, 3, 4]].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(curves.curve("mAP"), expected)


def test_the_mean_of_backfills_is_taken_query_by_query() -> None:
    one, other = query_curves(1), query_curves(2)
    mean = mean_curves([one, other])
    expected = (one.values["CMC@1"] + other.values["CMC@1"]) / 2
    np.testing.assert_allclose(mean.values["CMC@1"], expected, rtol=1e-6)


def test_of_each_query_area_and_minimum_are_kept(tmp_path: Path) -> None:
    curves = query_curves(3)
    files = ArrayFiles()
    name = CurvePoints.of(curves).put(files, "backfill random")
    assert name == "own#backfill random"
    again = CurvePoints.read(tmp_path, f"{files.save(tmp_path)['own']}#backfill random")
    assert again.ids.tolist() == [3, 1, 7, 5]
    each = curves.values["mAP"][[0, 1, 3, 4]].astype(np.float64)
    lowest = each.mean(axis=0).argmin()
    np.testing.assert_allclose(again.minimum, each[:, lowest], atol=0.5001 / 2**16)
    trapezoids = ((each[:, 1:] + each[:, :-1]) / 2 / 20).sum(axis=1)
    np.testing.assert_allclose(again.area, trapezoids, atol=0.5001 / 2**16)


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    sha256 = write_columns(tmp_path, {"ids": np.arange(3), "mAP": np.zeros(3, np.float32)})
    with pytest.raises(RequestError, match="no CurvePoints"):
        CurvePoints.read(tmp_path, sha256)
