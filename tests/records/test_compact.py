"""The form of a record's file: what it says in how many bytes, and the form that files of this schema had first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compatbench.records.parts import ArrayRef, Metric
from compatbench.records.record import Record, read_record, record_text, write_record

EARLY = Path(__file__).parents[1] / "historic/icons_bct.json"
"""Of a cell with two frozen generations and every number, in the form that schema 3 had first: 14,441 bytes."""


def same(one: Record, other: Record) -> bool:
    """Whether they say the same, in whatever order."""
    metrics = ({metric.coordinates: metric for metric in record.metrics} for record in (one, other))
    return next(metrics) == next(metrics) and one.model_dump(exclude={"metrics"}) == other.model_dump(
        exclude={"metrics"}
    )


def test_the_first_form_of_the_schema_is_read_with_all_that_it_said() -> None:
    stored, record = json.loads(EARLY.read_text()), read_record(EARLY)
    said = {
        (name, one["query"], one["gallery"], one.get("subset", "all"), one.get("distance", "cosine")): numbers
        for one in stored["metrics"]
        for name, numbers in one["numbers"].items()
    }
    found = {one.coordinates: [one.value, one.ci_low, one.ci_high] for one in record.metrics}
    assert {at: numbers[: len(said[at])] for at, numbers in found.items()} == said
    assert [(one.order, one.mean, one.low, one.high, one.array) for one in record.backfill] == [
        (one["order"], one["mean"], one.get("low", one["mean"]), one.get("high", one["mean"]), whole(stored, one))
        for one in stored["backfill"]
    ]
    assert [(one.threshold, one.array) for one in record.verification] == [
        (threshold, whole(stored, {"array": array}))
        for one in stored["verification"]
        for threshold, array in one["thresholds"].values()
    ]
    assert [one.array for one in record.arrays] == [whole(stored, {"array": one[3]}) for one in stored["arrays"]]


def whole(stored: dict[str, Any], one: dict[str, Any]) -> str:
    part, _, name = one["array"].partition("#")
    return f"{stored['files'][part]}#{name}"


def test_written_again_it_says_the_same_in_fewer_than_12_kb(tmp_path: Path) -> None:
    record = read_record(EARLY)
    write_record(record, tmp_path / "record.json")
    assert same(read_record(tmp_path / "record.json"), record)
    shown = {}
    for flip in record.worst_flips:
        shown.setdefault(flip.at, []).append(flip)
    place = {"query_generation": "oracle", "gallery_generation": "0"}
    numbers = dict.fromkeys(("mAP", "mAP@R", "CMC@1", "CMC@5", "CMC@10"), (0.4123456, 0.4012, 0.4234))
    more = {
        "features": {f"{number:012x}": f"{number:016x}" for number in range(4)},
        "worst_flips": [flip for several in shown.values() for flip in several[:3]],
        "arrays": [*record.arrays, ArrayRef(**place, array=record.arrays[0].array.partition("#")[0] + "#M(oracle,0)")],
        "metrics": [
            *record.metrics,
            *(
                Metric(**place, name=name, value=value, ci_low=low, ci_high=high, n=4771)
                for name, (value, low, high) in numbers.items()
            ),
        ],
    }
    text = record_text(record.model_copy(update=more))
    assert len(text.encode()) < 12_000
    assert EARLY.stat().st_size > 14_000


def test_an_interval_is_written_by_its_ends_distances_and_a_usual_array_not_at_all(record: Record) -> None:
    place = {"query_generation": "0", "gallery_generation": "0"}
    sha256 = "e" * 64
    changed = record.model_copy(
        update={
            "metrics": [Metric(**place, name="mAP", value=0.12345678, ci_low=0.11, ci_high=0.13001, n=9)],
            "arrays": [
                ArrayRef(**place, array=f"{sha256}#M(0,0)"),
                ArrayRef(**place, distance="l2", array=f"{sha256}#M(0,0) by L2"),
                ArrayRef(query_generation="*1", gallery_generation="*1", array=f"{sha256}#else"),
            ],
        }
    )
    written = json.loads(record_text(changed))
    assert written["metrics"] == [{"query": "0", "gallery": "0", "n": 9, "numbers": {"mAP": [0.1234568, 135, 65]}}]
    assert written["arrays"] == [["0", "0"], ["0", "0", "l2"], ["*1", "*1", "cosine", "shared#else"]]
    assert written["files"] == {"shared": sha256}
