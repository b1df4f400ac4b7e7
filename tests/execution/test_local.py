"""The local executor against real processes that die in every way a cell can."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from faulty_methods import Faulty, Follower, alive
from processes import DRIVER

from compatbench.execution import local
from compatbench.execution.cell import Ending, now
from compatbench.execution.executor import Job, Watcher, write_ending
from compatbench.execution.local import LocalExecutor
from compatbench.execution.logs import LINES
from compatbench.plan.cells import Cell, outcome, remaining
from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

ENOUGH = 500.0
"""Seconds that no cell of these tests needs, however busy the machine is."""

EXPECTED = {
    "independent": Status.OK,
    "bct": Status.OK,
    "raises": Status.FAILED,
    "leaves": Status.FAILED,
    "drops": Status.FAILED,
    "killed": Status.KILLED,
    "segfault": Status.KILLED,
    "nan": Status.INVALID,
    "memory": Status.OOM,
    "limit": Status.OOM,
    "gpu": Status.OOM,
    "chatty": Status.OK,
    "lingers": Status.OK,
    "skips": Status.SKIPPED,
}

UNSUCCESSFUL = {name for name, end in EXPECTED.items() if end not in (Status.OK, Status.SKIPPED)}

REASONS = {
    "raises": "ValueError: three apples in methods/raises.py",
    "leaves": "SystemExit: 3",
    "drops": "its process ended early with exit code 3",
    "killed": "killed by SIGKILL (by hand, or by the system for want of memory)",
    "segfault": "killed by SIGSEGV",
    "nan": "loss term 'extra' is nan in epoch 1, step 1",
    "limit": "MemoryError",
    "gpu": "OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
    "skips": "no apples",
}


def pids(faulty: Faulty) -> list[int]:
    return [int(pid) for pid in faulty.pids.read_text().split()]


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for `condition`; the test fails where it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_every_way_to_end_leaves_one_record_and_retry_mends_the_failed(faulty: Faulty) -> None:
    store, cells, watcher = faulty.store, faulty.plan(*EXPECTED), Follower()
    records = LocalExecutor(faulty.context, jobs=2, timeout_seconds=ENOUGH).run(cells, watcher)
    by_name = {record.spec.method.name: record for record in records}

    assert {name: record.status for name, record in by_name.items()} == EXPECTED
    assert len(records) == len(EXPECTED)
    files = list(store.records("faults").rglob("*"))
    assert sorted(path for path in files if path.is_file()) == sorted(store.record(cell.spec) for cell in cells)
    assert all(read_record(store.record(cell.spec)) in records for cell in cells)
    assert {name: by_name[name].reason for name in REASONS} == REASONS
    assert "methods/raises.py" in by_name["raises"].error
    assert not any(str(faulty.root) in record.model_dump_json() for record in records)
    assert "three apples" in store.log(by_name["raises"].spec).read_text(), "the log has the traceback too"
    assert by_name["segfault"].log.startswith("Fatal Python error: Segmentation fault")
    assert 'File "methods/segfault.py"' in by_name["segfault"].log, "a crash says where"
    assert by_name["chatty"].log.splitlines() == [str(number) for number in range(9999 - LINES, 9999)]
    assert by_name["bct"].log == ""
    assert alive(pids(faulty)) == [], "the child of a killed cell lives on"

    assert watcher.order("finished")[0] == "skips", "a skip waits for nobody"
    assert watcher.order("started")[0] == "independent"
    first_end = watcher.events.index(("finished", "independent"))
    assert [event for event in watcher.events[:first_end] if event[0] == "started"] == [("started", "independent")]
    assert sorted(watcher.order("finished")) == sorted(EXPECTED)
    assert all(0 <= share <= 1 for stages in watcher.stages.values() for _, share in stages)
    assert ("train bct 1", 1.0) in watcher.stages["bct"]

    assert remaining(cells, store, retry=False) == []
    failed = remaining(cells, store, retry=True)
    assert {cell.spec.method.name for cell in failed} == {
        name for name, end in EXPECTED.items() if end not in (Status.OK, Status.SKIPPED)
    }
    untouched = {cell.spec.method.name: store.record(cell.spec).read_bytes() for cell in cells}
    faulty.mend()
    again = [cell for cell in failed if cell.spec.method.name in ("killed", "nan")]
    LocalExecutor(faulty.context, jobs=2, timeout_seconds=ENOUGH).run(again, Follower())
    for cell in cells:
        name, record = cell.spec.method.name, outcome(cell, store)
        assert record is not None
        if name in ("killed", "nan"):
            assert record.status is Status.OK
        else:
            assert store.record(cell.spec).read_bytes() == untouched[name]


QUEUED = 300.0


class Clock:
    """A clock that jumps far ahead once a cell hangs, so that no test waits for a timeout."""

    def __init__(self, hung: Path) -> None:
        self.hung, self.jump, self.looks = hung, ENOUGH, 0

    def monotonic(self) -> float:
        return time.monotonic() + (self.jump if self.hung.exists() else 0.0)

    def queued_seconds(self, pid: int) -> float:
        """Most of the first jump. The clock jumps as far again once that has been looked at."""
        if not self.hung.exists():
            return 0.0
        self.looks += 1
        self.jump = ENOUGH if self.looks < 3 else ENOUGH + QUEUED
        return QUEUED


def test_a_hung_cell_is_stopped_with_all_that_it_started(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(faulty.pids)
    monkeypatch.setattr(local, "time", clock)
    monkeypatch.setattr(local, "queued_seconds", clock.queued_seconds)
    [record] = LocalExecutor(faulty.context, jobs=1, timeout_seconds=ENOUGH - 20).run(faulty.plan("hangs"), Follower())
    assert record.status is Status.TIMEOUT
    assert record.reason.startswith("no progress for 8 minutes at 0% of 'train hangs 1'; it ran for 1")
    assert ENOUGH + QUEUED <= record.seconds < 1000, "not stopped after the time that it waited for a CPU"
    assert re.search(r'File "methods/hangs\.py", line \d+ in loss', record.log), "it says where it hung"
    assert read_record(faulty.store.record(record.spec)) == record
    assert len(pids(faulty)) == 2
    assert alive(pids(faulty)) == []


def test_an_error_of_the_watcher_leaves_no_process(faulty: Faulty) -> None:
    def interrupt() -> None:
        until(faulty.pids.exists)
        raise KeyboardInterrupt

    cells = faulty.plan("raises", "hangs")
    with pytest.raises(KeyboardInterrupt):
        LocalExecutor(faulty.context, jobs=2, timeout_seconds=ENOUGH).run(cells, Follower(on_finish=interrupt))
    assert alive(pids(faulty)) == []
    assert [outcome(cell, faulty.store) is None for cell in cells] == [False, True]


def test_cells_die_with_their_parent_and_leave_no_record(faulty: Faulty) -> None:
    [cell] = faulty.plan("hangs")
    faulty.hand_over([cell])
    parent = subprocess.Popen(
        [sys.executable, DRIVER, faulty.root, "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(faulty.pids.exists)
        assert len(alive(pids(faulty))) == 2
        parent.kill()
        assert parent.wait(60) != 0
    finally:
        parent.kill()
    until(lambda: not alive(pids(faulty)))
    assert [path for path in faulty.store.records("faults").rglob("*") if path.is_file()] == []


def test_same_cell_twice_gives_the_same_numbers(faulty: Faulty) -> None:
    cells = faulty.plan("bct")
    seen = []
    for attempt in ("first", "second"):
        store = Store(faulty.root / attempt)
        context = faulty.context.__class__(store.root, faulty.context.data, faulty.context.method_folders)
        LocalExecutor(context, jobs=2, timeout_seconds=ENOUGH).run(cells, Follower())
        records = [json.loads(store.record(cell.spec).read_text()) for cell in cells]
        seen.append([(one["metrics"], one["arrays"], one["parents"], one["losses"]) for one in records])
    assert seen[0] == seen[1]
    assert all(part for cell in seen[0] for part in cell), "the comparison is empty"


def test_no_more_cells_at_a_time_than_asked(faulty: Faulty) -> None:
    running: list[int] = []
    watcher = Follower()

    class Counting(LocalExecutor):
        def start(self, cell: Cell) -> local.LocalJob:
            started = super().start(cell)
            ended = len(watcher.order("finished"))
            running.append(len(watcher.order("started")) + 1 - ended)
            return started

    records: list[Record] = Counting(faulty.context, jobs=2, timeout_seconds=ENOUGH).run(
        faulty.plan("raises", "leaves", "drops", "segfault", "nan"), watcher
    )
    assert len(records) == 5
    assert max(running) == 2


def test_a_fork_server_that_takes_its_time_to_die_is_replaced(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes its socket first, and is a process for a while: connections are refused, and it looks alive."""
    monkeypatch.setattr(local, "FORK_PAUSE", 0)
    refusals: list[Exception] = [EOFError("unexpected EOF"), *(ConnectionRefusedError() for _ in range(5))]
    fork = LocalExecutor._fork

    def refuse(self: LocalExecutor, *arguments: Any) -> Any:
        if refusals:
            raise refusals.pop(0)
        return fork(self, *arguments)

    monkeypatch.setattr(LocalExecutor, "_fork", refuse)
    [record] = LocalExecutor(faulty.context, 1, ENOUGH).run(faulty.plan("independent"), Follower())
    assert (record.status, refusals) == (Status.OK, [])


