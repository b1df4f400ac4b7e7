"""Per-query arrays: their metrics by hand, and files that say by their name what is in them."""

import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from compatbench.errors import RequestError
from compatbench.evaluation.arrays import METRICS, QueryResults


@pytest.fixture
def results() -> QueryResults:
    """Five queries; the last has nothing relevant in the gallery."""
    return QueryResults(
        ids=np.array([40, 10, 30, 20, 50]),
        first_rank=np.array([1, 3, 7, 11, 0], dtype=np.int32),
        average_precision=np.array([1.0, 0.5, 0.25, 0.05, np.nan], dtype=np.float32),
        ap_at_r=np.array([1.0, 0.25, 0.0, 0.0, np.nan], dtype=np.float32),
        relevant=np.array([2, 4, 1, 3, 0], dtype=np.int32),
    )


def test_metrics_by_hand(results: QueryResults) -> None:
    expected = {"mAP": 0.45, "mAP@R": 0.3125, "CMC@1": 0.25, "CMC@5": 0.5, "CMC@10": 0.75}
    assert results.metrics() == pytest.approx(expected)
    assert tuple(results.metrics()) == METRICS


def test_metrics_of_a_subset_by_hand(results: QueryResults) -> None:
    subset = results.metrics(np.array([False, True, True, False, True]))
    assert subset == pytest.approx({"mAP": 0.375, "mAP@R": 0.125, "CMC@1": 0, "CMC@5": 0.5, "CMC@10": 1})


def test_metrics_of_no_query_are_nan(results: QueryResults) -> None:
    assert all(np.isnan(value) for value in results.metrics(results.ids == 50).values())


def test_per_query_values_average_to_the_metrics(results: QueryResults) -> None:
    for name, value in results.metrics().items():
        assert np.nanmean(results.per_query(name)) == pytest.approx(value)
        assert np.isnan(results.per_query(name)).tolist() == [False, False, False, False, True]
    assert results.per_query("CMC@7")[:4].tolist() == [1, 1, 1, 0]


def test_hits(results: QueryResults) -> None:
    assert results.hits(1).tolist() == [True, False, False, False, False]
    assert results.hits(10).tolist() == [True, True, True, False, False]


def test_rows_of_some_queries(results: QueryResults) -> None:
    assert results.rows(np.array([30, 50, 40])).tolist() == [2, 4, 0]
    assert results.rows(np.array([], dtype=np.int64)).tolist() == []
    for missing in (5, 25, 60):
        with pytest.raises(ValueError, match="not among the results"):
            results.rows(np.array([10, missing]))


@pytest.mark.parametrize("name", ["MAP", "CMC@", "CMC@x", "R@1"])
def test_unknown_metrics_are_refused(results: QueryResults, name: str) -> None:
    with pytest.raises(ValueError, match="unknown retrieval metric"):
        results.per_query(name)


def test_arrays_that_do_not_fit_are_refused(results: QueryResults) -> None:
    with pytest.raises(ValueError, match="first_rank: expected int32 "):
        QueryResults(results.ids, results.first_rank[:3], results.average_precision, results.ap_at_r, results.relevant)
    with pytest.raises(ValueError, match="average_precision: expected float32"):
        QueryResults(
            results.ids,
            results.first_rank,
            results.average_precision.astype(np.float64),
            results.ap_at_r,
            results.relevant,
        )


def test_round_trip(results: QueryResults, tmp_path) -> None:
    folder = tmp_path / "arrays"
    sha256 = results.write(folder)
    again = QueryResults.read(folder, sha256)
    for name in ("ids", "first_rank", "average_precision", "ap_at_r", "relevant"):
        np.testing.assert_array_equal(getattr(again, name), getattr(results, name))
        assert getattr(again, name).dtype == getattr(results, name).dtype
    assert [path.name for path in folder.iterdir()] == [f"{sha256}.parquet"]


def test_files_are_named_by_their_bytes_and_written_alike(results: QueryResults, tmp_path) -> None:
    first, second = results.write(tmp_path / "a"), results.write(tmp_path / "b")
    assert first == second == results.write(tmp_path / "a")
    content = (tmp_path / "a" / f"{first}.parquet").read_bytes()
    assert hashlib.sha256(content).hexdigest() == first
    assert content == (tmp_path / "b" / f"{first}.parquet").read_bytes()


def test_other_arrays_have_another_name(results: QueryResults, tmp_path) -> None:
    changed = results.average_precision.copy()
    changed[0] = np.nextafter(changed[0], np.float32(0))
    other = QueryResults(results.ids, results.first_rank, changed, results.ap_at_r, results.relevant)
    assert other.write(tmp_path) != results.write(tmp_path)


def test_any_parquet_reader_can_read_them(results: QueryResults, tmp_path) -> None:
    sha256 = results.write(tmp_path)
    frame = pq.read_table(tmp_path / f"{sha256}.parquet").to_pandas()
    assert list(frame.columns) == ["ids", "first_rank", "average_precision", "ap_at_r", "relevant"]
    assert frame["average_precision"].mean() == pytest.approx(results.metrics()["mAP"])


def test_missing_and_changed_files_are_named(results: QueryResults, tmp_path) -> None:
    sha256 = results.write(tmp_path)
    path = tmp_path / f"{sha256}.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(RequestError, match="changed after they were written"):
        QueryResults.read(tmp_path, sha256)
    path.unlink()
    with pytest.raises(RequestError, match=r"not readable .* run the cell again"):
        QueryResults.read(tmp_path, sha256)
