"""What can happen to a machine in the midst of a run: after each, what was finished is intact, and a run completes it.

All with real processes, disks and signals. The long, randomised version is test_kills.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from faulty_methods import Faulty, Follower
from processes import DRIVER, Runs

from compatbench.errors import MachineError
from compatbench.execution.claims import claim, running
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell, outcome, remaining
from compatbench.records.record import read_record, write_record
from compatbench.vocabulary import Status


@pytest.fixture
def runs(faulty: Faulty) -> Iterator[Runs]:
    started = Runs(faulty.root)
    yield started
    started.kill_all()


def records(faulty: Faulty) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in faulty.store.records("faults").rglob("*") if path.is_file()}


def names(output: str, event: str) -> list[str]:
    return [line.split()[1] for line in output.splitlines() if line.startswith(event)]


def resumed(faulty: Faulty, cells: Sequence[Cell]) -> list[str]:
    """What another run in this process starts, all of which succeeds."""
    watcher = Follower()
    found = LocalExecutor(faulty.context, jobs=2, timeout_seconds=500).run(
        remaining(cells, faulty.store, False, lambda line: None), watcher
    )
    assert {record.status for record in found} == {Status.OK}
    return watcher.order("started")


def read_until(process: subprocess.Popen[str], beginning: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(beginning):
            return said
    raise AssertionError(f"it ended before it said {beginning!r}: {said}")


def in_a_namespace(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Runs a shell script that may mount what nobody else sees; skips the test where the system forbids that."""
    trial = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(trial, check=False, capture_output=True).returncode:
        pytest.skip("needs `unshare -rm` (util-linux, and user namespaces), to mount a small disk")
    command = ["unshare", "-rm", "bash", "-euc", script, "bash", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)


FULL = """
python=$1 driver=$2 root=$3
mkdir -p $root/runs; mount -t tmpfs -o size=3100k tmpfs $root/runs
code=0; $python $driver $root 1 > $root/first.txt || code=$?
echo $code > $root/code.txt
cp -r $root/runs $root/full
mount -o remount,size=64m $root/runs
$python $driver $root 1 > $root/second.txt
cp -r $root/runs $root/roomy
"""


def test_a_full_disk_stops_the_run_in_one_line_and_room_completes_it(faulty: Faulty) -> None:
    cells = faulty.plan("independent", "bct", "l2")
    faulty.hand_over(cells)
    ended = in_a_namespace(FULL, sys.executable, DRIVER, faulty.root)
    assert ended.returncode == 0, ended.stderr
    first, second = (faulty.root / "first.txt").read_text(), (faulty.root / "second.txt").read_text()
    assert (faulty.root / "code.txt").read_text() == "1\n"
    assert first.splitlines()[-1].startswith("error: No space left on device") or "os error 28" in first
    assert "Traceback" not in first + ended.stderr
    kept = [path for path in (faulty.root / "full").rglob("*.json") if "records" in path.parts]
    finished = names(first, "finished")
    assert 0 < len(finished) == len(kept) < len(cells)
    assert names(second, "started") == [
        cell.spec.method.name for cell in cells if cell.spec.method.name not in finished
    ]
    for path in kept:
        assert read_record(path).status is Status.OK
        assert (faulty.root / "roomy" / path.relative_to(faulty.root / "full")).read_bytes() == path.read_bytes()
    done = [path for path in (faulty.root / "roomy").rglob("*.json") if "records" in path.parts]
    assert [read_record(path).status for path in done] == [Status.OK] * len(cells)
    assert not list((faulty.root / "roomy").rglob("*.tmp")), "what was half written is gone"


READ_ONLY = """
python=$1 suite=$2 root=$3
mkdir -p $root/runs; mount -t tmpfs -o ro tmpfs $root/runs
cd $root; code=0; $python -m compatbench run $suite --runs runs --methods independent || code=$?
echo code $code
"""


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(faulty: Faulty) -> None:
    suite = Path(__file__).parents[1] / "historic" / "historic.yaml"
    ended = in_a_namespace(READ_ONLY, sys.executable, suite, faulty.root)
    assert ended.stdout.splitlines()[-1] == "code 2"
    assert ended.stderr == "error: --runs runs: cannot be written: Read-only file system\n"