def test_a_killed_fork_server_costs_no_cell(faulty: Faulty) -> None:
    """A cell whose process lives goes on; one that dies too was killed, and did not fail."""
    waiting = faulty.root / "methods" / "waiting"

    class Killer(LocalExecutor):
        done = False

        def wait(self, jobs: Sequence[Job]) -> None:
            super().wait(jobs)
            if not self.done and waiting.exists() and faulty.pids.exists():
                goes_on, dies = int(waiting.read_text()), pids(faulty)[0]
                server = int(Path(f"/proc/{dies}/stat").read_text().rpartition(")")[2].split()[1])
                os.kill(server, signal.SIGKILL)
                until(lambda: not alive([server]))
                os.kill(dies, signal.SIGKILL)
                assert alive([goes_on]) == [goes_on]
                (faulty.root / "methods" / "go on").touch()
                self.done = True

    executor = Killer(faulty.context, jobs=2, timeout_seconds=ENOUGH)
    found = {one.spec.method.name: one for one in executor.run(faulty.plan("waits", "hangs"), Follower())}
    assert executor.done
    assert (found["waits"].status, found["waits"].reason) == (Status.OK, "")
    assert found["hangs"].status is Status.KILLED
    assert found["hangs"].reason == "killed together with the server that had started it"
    assert found["hangs"].seconds > 0
    assert alive(pids(faulty)) == [], "what the killed cell had started is gone too"


