"""Fits all adapters side by side, each on one thread: results depend on neither cores nor other work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from compatbench.comparison.effort import Effort
from compatbench.comparison.fit_worker import write_pairs
from compatbench.comparison.fitting import Fit, Plan, fit_planned, plan_fit
from compatbench.discovery.plugins import Plugin
from compatbench.generations.adapters import PairedVectors, restore
from compatbench.machine.cores import cores
from compatbench.storage.artefacts import read_artefact

WORTH_A_PROCESS = 5e11
"""Multiplications and additions, of all adapters together; importing torch takes as long as these."""


@dataclass
class FitProgress:
    """How far the adapters are."""

    plans: Sequence[Plan]
    begun: float = field(default_factory=time.monotonic)
    shares: dict[str, float] = field(default_factory=dict)
    """Of each adapter that was begun, the share that is done."""

    @property
    def running(self) -> dict[str, float]:
        """Those that are neither waiting nor done."""
        return {name: share for name, share in self.shares.items() if share < 1}

    @property
    def finished(self) -> int:
        """How many are done."""
        return sum(share >= 1 for share in self.shares.values())

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; None before anything is known."""
        done = sum(plan.work * self.shares.get(plan.plugin.name, 0.0) for plan in self.plans)
        if done == 0:
            return None
        return (time.monotonic() - self.begun) * (sum(plan.work for plan in self.plans) / done - 1)

    def __str__(self) -> str:
        parts = [f"{name} {100 * share:.0f}%" for name, share in sorted(self.running.items())]
        left = self.seconds_left
        time_left = "" if left is None or not self.running else f", about {left:.0f} s left"
        of_all = f"{self.finished} of {len(self.plans)} adapters fitted{time_left}"
        return f"{of_all}: {', '.join(parts)}" if parts else of_all


Watch = Callable[[FitProgress], None]


def fit_all(
    plugins: Sequence[Plugin],
    pairs: PairedVectors,
    effort: Effort,
    seed: int,
    folders: Sequence[Path] = (),
    watch: Watch = lambda progress: None,
) -> list[Fit]:
    """Fit these adapters on all pairs, and return them in their order.

    Each is fitted on one thread: here, one after the other, if that is little work or the pairs are on a GPU, else in
    as many processes as there are cores. The numbers are the same either way.
    """
    plans = [plan_fit(plugin, pairs, effort) for plugin in plugins]
    skipped = {one.plugin.name: fit_planned(one, pairs, seed) for one in plans if one.reason}
    waiting = sorted((one for one in plans if not one.reason), key=lambda one: -one.work)
    progress = FitProgress(waiting)
    workers = min(cores(), len(waiting))
    heavy = sum(one.work for one in waiting) > WORTH_A_PROCESS
    if pairs.new.device.type != "cpu" or workers < 2 or not heavy:
        found = _fit_here(waiting, pairs, seed, progress, watch)
    else:
        found = _fit_in_processes(waiting, pairs, effort, seed, folders, workers, progress, watch)
    return [(skipped | found)[plugin.name] for plugin in plugins]


def _fit_here(
    waiting: Sequence[Plan], pairs: PairedVectors, seed: int, progress: FitProgress, watch: Watch
) -> dict[str, Fit]:
    found = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for plan in waiting:
            name = plan.plugin.name
            progress.shares[name] = 0.0
            watch(progress)
            found[name] = fit_planned(plan, pairs, seed)
            progress.shares[name] = 1.0
            watch(progress)
    finally:
        torch.set_num_threads(threads)
    return found


def _fit_in_processes(
    waiting: Sequence[Plan],
    pairs: PairedVectors,
    effort: Effort,
    seed: int,
    folders: Sequence[Path],
    workers: int,
    progress: FitProgress,
    watch: Watch,
) -> dict[str, Fit]:
    with tempfile.TemporaryDirectory(prefix="compatbench-") as place:
        write_pairs(Path(place), pairs)
        crew = _Crew(Path(place), list(waiting), len(pairs), effort, seed, folders, progress, watch)
        with ThreadPoolExecutor(workers) as pool:
            jobs = [pool.submit(crew.work) for _ in range(workers)]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                crew.stop()
                raise
    return crew.found


class _Crew:
    """Processes that take the waiting adapters one by one, the largest first."""

    def __init__(
        self,
        place: Path,
        waiting: list[Plan],
        pairs: int,
        effort: Effort,
        seed: int,
        folders: Sequence[Path],
        progress: FitProgress,
        watch: Watch,
    ) -> None:
        self.place, self.waiting, self.pairs, self.progress, self.watch = place, waiting, pairs, progress, watch
        self.request = {"effort": effort, "seed": seed, "folders": [str(one.absolute()) for one in folders]}
        self.found: dict[str, Fit] = {}
        self.lock = threading.Lock()
        self.processes: list[subprocess.Popen[str]] = []

    def work(self) -> None:
        """Keep one process busy until nothing waits. A process that is lost costs the adapter that it was at."""
        while self.waiting:
            process = self._start()
            try:
                while (plan := self._next()) is not None:
                    fit = self._fit(process, plan)
                    with self.lock:
                        self.found[plan.plugin.name] = fit
                    self._saw(plan, 1.0)
                    if process.poll() is not None:
                        break
            finally:
                self._end(process)

    def stop(self) -> None:
        """End what runs."""
        self.waiting.clear()
        for process in self.processes:
            process.kill()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "compatbench.comparison.fit_worker", str(self.place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self.processes.append(process)
        return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        process.wait()
        process.stdout.close()

    def _next(self) -> Plan | None:
        with self.lock:
            return self.waiting.pop(0) if self.waiting else None

    def _fit(self, process: subprocess.Popen[str], plan: Plan) -> Fit:
        assert process.stdin is not None
        assert process.stdout is not None
        name = plan.plugin.name
        self._saw(plan, 0.0)
        with suppress(OSError):
            process.stdin.write(json.dumps(self.request | {"method": name}) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if "steps" not in answer:
                    return self._read(plan, answer["reason"], answer["seconds"])
                self._saw(plan, min(0.99, answer["steps"] / plan.steps) if plan.steps else 0.0)
        return Fit(plan.plugin, None, f"failed: its process ended with exit code {process.wait()}")

    def _read(self, plan: Plan, reason: str, seconds: float) -> Fit:
        if reason:
            return Fit(plan.plugin, None, reason)
        artefact, problem = read_artefact(self.place / f"{plan.plugin.name}.safetensors")
        if artefact is None:
            return Fit(plan.plugin, None, f"failed: what was fitted cannot be read ({problem})")
        return Fit(plan.plugin, restore(artefact, lambda _: plan.plugin), "", plan.changes, self.pairs, seconds)

    def _saw(self, plan: Plan, share: float) -> None:
        with self.lock:
            self.progress.shares[plan.plugin.name] = share
            self.watch(self.progress)
