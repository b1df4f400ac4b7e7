"""What `compatbench status` says of cells in every state, the running ones claimed by another process."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from compatbench.execution.status import status_lines
from compatbench.plan.cells import Cell
from compatbench.records.record import CellSpec, Record, write_record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

CLAIM = """
import sys
from pathlib import Path
from compatbench.execution.claims import claim
from compatbench.records.record import CellSpec
from compatbench.records.store import Store

spec = CellSpec.model_validate_json(sys.stdin.readline())
taken = claim(Store(Path(sys.argv[1])), spec, "2026-01-01T00:00:00+00:00")
taken._noted = float("-inf")
taken.progress("train bct 1", 0.25)
print("claimed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def cells(cell_spec: CellSpec) -> list[Cell]:
    return [Cell(cell_spec.model_copy(update={"seed": seed}), None) for seed in range(6)]


def test_every_state_is_told(cells: list[Cell], record: Record, tmp_path: Path) -> None:
    store = Store(tmp_path)
    ends = [(Status.OK, ""), (Status.SKIPPED, "no"), (Status.OOM, "MemoryError:\nno room"), (Status.FAILED, "")]
    for seed, (status, reason) in enumerate(ends):
        spec = cells[seed].spec
        write_record(record.model_copy(update={"spec": spec, "status": status, "reason": reason}), store.record(spec))
    now = datetime.datetime(2026, 1, 1, 0, 1, 30, tzinfo=datetime.UTC)
    other = subprocess.Popen(
        [sys.executable, "-c", CLAIM, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        other.stdin.write(cells[3].spec.model_dump_json() + "\n")
        other.stdin.flush()
        assert other.stdout.readline() == "claimed\n"
        assert list(status_lines(cells, store, now)) == [
            f"oom      extended_data · bct(weight=2) · seed 2  MemoryError: no room  ({store.log(cells[2].spec)})",
            "running  extended_data · bct(weight=2) · seed 3  train bct 1 25%, for 90 s",
            "6 cells: 1 running, 2 waiting, 1 ok, 1 oom, 1 skipped",
        ]
        earlier = now - datetime.timedelta(days=1)
        assert "train bct 1 25%, for 0 s" in list(status_lines(cells, store, earlier))[1], "the clock was set back"
    finally:
        other.kill()
        other.wait()
    assert list(status_lines(cells, store, now))[1:] == [
        f"failed   extended_data · bct(weight=2) · seed 3  no reason given  ({store.log(cells[3].spec)})",
        "6 cells: 2 waiting, 1 ok, 1 failed, 1 oom, 1 skipped",
    ], "a process that was killed runs nothing any more"
