from pathlib import Path

import pytest

from compatbench.errors import RequestError
from compatbench.records.store import Store
from compatbench.report.rows.runs import file_of, scenarios
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec
from compatbench.vocabulary import Status

FLAT = {"oo": [0.5], "no": [0.5], "nn": [0.5], "ss": [0.5]}


def test_records_are_sorted_into_scenarios_rows_and_seeds(bench):
    records = [
        bench.record("b", 1, FLAT, scenario="z"),
        bench.record("b", 0, status=Status.OOM, scenario="z"),
        bench.record("a", 1, FLAT, scenario="z", name="independent"),
        bench.record("b", 0, FLAT, scenario="y"),
    ]
    first, second = scenarios(records)
    assert (first.scenario, second.scenario) == ("y", "z")
    assert [runs.label for runs in second.rows] == ["a", "b"]
    assert [record.spec.seed for record in second.rows[1].records] == [0, 1]
    assert [record.spec.seed for record in second.rows[1].finished] == [1]
    assert [record.spec.seed for record in second.rows[1].unfinished] == [0]
    assert second.seeds == (0, 1)
    assert second.newest == "1"
    assert second.independent is second.rows[0]
    assert first.independent is None


def test_the_newest_generation_of_a_longer_chain(bench):
    record = bench.record("a", 0)
    record.spec.generations += (GenerationSpec(backbone="large"),) * 2
    assert scenarios([record])[0].newest == "3"


def test_the_named_file_is_the_one_the_store_writes(bench):
    record = bench.record("bct(weight=2)", 3)
    assert file_of(record) == str(Store(Path()).record(record.spec))
    assert file_of(record).startswith("synthetic/records/extended_data/bct_weight=2")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol_version": 1}, "protocol versions"),
        ({"schema_version": 99}, "schema versions"),
        ({"split_hash": "d" * 64}, "splits"),
    ],
)
def test_unlike_records_are_refused_by_name(bench, changes, words):
    good, other = bench.record("a", 0, FLAT), bench.record("b", 0, FLAT, **changes)
    with pytest.raises(RequestError, match=words) as error:
        scenarios([good, other])
    assert file_of(good) in str(error.value)
    assert file_of(other) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset_fingerprint": "0" * 64},
        {"recipe": Recipe(epochs=2)},
        {"train_limit": 7},
        {"dataset_options": {"x": 1}},
    ],
)
def test_unlike_settings_are_refused(bench, changes):
    other = bench.record("b", 0)
    other = other.model_copy(update={"spec": other.spec.model_copy(update=changes)})
    with pytest.raises(RequestError, match="settings"):
        scenarios([bench.record("a", 0), other])


def test_scenarios_may_differ_in_their_settings(bench):
    other = bench.record("a", 0, scenario="y")
    other.spec.generations += (GenerationSpec(backbone="large"),)
    assert len(scenarios([bench.record("a", 0), other])) == 2


def test_two_records_of_a_cell_or_two_versions_of_a_method_are_refused(bench):
    with pytest.raises(RequestError, match="two records of one cell"):
        scenarios([bench.record("a", 0), bench.record("a", 0)])
    changed = bench.record("a", 1)
    method = changed.spec.method.model_copy(update={"source_hash": "0" * 64})
    changed = changed.model_copy(update={"spec": changed.spec.model_copy(update={"method": method})})
    with pytest.raises(RequestError, match="versions of one method"):
        scenarios([bench.record("a", 0), changed])


def test_two_suites_and_nothing_at_all_are_refused(bench):
    other = bench.record("b", 0)
    other.spec.suite = "other"
    with pytest.raises(RequestError, match="one suite at a time"):
        scenarios([bench.record("a", 0), other])
    with pytest.raises(RequestError, match="no records"):
        scenarios([])
