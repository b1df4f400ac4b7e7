"""Records: nothing is lost on the way to disk and back, and what is no record is refused in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compatbench.errors import RequestError
from compatbench.records.record import Record, read_record, record_text, schema, write_record
from compatbench.storage import files
from compatbench.vocabulary import Status


def test_round_trip_keeps_every_number_in_the_digits_of_a_record(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path / "deep" / "record.json")
    again = read_record(tmp_path / "deep" / "record.json")
    assert again.model_dump(exclude={"metrics"}) == record.model_dump(exclude={"metrics"})
    assert sorted(one.coordinates for one in again.metrics) == sorted(one.coordinates for one in record.metrics)
    whole = again.metric("mAP", "1", "0")
    assert whole is not None
    assert (whole.value, whole.ci_low) == (0.3, 0.25)
    assert again.losses["1"]["classification"][1] == 1e-300
    assert record_text(again) == record_text(record)


def test_undefined_nan_and_missing_stay_apart(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_record(record, path)
    again = read_record(path)
    undefined, broken = again.metric("update_gain", "1", "0"), again.metric("broken", "1", "0")
    assert undefined is not None
    assert undefined.value is None
    assert broken is not None
    assert broken.value is not None
    assert math.isnan(broken.value)
    assert again.metric("CMC@1", "1", "0") is None
    assert '"update_gain":[null]' in path.read_text()
    assert '"broken":[NaN]' in path.read_text()


def test_a_metric_is_found_by_all_its_coordinates(record: Record) -> None:
    whole, unseen = record.metric("mAP", "1", "0"), record.metric("mAP", "1", "0", subset="unseen")
    assert whole is not None
    assert unseen is not None
    assert (whole.value, unseen.value) == (0.1 + 0.2, 0.5)
    assert record.metric("mAP", "0", "1") is None
    assert record.metric("mAP", "1", "0", distance="l2") is None


def changed(record: Record, **values: Any) -> dict[str, Any]:
    return {**json.loads(record_text(record)), **values}


REFUSED: dict[str, tuple[Callable[[Record], Any], str]] = {
    "status": (lambda record: changed(record, status="fine"), "status: Input should be 'ok'"),
    "key": (lambda record: changed(record, colour=1), "colour: Extra inputs are not permitted"),
    "seconds": (lambda record: changed(record, seconds="long"), "seconds: Input should be a valid number"),
    "metric": (lambda record: changed(record, metrics=[{"n": 1}]), "query: Field required"),
    "newer": (
        lambda record: changed(record, schema_version=99),
        "schema version 99, where this CompatBench reads 1 to 3",
    ),
    "list": (lambda record: [], "schema version None"),
    "missing": (lambda record: {"schema_version": 1}, "status: Field required"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_record_is_refused_in_one_line(
    record: Record, tmp_path: Path, make: Callable[[Record], Any], message: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(make(record)))
    with pytest.raises(RequestError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "delete it to run its cell again" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"{}garbage"])
def test_a_file_that_is_no_json_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="not a readable record") as caught:
        read_record(path)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(RequestError, match="not a readable record"):
        read_record(tmp_path / "none.json")


def test_a_write_that_fails_leaves_the_old_record(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    write_record(record, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_record(record.model_copy(update={"status": Status.FAILED}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def violations(value: Any, rule: dict[str, Any], definitions: dict[str, Any], at: str = "") -> list[str]:
    """What of `value` breaks a JSON Schema, for the keywords that the record's schema uses."""
    if "$ref" in rule:
        return violations(value, definitions[rule["$ref"].removeprefix("#/$defs/")], definitions, at)
    if "anyOf" in rule:
        each = [violations(value, option, definitions, at) for option in rule["anyOf"]]
        return min(each, key=len)
    if "enum" in rule:
        return [] if value in rule["enum"] else [f"{at}: {value}"]
    found = []
    if "type" in rule:
        right = isinstance(value, TYPES[rule["type"]]) and (rule["type"] == "boolean" or not isinstance(value, bool))
        found += [] if right else [f"{at}: {value}"]
    if isinstance(value, dict):
        known, others = rule.get("properties", {}), rule.get("additionalProperties", True)
        found += [f"{at}: no {name}" for name in rule.get("required", []) if name not in value]
        for name, part in value.items():
            if name in known:
                found += violations(part, known[name], definitions, f"{at}.{name}")
            elif isinstance(others, dict):
                found += violations(part, others, definitions, f"{at}.{name}")
            elif not others:
                found.append(f"{at}: extra {name}")
    if isinstance(value, list):
        for place, part in enumerate(value):
            found += violations(
                part,
                rule.get("prefixItems", [rule.get("items", {})] * (place + 1))[place],
                definitions,
                f"{at}.{place}",
            )
    return found


def test_the_published_schema_takes_a_record_and_refuses_a_changed_one(record: Record) -> None:
    published = json.loads(json.dumps(schema()))
    definitions = published["$defs"]
    written = json.loads(record_text(record))
    assert violations(written, published, definitions) == []
    assert violations({**written, "status": "fine"}, published, definitions) == [".status: fine"]
    assert violations({**written, "colour": 1}, published, definitions) == [": extra colour"]
    assert violations({**written, "seconds": "long"}, published, definitions) == [".seconds: long"]
    assert violations({"status": "ok"}, published, definitions)
    assert set(definitions["Status"]["enum"]) == {"ok", "failed", "timeout", "oom", "killed", "skipped", "invalid"}


def test_a_file_has_one_line_for_each_entry_of_the_matrix(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path / "record.json")
    text = (tmp_path / "record.json").read_text()
    groups = json.loads(text)["metrics"]
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    assert all(json.dumps(group, separators=(",", ":")) in lines for group in groups)
    places = [(one["query"], one["gallery"], one["n"], one.get("subset")) for one in groups]
    assert len(set(places)) == len(places)
    subsets = [one[part][1] for one in groups for part in ("seen", "unseen") if part in one]
    assert sum(len(one) for one in [*(one["numbers"] for one in groups), *subsets]) == len(record.metrics)
