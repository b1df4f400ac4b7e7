"""The Ray executor on a cluster of two nodes on this machine: the same records as here, and what is lost runs again."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_methods import Faulty, Follower
from test_local import until

from compatbench.errors import MachineError, RequestError
from compatbench.execution.cell import RunContext
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell, remaining
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.trust.reproduce import REPRODUCED
from compatbench.trust.rescoring import Rescorer
from compatbench.vocabulary import Status

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'compatbench[ray]'")

from compatbench.execution.ray import RayExecutor, _pack, _unpack  # noqa: E402 - only where Ray is there


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster with a head and another node, one CPU each."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


def parts(records: list[Record]) -> dict[str, dict[str, Any]]:
    """What must be the same wherever a cell ran, by method."""
    return {
        record.spec.method.name: json.loads(record.model_dump_json(include={*REPRODUCED, "reason"}))
        for record in records
    }


def elsewhere(faulty: Faulty, name: str) -> RunContext:
    return dataclasses.replace(faulty.context, runs=faulty.root / name)


def test_the_same_plan_gives_the_same_records_as_here(cluster: str, faulty: Faulty) -> None:
    (faulty.root / "methods" / "broken").unlink()
    cells = faulty.plan("independent", "bct", "l2", "skips")
    watcher = Follower()
    executor = RayExecutor(elsewhere(faulty, "far"), 500, cluster)
    assert executor.slots == 2
    far = executor.run(cells, watcher)
    here = LocalExecutor(elsewhere(faulty, "here"), 2, 500).run(cells, Follower())
    assert parts(far) == parts(here)
    assert {record.status for record in far} == {Status.OK, Status.SKIPPED}
    store = Store(faulty.root / "far")
    assert remaining(cells, store, retry=True) == []
    for record in far:
        assert record.status is Status.SKIPPED or list(Rescorer(store.arrays).differences(record)) == []
    assert watcher.order("started")[0] == "independent"
    names = {
        folder: {path.name for path in (faulty.root / folder / "models").glob("*.safetensors")}
        for folder in ("far", "here")
    }
    assert names["far"] == names["here"], "the models came back, and none was trained twice"


WAITS = '''
import os, time
from pathlib import Path
from compatbench.method import TrainingMethod

ROOT = Path({root!r})


class Waits(TrainingMethod):
    """A method that says who it is, and waits until it is told to go on (ours)."""

    name = "waits"

    def loss(self, batch, new, old):
        (ROOT / "parts").mkdir(exist_ok=True)
        (ROOT / "parts" / str(os.getpid())).touch()
        while not (ROOT / "go on").exists():
            time.sleep(0.05)
        return {{"extra": 0.0 * new.embeddings.sum()}}
'''


def test_a_worker_that_is_killed_in_mid_cell_is_replaced(cluster: str, faulty: Faulty) -> None:
    """Everything that the worker started dies with it, and the cell starts anew."""
    (faulty.root / "methods" / "waits.py").write_text(WAITS.format(root=str(faulty.root)))
    cells = faulty.plan("independent", "waits")
    executor = RayExecutor(faulty.context, 500, cluster)
    told = faulty.root / "parts"

    class Killer(Follower):
        """Kills the worker once the method says that it runs."""

        killed: int | None = None

        def progressed(self, cell: Cell, stage: str, share: float) -> None:
            super().progressed(cell, stage, share)
            self.kill()

        def kill(self) -> None:
            if self.killed is None and told.is_dir() and list(told.iterdir()):
                process = int(next(told.iterdir()).name)
                worker = forebears(process)[-1]
                os.kill(worker, signal.SIGKILL)
                self.killed = process
                (faulty.root / "go on").touch()

    watcher = Killer()
    waiting = executor.wait

    def wait_and_kill(jobs: Any) -> None:
        waiting(jobs)
        watcher.kill()

    executor.wait = wait_and_kill  # type: ignore[method-assign]
    records = executor.run(cells, watcher)
    assert [record.status for record in records] == [Status.OK, Status.OK]
    assert watcher.killed is not None
    assert len(list(told.iterdir())) >= 2, "it ran twice"
    until(lambda: not Path(f"/proc/{watcher.killed}").exists())


def forebears(pid: int) -> list[int]:
    """Processes above `pid` up to the Ray worker, which is the last: fork server first."""
    found = []
    while b"ray::" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert pid > 1, "no Ray worker above the cell"
        found.append(pid)
    return found


def test_cells_end_there_in_the_ways_they_end_here(cluster: str, faulty: Faulty) -> None:
    faults = {"segfault": "os.kill(os.getpid(), 11)", "exits": "os._exit(3)", "raises": "raise ValueError('apples')"}
    for name, fault in faults.items():
        source = (faulty.root / "methods" / "raises.py").read_text()
        kept = source.replace("raise ValueError('three apples in ' + __file__)", fault).replace('"raises"', f'"{name}"')
        (faulty.root / "methods" / f"{name}.py").write_text(kept.replace('(HERE / "broken").exists()', "True"))
    cells = faulty.plan("independent", *faults)
    found = RayExecutor(faulty.context, 500, cluster).run(cells, Follower())
    outcomes = {record.spec.method.name: (record.status, record.reason) for record in found}
    assert outcomes == {
        "independent": (Status.OK, ""),
        "segfault": (Status.KILLED, "killed by SIGSEGV"),
        "exits": (Status.FAILED, "its process ended early with exit code 3"),
        "raises": (Status.FAILED, "ValueError: apples"),
    }
    logs = {record.spec.method.name: faulty.store.log(record.spec).read_text() for record in found}
    assert "Segmentation fault" in logs["segfault"]
    assert "ValueError: apples" in logs["raises"]


def test_workers_with_other_code_are_refused(cluster: str, faulty: Faulty) -> None:
    executor = RayExecutor(faulty.context, 500, cluster)
    executor.parcel = dataclasses.replace(executor.parcel, code_version="compatbench 0")
    with pytest.raises(MachineError, match="the driver compatbench 0; install the same version on every node"):
        executor.run(faulty.plan("independent"), Follower())
    assert not list(faulty.store.records("faults").rglob("*.json"))


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    _unpack({"models/a.safetensors": b"a"}, tmp_path)
    assert _pack(tmp_path, tmp_path.rglob("*")) == {"models/a.safetensors": b"a"}
    for name in ("../x", "models/../../x", "/etc/x"):
        with pytest.raises(MachineError, match="does not stay in its folder"):
            _unpack({name: b""}, tmp_path)


def test_without_a_cluster_the_error_is_one_line(faulty: Faulty) -> None:
    with pytest.raises(RequestError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        RayExecutor(faulty.context, 500, "127.0.0.1:1")


def test_without_ray_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    blocked = (
        "import sys; sys.modules['ray'] = None; from compatbench.execution.ray import RayExecutor; RayExecutor(None, 1)"
    )
    ended = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert "RequestError: --executor ray needs the package 'ray': pip install 'compatbench[ray]'" in ended.stderr
