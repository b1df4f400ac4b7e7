"""Cells in several processes of a launcher: real ones, started by accelerate, that train, fail and are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import Runs

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.execution.launch import Launch
from compatbench.plan.cells import make_plan, remaining
from compatbench.plan.selection import Selection
from compatbench.records.record import read_record
from compatbench.records.store import Store
from compatbench.suite.suite import parse_suite
from compatbench.vocabulary import Status

METHOD = '''
import os, signal
import torch.distributed as dist
from compatbench.method import TrainingMethod


class Faulty(TrainingMethod):
    """A method that fails in the second process (ours)."""

    name = "{name}"

    def loss(self, batch, new, old):
        if batch.progress > 0.4 and dist.get_rank() == 1:
            {fault}
        return {{"extra": 0.0 * new.embeddings.sum()}}
'''

FAULTS = {
    "raises": "raise ValueError('three apples in ' + __file__)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "nan": "pass\n        return {'extra': new.embeddings.sum() * float('nan')}",
}

SUITE = {
    "title": "together",
    "dataset": "digits",
    "image_size": 16,
    "train_limit": 101,
    "query_limit": 61,
    "index_search": [],
    "timeout_minutes": 4,
    "recipe": {"epochs": 2, "batch_size": 25},
    "defaults": {"backbone": "test_vit", "dim": 8},
    "scenarios": {"extended_data": [{"share": 0.5}, {}]},
    "methods": ["procrustes", *FAULTS],
}


class Launched:
    """A run of SUITE in two processes, and what it left."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, fault in FAULTS.items():
            (root / "methods").mkdir(exist_ok=True)
            (root / "methods" / f"{name}.py").write_text(METHOD.format(name=name, fault=fault))
        (root / "together.yaml").write_text(json.dumps(SUITE))
        self.processes = Runs(root)
        self.outcome = self.run("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "-m")
        self.left = self.processes.alive()
        self.records = {
            record.spec.method.name: record
            for path in sorted((root / "runs" / "together" / "records").rglob("*.json"))
            for record in [read_record(path)]
        }

    def run(self, *launcher: str) -> subprocess.CompletedProcess[str]:
        words = ["compatbench", "run", "together.yaml", "--methods", "methods", "--runs", "runs", "--data", "data"]
        return subprocess.run(
            [sys.executable, "-m", *launcher, *words],
            cwd=self.root,
            env={**os.environ, "OMP_NUM_THREADS": "1", self.processes.name: self.processes.value},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    return Launched(tmp_path_factory.mktemp("together"))


def test_every_cell_leaves_one_record_which_names_the_world_size(launched: Launched) -> None:
    ends = {name: record.status for name, record in launched.records.items()}
    assert ends == {
        "independent": Status.OK,
        "procrustes": Status.OK,
        "raises": Status.FAILED,
        "killed": Status.KILLED,
        "nan": Status.INVALID,
    }, launched.outcome.stderr
    assert {record.environment.processes for record in launched.records.values()} == {2}
    assert launched.outcome.returncode == 1, "cells failed"
    assert "5 of 5 cells to run, 1 at a time in 2 processes" in launched.outcome.stdout
    assert launched.outcome.stdout.count("[1/5]") == 1, "one process alone shows what happens"
    assert launched.records["procrustes"].command == (
        "accelerate launch --multi_gpu --num_processes 2 -m compatbench run together.yaml --methods methods,procrustes "
        "--scenarios extended_data --seeds 0"
    )


def test_a_process_that_fails_gives_the_reason_and_the_run_goes_on(launched: Launched) -> None:
    raised, killed = launched.records["raises"], launched.records["killed"]
    assert raised.reason == "process 2 of 2: ValueError: three apples in methods/raises.py"
    assert "methods/raises.py" in raised.error
    assert killed.reason == "process 2 of 2: killed by SIGKILL (by hand, or by the system for want of memory)"
    assert launched.records["nan"].reason == "loss term 'extra' is nan in epoch 1, step 1", "all of them fail alike"
    assert launched.left == [], "processes are left"
    for record in launched.records.values():
        assert str(launched.root) not in record.model_dump_json()
        assert "127.0.0.1" not in record.model_dump_json()


def test_nothing_is_half_written(launched: Launched) -> None:
    assert not list((launched.root / "runs").rglob("*.tmp"))
    models = list((launched.root / "runs" / "models").glob("*.safetensors"))
    assert len(models) == 3, "two independent models and a fitted adapter"


def test_one_process_finds_what_several_have_made(launched: Launched, digits: Dataset) -> None:
    catalogue = discover([launched.root / "methods"])
    cells = make_plan("together", parse_suite(SUITE, "test"), digits, catalogue, Selection())
    assert remaining(cells, Store(launched.root / "runs"), retry=False) == []
    failed = remaining(cells, Store(launched.root / "runs"), retry=True)
    assert {cell.spec.method.name for cell in failed} == set(FAULTS)


ENVIRONMENT = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({**ENVIRONMENT, "WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"WORLD_SIZE": "4"}, None),
        (ENVIRONMENT, Launch(1, 4, 1, 4, "10.0.0.1", 29500)),
        ({**ENVIRONMENT, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, Launch(1, 4, 0, 2, "10.0.0.1", 29500)),
    ],
)
def test_a_launch_is_what_the_launcher_says(environment: dict[str, str], expected: Any) -> None:
    assert Launch.found_in(environment) == expected


def test_accelerate_that_starts_one_process_instead_of_many_is_told() -> None:
    with pytest.raises(RequestError, match="--multi_gpu"):
        Launch.found_in({"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"})
    assert Launch.found_in({"ACCELERATE_USE_CPU": "True"}) is None, "one process was asked for"
