"""Suites and records with any JSON value in any place: read, or refused in one line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import places
from targets import record_files, suite_files

from compatbench.errors import RequestError
from compatbench.records.record import read_record, record_text, write_record
from compatbench.suite.suite import parse_suite

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
SUITES: list[Any] = [yaml.safe_load(content) for content in suite_files()]
RECORDS: list[Any] = [json.loads(content) for content in record_files()]


def changed(documents: list[Any], data: st.DataObject) -> Any:
    document = copy.deepcopy(data.draw(st.sampled_from(documents)))
    parent, key = data.draw(st.sampled_from(list(places(document))))
    parent[key] = data.draw(VALUES)
    return document


def one_line(error: RequestError) -> bool:
    return len(str(error).splitlines()) == 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_suite_with_any_value_anywhere(data: st.DataObject) -> None:
    try:
        suite = parse_suite(changed(SUITES, data), "suite.yaml")
    except RequestError as error:
        assert one_line(error)  # noqa: PT017 - it may also be a sound suite
    else:
        assert len({entry.label for entry in suite.methods}) == len(suite.methods)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_record_with_any_value_anywhere(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(changed(RECORDS, data)))
    try:
        record = read_record(path)
    except RequestError as error:
        assert one_line(error)  # noqa: PT017 - it may also be a sound record
    else:
        again = tmp_path / "again.json"
        write_record(record, again)
        assert record_text(read_record(again)) == record_text(record)


def test_an_empty_end_of_a_curve_stays_empty(tmp_path: Path) -> None:
    record = copy.deepcopy(next(one for one in RECORDS if one["backfill"]))
    record["backfill"][0]["low"] = []
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    write_record(read_record(path), path)
    assert read_record(path).backfill[0].low == []


@pytest.mark.parametrize("name", ["../x", "..", ".hidden", "a/b", "a\\b", "", "x" * 101, "a\nb"])
@pytest.mark.parametrize("field", ["suite", "scenario"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, field: str, name: str) -> None:
    record = copy.deepcopy(RECORDS[0])
    record["spec"][field] = name
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    with pytest.raises(RequestError, match=f"spec.{field}: String should match pattern"):
        read_record(path)
