"""Kills at random times: whatever dies, and when, the records in the end are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_methods import Faulty
from processes import Runs

from compatbench.plan.cells import Cell, remaining
from compatbench.records.record import read_record
from compatbench.trust.reproduce import REPRODUCED
from compatbench.vocabulary import Status

LONGEST_LIFE = 12.0
"""Seconds that a run gets at most before something of it is killed."""


@pytest.fixture
def runs(faulty: Faulty) -> Iterator[Runs]:
    started = Runs(faulty.root)
    yield started
    started.kill_all()


def numbers(faulty: Faulty) -> dict[str, dict[str, Any]]:
    """What must be the same, by record."""
    left = {}
    for path in faulty.store.records("faults").rglob("*.json"):
        left[path.name] = read_record(path).model_dump(mode="json", include=set(REPRODUCED))
    return left


def finished(faulty: Faulty) -> dict[Path, bytes]:
    paths = faulty.store.records("faults").rglob("*.json")
    return {path: path.read_bytes() for path in paths if read_record(path).status is Status.OK}


def kill_something(runs: Runs, main: int, chance: random.Random) -> str:
    """Kill the run, its group, one of its processes, or everything; returns what."""
    alive = runs.alive()
    what = chance.choice(["run", "interrupt", "terminate", "one process", "everything"])
    match what:
        case "everything":
            victims, blow = alive, signal.SIGKILL
        case "one process":
            victims, blow = [chance.choice(alive)] if alive else [], signal.SIGKILL
        case _:
            victims = [main]
            blow = {"run": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}[what]
    for pid in victims:
        try:
            os.kill(pid, blow)
        except ProcessLookupError:
            continue
    return what


def disturb(faulty: Faulty, runs: Runs, cells: list[Cell], kills: int, seed: int) -> dict[str, int]:
    """Kill `kills` times; a run that comes to its end is compared, removed, and begun anew."""
    chance = random.Random(seed)
    expected = undisturbed(faulty, runs)
    happened = {"whole runs": 0}
    process = None
    while kills:
        if process is None:
            process = runs.start("2", "retry")
            before = finished(faulty)
        end = time.monotonic() + chance.uniform(0, LONGEST_LIFE)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is None:
            what = kill_something(runs, process.pid, chance)
            happened[what] = happened.get(what, 0) + 1
            kills -= 1
            if what == "one process" and process.poll() is None:
                continue  # the run goes on without it
        said = process.communicate(timeout=200)[0]
        runs.wait_for_none()
        after = finished(faulty)
        assert {path: after.get(path) for path in before} == before, "a finished record was touched"
        assert "Traceback" not in said or "KeyboardInterrupt" in said, said
        if not remaining(cells, faulty.store, retry=True):
            assert numbers(faulty) == expected
            shutil.rmtree(faulty.store.root)
            happened["whole runs"] += 1
        process = None
    if faulty.store.root.exists():
        complete(faulty, runs, cells)
        assert numbers(faulty) == expected
    return happened


def undisturbed(faulty: Faulty, runs: Runs) -> dict[str, dict[str, Any]]:
    process = runs.start("2")
    said = process.communicate(timeout=280)[0]
    assert process.returncode == 0, said
    expected = numbers(faulty)
    shutil.rmtree(faulty.store.root)
    return expected


def complete(faulty: Faulty, runs: Runs, cells: list[Cell]) -> None:
    process = runs.start("2", "retry")
    said = process.communicate(timeout=280)[0]
    assert process.returncode == 0, said
    assert remaining(cells, faulty.store, retry=True) == []
    assert {path.suffix for path in faulty.store.records("faults").rglob("*") if path.is_file()} == {".json"}


@pytest.mark.torture
@pytest.mark.timeout(4 * 3600)
def test_a_hundred_kills_leave_the_records_of_an_undisturbed_run(faulty: Faulty, runs: Runs) -> None:
    cells = faulty.plan("independent", "bct", "l2", "procrustes", seeds=(0, 1, 2))
    faulty.hand_over(cells)
    happened = disturb(faulty, runs, cells, kills=100, seed=0)
    print(happened)
    assert {"run", "interrupt", "terminate", "one process", "everything"} <= set(happened)
