"""Kills at random times: whatever dies, and when, the records in the end are those of an undisturbed run.

`make torture KILLS=10 ONLY=icons` is ten kills of cells of `icons`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faulty_methods import Faulty
from processes import Runs

from compatbench.discovery import datasets
from compatbench.discovery.plugins import discover
from compatbench.plan.cells import Cell, make_plan, remaining
from compatbench.plan.selection import Selection
from compatbench.records.record import read_record
from compatbench.records.store import Store
from compatbench.suite.suite import load_suite, parse_suite
from compatbench.trust.reproduce import REPRODUCED
from compatbench.vocabulary import Status

KILLS = int(os.environ.get("KILLS") or 100)
LIFE = 0.8
"""What a run gets at most before something of it is killed, as a share of an undisturbed one's time."""
KINDS = "run", "interrupt", "terminate", "fork server", "worker", "one process", "everything"
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """Where driver.py runs `cells` again and again."""

    root: Path
    cells: Sequence[Cell]

    @property
    def store(self) -> Store:
        return Store(self.root / "runs")

    @property
    def records(self) -> Path:
        return self.store.records(self.cells[0].spec.suite)

    def numbers(self) -> dict[str, dict[str, Any]]:
        """What must be the same, by record."""
        left = {}
        for path in self.records.rglob("*.json"):
            left[path.name] = read_record(path).model_dump(mode="json", include=set(REPRODUCED))
        return left

    def finished(self) -> dict[Path, bytes]:
        paths = self.records.rglob("*.json")
        return {path: path.read_bytes() for path in paths if read_record(path).status is Status.OK}

    def clear(self) -> None:
        """Begin anew, with the features of trunks."""
        for path in self.store.root.iterdir():
            if path != self.store.features:
                shutil.rmtree(path)

    def complete(self, runs: Runs) -> dict[str, dict[str, Any]]:
        """Run what is left, in peace."""
        process = runs.start("2", "retry")
        said = process.communicate(timeout=3600)[0]
        assert process.returncode == 0, said
        assert remaining(self.cells, self.store, retry=True) == []
        assert {path.suffix for path in self.records.rglob("*") if path.is_file()} == {".json"}
        return self.numbers()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    started = Runs(tmp_path)
    yield started
    started.kill_all()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def fork_server(main: int) -> list[int]:
    """Its process, once it is there."""
    return [pid for pid in children(main) if b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def kill_something(runs: Runs, main: int, chance: random.Random) -> str:
    """Kill the run, its fork server, a worker, any one process, or everything; returns what."""
    alive = runs.alive()
    what = chance.choice(KINDS)
    blow = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM}.get(what, signal.SIGKILL)
    try:
        servers = fork_server(main)
        victims = {
            "fork server": servers,
            "worker": [pid for server in servers for pid in children(server)][:1],
            "one process": [chance.choice(alive)] if alive else [],
            "everything": alive,
        }.get(what, [main])
    except OSError:
        victims = []  # it has just ended
    for pid in victims:
        try:
            os.kill(pid, blow)
        except ProcessLookupError:
            continue
    return what if victims else "nobody"


def disturb(place: Place, runs: Runs, kills: int, seed: int) -> dict[str, int]:
    """Kill `kills` times; a run that comes to its end is compared, cleared, and begun anew."""
    chance = random.Random(seed)
    (place.root / "cells.json").write_text(json.dumps([cell.spec.model_dump(mode="json") for cell in place.cells]))
    begun = time.monotonic()
    expected = place.complete(runs)
    life = LIFE * (time.monotonic() - begun)
    place.clear()
    happened = {"whole runs": 0}
    process = None
    while kills:
        if process is None:
            process = runs.start("2", "retry")
            before = place.finished()
        end = time.monotonic() + chance.uniform(0, life)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is None:
            what = kill_something(runs, process.pid, chance)
            happened[what] = happened.get(what, 0) + 1
            kills -= what != "nobody"
            print(f"{what} after {time.monotonic() - begun:.0f} s, {len(place.finished())} records", flush=True)
            if what in ("fork server", "worker", "one process", "nobody") and process.poll() is None:
                continue  # the run goes on without it
        said = process.communicate(timeout=3600)[0]
        runs.wait_for_none()
        after = place.finished()
        assert {path: after.get(path) for path in before} == before, "a finished record was touched"
        assert "Traceback" not in said or "KeyboardInterrupt" in said, said
        if not remaining(place.cells, place.store, retry=True):
            assert place.numbers() == expected
            place.clear()
            happened["whole runs"] += 1
        process = None
    assert place.complete(runs) == expected
    return happened


@pytest.mark.torture
@pytest.mark.timeout(8 * 3600)
def test_kills_leave_the_records_of_an_undisturbed_run(faulty: Faulty, runs: Runs) -> None:
    cells = faulty.plan("independent", "bct", "l2", "procrustes", seeds=(0, 1, 2))
    happened = disturb(Place(faulty.root, cells), runs, KILLS, seed=0)
    print(happened)
    assert KILLS < 100 or set(KINDS) <= set(happened)


@pytest.mark.torture
@pytest.mark.timeout(8 * 3600)
def test_kills_of_icons(runs: Runs, tmp_path: Path) -> None:
    """Of an adapter and a training method with their baseline, on the drawings and trunks of the board, two epochs."""
    if not (REPOSITORY / "data" / "iconsets").is_dir():
        pytest.skip("needs the drawings: compatbench data get iconsets --set size=64")
    (tmp_path / "data").symlink_to((REPOSITORY / "data").resolve())
    if (found := Store(REPOSITORY / "results" / "runs").features).is_dir():
        shutil.copytree(found, Store(tmp_path / "runs").features)
    suite = load_suite("icons")[1]
    data = suite.model_dump(exclude_unset=True) | {"methods": ["bct", "procrustes"]}
    data["recipe"] |= {"epochs": 2}
    suite = parse_suite(data, "short")
    dataset = datasets.load(suite.dataset, suite.image_size, tmp_path / "data", suite.dataset_options)
    selection = Selection(scenarios=("extended_data",), seeds=(0,))
    cells = make_plan("short", suite, dataset, discover(), selection)
    assert [cell.spec.method.name for cell in cells] == ["independent", "bct", "procrustes"]
    happened = disturb(Place(tmp_path, cells), runs, KILLS, seed=1)
    print(happened)
    assert KILLS < 100 or set(KINDS) <= set(happened)