def test_a_disk_error_in_a_cell_is_no_outcome_of_it(faulty: Faulty) -> None:
    cells = faulty.plan("disk", "bct")
    with pytest.raises(MachineError, match="No space left on device: nothing more can be written"):
        LocalExecutor(faulty.context, jobs=1, timeout_seconds=500).run(cells[:1], Follower())
    assert records(faulty) == {}
    assert running(faulty.store, cells[0].spec) is None, "the claim is given back"


def damage_nothing(cells: Sequence[Cell], faulty: Faulty) -> None:
    """For the control of the next test."""


def cut_record(cells: Sequence[Cell], faulty: Faulty) -> None:
    path = faulty.store.record(cells[1].spec)
    path.write_bytes(path.read_bytes()[:1000])


def damage_record(cells: Sequence[Cell], faulty: Faulty) -> None:
    path = faulty.store.record(cells[1].spec)
    path.write_bytes(b"\x00" * path.stat().st_size)


def damage_arrays(cells: Sequence[Cell], faulty: Faulty) -> None:
    others = {sha for cell in (cells[0], cells[2]) for sha in read_record(faulty.store.record(cell.spec)).array_files}
    own = set(read_record(faulty.store.record(cells[1].spec)).array_files) - others
    path = faulty.store.arrays / f"{min(own)}.parquet"
    path.write_bytes(path.read_bytes()[::-1])


def damage_model(cells: Sequence[Cell], faulty: Faulty) -> None:
    record = read_record(faulty.store.record(cells[1].spec))
    path = faulty.store.models / f"{record.parents['1']}.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    faulty.store.record(cells[1].spec).unlink()


DAMAGES = {
    cut_record: "damaged, or of a version that cannot be read; its cell runs again",
    damage_record: "damaged, or of a version that cannot be read; its cell runs again",
    damage_arrays: "1 of its files of per-query arrays are damaged or gone; its cell runs again",
    damage_model: "is damaged (its content does not match its hash); making it again",
}


def test_damage_is_told_and_mended_and_nothing_else_runs(faulty: Faulty) -> None:
    cells = faulty.plan("independent", "bct", "l2")
    executor = LocalExecutor(faulty.context, jobs=2, timeout_seconds=500)
    executor.run(cells, Follower())
    before = records(faulty)
    numbers = read_record(faulty.store.record(cells[1].spec)).model_dump(include={"metrics", "arrays", "parents"})
    assert remaining(cells, faulty.store, retry=False) == []
    for damage, message in DAMAGES.items():
        damage(cells, faulty)
        told: list[str] = []
        watcher = Follower()
        todo = remaining(cells, faulty.store, False, told.append)
        assert [cell.spec.method.name for cell in todo] == ["bct"], damage.__name__
        [record] = executor.run(todo, watcher)
        assert record.status is Status.OK
        assert [line for line in told + watcher.notices if line.endswith(message)], (
            damage.__name__,
            told,
            watcher.notices,
        )
        assert record.model_dump(include={"metrics", "arrays", "parents"}) == numbers
        after = records(faulty)
        mended = faulty.store.record(cells[1].spec).name
        assert {name: after[name] for name in after if name != mended} == {
            name: before[name] for name in before if name != mended
        }
        assert remaining(cells, faulty.store, retry=False) == []


