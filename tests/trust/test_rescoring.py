"""Re-scoring: a right record has no differences, and every number that is changed is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compatbench import PROTOCOL_VERSION
from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.storage.array_files import write_arrays
from compatbench.trust.rescoring import Rescorer


@pytest.fixture
def record(path: Path) -> Record:
    return read_record(path)


def differences(record: Record, store: Store) -> list[str]:
    return list(Rescorer(store.arrays).differences(record))


def test_a_record_is_small_and_its_arrays_are_in_one_file_beside_those_that_cells_share(store: Store) -> None:
    paths = list(store.records("historic").rglob("*.json"))
    assert all(len(path.read_bytes()) < 12_000 for path in paths)
    files = [read_record(path).array_files for path in paths]
    assert [len(one) for one in files] == [2, 2]
    assert len({sha256 for one in files for sha256 in one}) == 3 == len(list(store.arrays.iterdir()))


def test_early_records_are_read_and_not_scored_again() -> None:
    root = Path(__file__).parents[1] / "historic"
    for path in root.glob("version_*/historic/records/*/*.json"):
        record, rescorer = read_record(path), Rescorer(path.parents[3] / "arrays")
        assert list(rescorer.differences(record)) == []
        assert {"cross_gain", "NFR@1", "backfill_area"} <= set(rescorer.unchecked(record))
        record.arrays[0].array = "0" * 64
        with pytest.raises(RequestError, match="per-query arrays not readable"):
            list(rescorer.differences(record))


def test_a_right_record_has_none(store: Store) -> None:
    rescorer = Rescorer(store.arrays)
    for path in store.records("historic").rglob("*.json"):
        record = read_record(path)
        assert list(rescorer.differences(record)) == []
        rotated = ["chance", "chance_cross", "chance_skew", "chance_spread"]
        assert rescorer.unchecked(record) == (rotated if record.spec.method.name == "independent" else [])


@pytest.mark.parametrize(("part", "by"), [("value", 1e-6), ("ci_low", -1e-3), ("ci_high", 1e-3), ("n", 1)])
def test_every_number_that_is_changed_is_found(record: Record, store: Store, part: str, by: float) -> None:
    changed = []
    record = record.model_copy(update={"protocol_version": PROTOCOL_VERSION})  # whose intervals are compared
    for metric in record.metrics:
        old = getattr(metric, part)
        if metric.subset == "all" and old is not None:  # the others take the labels, see below
            setattr(metric, part, old + by)
            place = f"{metric.name}({metric.query_generation},{metric.gallery_generation}"
            changed.append(f"{place}, l2)" if metric.distance == "l2" else f"{place})")
    found = differences(record, store)
    assert len(changed) > 40
    assert [place for place in changed if not any(line.startswith(place) for line in found)] == []


CURVE = {
    "mean": ("mean", 1e-2, "the area is not the mean of the queries' areas"),
    "minimum": ("mean", -1.0, "the minimum is not the mean of the queries' values there"),
    "its place": ("minimum_beta", 0.5, "it is not lowest where the record says"),
    "status quo": ("status_quo", 1e-3, "M(o,o) over its queries is"),
    "low": ("low", 1.0, "outside of what its repeats reach"),
}


@pytest.mark.parametrize(("name", "by", "message"), CURVE.values(), ids=CURVE)
def test_a_changed_curve_is_found(record: Record, store: Store, name: str, by: float, message: str) -> None:
    old = getattr(record.backfill[0], name)
    new = [old[0] + by, *old[1:]] if isinstance(old, list) else old + by
    record.backfill[0] = record.backfill[0].model_copy(update={name: new})
    assert any(message in found for found in differences(record, store))


def keep(entries: list[Any], kept: Callable[[Any], bool]) -> None:
    entries[:] = filter(kept, entries)


def without(name: str) -> Callable[[Record], None]:
    return lambda record: keep(record.metrics, lambda one: one.name != name)


CHANGES: dict[str, tuple[Callable[[Record], Any], str]] = {
    "a metric less": (without("NFR@1"), "lacks NFR@1(1,0)"),
    "a metric twice": (lambda record: record.metrics.append(record.metrics[0]), "a number is there twice"),
    "arrays less": (lambda record: record.arrays.pop(0), "no per-query arrays of M(0,0)"),
    "no reference": (
        lambda record: keep(record.arrays, lambda one: "*" not in one.query_generation),
        "no per-query arrays of M(*1,*1)",
    ),
    "arrays of another entry": (
        lambda record: setattr(record.arrays[0], "array", record.arrays[4].array),
        "mAP(0,0): value is",
    ),
    "unseen left out": (
        lambda record: keep(record.metrics, lambda one: one.subset != "unseen"),
        "mAP(0,0): seen and unseen queries do not add up",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_does_not_fit_is_found(
    record: Record, store: Store, change: Callable[[Record], Any], message: str
) -> None:
    change(record)
    assert any(found.startswith(message) for found in differences(record, store))


def test_arrays_that_break_an_identity_are_found(record: Record, store: Store) -> None:
    """Arrays and record changed together, so that all hashes and means agree."""
    entry = record.arrays[0]
    results = QueryResults.read(store.arrays, entry.array)
    better = QueryResults(
        results.ids, np.minimum(results.first_rank, 1), results.average_precision, results.ap_at_r, results.relevant
    )
    entry.array = f"{write_arrays(store.arrays, {'better': better.columns})}#better"
    for name, value in better.metrics().items():
        metric = record.metric(name, "0", "0")
        assert metric is not None
        metric.value = value
    assert any(found.startswith("M(0,0) by cosine: ") for found in differences(record, store))


def test_means_of_seen_and_unseen_must_be_those_of_all(record: Record, store: Store) -> None:
    seen = record.metric("mAP", "1", "0", subset="seen")
    assert seen is not None
    assert seen.value is not None
    seen.value += 0.001
    assert differences(record, store) == ["mAP(1,0): seen and unseen queries have another mean than all"]
    assert json.loads(record.model_dump_json())["metrics"]