def test_a_shared_model_that_stands_still_is_not_tried_again(faulty: Faulty) -> None:
    cells = faulty.plan("independent", "bct", "procrustes", seeds=(0, 1))

    class Hangs:
        """A cell that says that it trains the old model, and is stopped."""

        def __init__(self, cell: Cell) -> None:
            self.cell = cell

        def poll(self, watcher: Watcher) -> bool:
            watcher.progressed(self.cell, "train independent 0", 0.5)
            return True

        def record(self) -> Record:
            ends = Status.TIMEOUT if self.cell.spec.seed == 0 else Status.OK
            return write_ending(self.cell, Ending(ends), now(), faulty.context)

        def stop(self) -> None:
            """It has ended."""

    class Executor(LocalExecutor):
        def start(self, cell: Cell) -> Any:
            return Hangs(cell)

    watcher = Follower()
    found = Executor(faulty.context, 1, ENOUGH).run(cells, watcher)
    tried = watcher.order("started")
    assert sorted(tried) == ["bct", "independent", "independent", "procrustes"], "those of the other seed, and one"
    untried = [one for one in found if one.reason]
    assert {(one.spec.method.name, one.spec.seed) for one in untried} == {("bct", 0), ("procrustes", 0)}
    assert {one.status for one in untried} == {Status.TIMEOUT}
    assert untried[0].reason.startswith("not tried: a model that it shares made no progress in this run")


def test_a_process_that_cannot_be_made_is_told(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "FORK_PAUSE", 0)

    def refuse(self: LocalExecutor, *arguments: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(LocalExecutor, "_fork", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        LocalExecutor(faulty.context, 1, ENOUGH).run(faulty.plan("independent"), Follower())
