"""The Slurm executor through submitit's local executor: real processes, the same records as here, lost jobs again."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from faulty_methods import Faulty, Follower, alive

from compatbench.errors import MachineError
from compatbench.execution import slurm
from compatbench.execution.local import LocalExecutor
from compatbench.records.record import Record
from compatbench.trust.reproduce import REPRODUCED
from compatbench.vocabulary import Status

pytest.importorskip("submitit", reason="needs submitit: pip install 'compatbench[slurm]'")


def parts(records: list[Record]) -> dict[str, dict[str, Any]]:
    included = {*REPRODUCED, "reason"}
    return {record.spec.method.name: json.loads(record.model_dump_json(include=included)) for record in records}


def test_the_same_plan_gives_the_same_records_as_here(faulty: Faulty) -> None:
    cells = faulty.plan("independent", "bct", "segfault", "skips")
    far = dataclasses.replace(faulty.context, runs=faulty.root / "far")
    records = slurm.SlurmExecutor(far, 500, cluster="local").run(cells, Follower())
    here = LocalExecutor(faulty.context, 2, 500).run(cells, Follower())
    assert parts(records) == parts(here)
    assert {record.spec.method.name: record.status for record in records} == {
        "independent": Status.OK,
        "bct": Status.OK,
        "segfault": Status.KILLED,
        "skips": Status.SKIPPED,
    }


def test_a_slow_cell_has_a_day_or_what_the_options_say(faulty: Faulty) -> None:
    def minutes(**options: Any) -> int:
        executor = slurm.SlurmExecutor(faulty.context, 60, options, cluster="local")
        return int(executor._submitit._executor.parameters["timeout_min"])

    assert minutes() == 24 * 60, "the cell's minute is one without progress"
    assert minutes(timeout_min=5) == 5


def test_a_lost_job_is_submitted_again(faulty: Faulty) -> None:
    """The job's process is killed in mid-cell; the cell that it had started dies with it."""
    [cell] = faulty.plan("hangs")
    executor = slurm.SlurmExecutor(faulty.context, 500, cluster="local")
    watcher = Follower()
    waiting, killed = executor.wait, []

    def wait_and_kill(jobs: Any) -> None:
        waiting(jobs)
        if not killed and faulty.pids.exists():
            process = int(faulty.pids.read_text().split()[0])
            stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            server = int(stat[1])
            job = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
            faulty.mend()
            os.kill(job, signal.SIGKILL)
            killed.append(process)

    executor.wait = wait_and_kill  # type: ignore[method-assign]
    [record] = executor.run([cell], watcher)
    assert record.status is Status.OK
    assert len(watcher.notices) == 1
    assert watcher.notices[0].endswith("submitted again")
    assert alive(killed) == []


def test_a_node_with_other_code_is_refused(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "code_version", lambda: "compatbench 0")
    executor = slurm.SlurmExecutor(faulty.context, 500, cluster="local")
    with pytest.raises(MachineError, match="the driver compatbench 0; install the same version on every node"):
        executor.run(faulty.plan("independent"), Follower())