def test_two_runs_at_once_run_every_cell_once(faulty: Faulty, runs: Runs) -> None:
    cells = faulty.plan("independent", "bct", seeds=(0, 1))
    faulty.mend()
    faulty.hand_over(cells)
    both = [runs.start("1"), runs.start("1")]
    said = [process.communicate(timeout=280)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    started = [line for output in said for line in output.splitlines() if line.startswith("started")]
    assert sorted(started) == sorted(f"started {cell.spec.method.label} {cell.spec.seed}" for cell in cells)
    for output in said:
        todo = int(names(output, "todo")[0])
        assert len(names(output, "finished")) == todo, "each run ends with all records that it was to make"
    assert all(
        record is not None and record.status is Status.OK for record in (outcome(c, faulty.store) for c in cells)
    )
    assert runs.alive() == []


def test_a_cell_that_another_process_has_is_left_to_it(faulty: Faulty) -> None:
    [bct, l2] = faulty.plan("bct", "l2")
    taken = claim(faulty.store, bct.spec, "2026-01-01T00:00:00+00:00")
    assert taken is not None
    assert claim(faulty.store, bct.spec, "") is None
    taken._noted = float("-inf")
    taken.progress("train bct 1", 0.5)
    progress = running(faulty.store, bct.spec)
    assert progress is not None
    assert (progress.started, progress.stage, progress.share) == ("2026-01-01T00:00:00+00:00", "train bct 1", 0.5)
    assert running(faulty.store, l2.spec) is None

    def finish_elsewhere() -> None:
        """The other process ends with a record once this one has run its own cell."""
        record = read_record(faulty.store.record(l2.spec)).model_copy(update={"spec": bct.spec, "reason": "elsewhere"})
        write_record(record, faulty.store.record(bct.spec))
        taken.release()

    watcher = Follower(on_finish=finish_elsewhere)
    watcher.on_finish = lambda: finish_elsewhere() if watcher.order("finished") == ["l2"] else None
    found = LocalExecutor(faulty.context, jobs=2, timeout_seconds=500).run([bct, l2], watcher)
    assert watcher.order("started") == ["l2"]
    assert [record.reason for record in found] == ["", "elsewhere"]
    assert watcher.notices == ["was run by another process in the meantime"]
    assert not list(faulty.store.suite("faults").rglob("*.progress"))


def test_ctrl_c_says_what_is_done_and_the_next_run_resumes(faulty: Faulty, runs: Runs) -> None:
    cells = faulty.plan("independent", "bct", "hangs")
    faulty.hand_over(cells)
    first = runs.command("run", "faults.yaml", "--methods", "methods", "--runs", "runs", "--jobs", "2")
    read_until(first, "[2/3] ok")
    while not faulty.pids.exists():
        time.sleep(0.05)
    before = records(faulty)
    assert len(before) == 2
    os.killpg(first.pid, signal.SIGINT)
    first.wait(timeout=200)
    runs.wait_for_none()
    assert first.stdout is not None
    last = first.stdout.read().splitlines()[-1]
    line = "interrupted: 2 of 3 cells are done and kept; the same command goes on with the rest"
    assert (first.returncode, last) == (130, line)
    assert records(faulty) == before
    faulty.mend()
    assert resumed(faulty, cells) == ["hangs"]
    assert {name: content for name, content in records(faulty).items() if name in before} == before


def test_a_reboot_in_the_midst_of_a_run(faulty: Faulty, runs: Runs) -> None:
    """Everything that runs is gone at once, with what it had half written."""
    cells = faulty.plan("independent", "bct", "l2", "hangs")
    faulty.hand_over(cells)
    first = runs.start("2")
    read_until(first, "finished independent")
    while not faulty.pids.exists():
        time.sleep(0.05)
    for pid in runs.alive():
        os.kill(pid, signal.SIGKILL)
    first.communicate(timeout=200)
    runs.wait_for_none()
    path = faulty.store.record(cells[-1].spec)
    path.with_name(f".{path.name}.0a1b2c3d.tmp").write_text('{"status": ')
    before = {path: path.read_bytes() for path in faulty.store.records("faults").rglob("*.json")}
    assert before
    faulty.mend()
    started = {cell.spec.method.name for cell in cells if faulty.store.record(cell.spec) not in before}
    assert set(resumed(faulty, cells)) == started
    assert sorted(records(faulty)) == sorted(faulty.store.record(cell.spec).name for cell in cells)
    assert {path: path.read_bytes() for path in before} == before


def test_a_clock_that_jumps_back(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 - 3600 * next(ticks))
    cells = faulty.plan("clock", "bct")
    found = LocalExecutor(faulty.context, jobs=1, timeout_seconds=500).run(cells, Follower())
    assert [record.status for record in found] == [Status.OK, Status.OK]
    for record in found:
        assert 0 < record.seconds < 500
        assert all(seconds >= 0 for seconds in record.timings.values())
        assert (record.costs["train_seconds"] or 0) > 0
        os.utime(faulty.store.record(record.spec), (0, 2**33))
    assert remaining(cells, faulty.store, retry=False) == [], "what is done does not depend on dates"
