"""Methods that fail on purpose, and plans that run them in real processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.execution.cell import RunContext
from compatbench.plan.cells import Cell, make_plan
from compatbench.plan.selection import Selection
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.suite.suite import parse_suite

FAULTY = '''
import itertools, os, resource, signal, subprocess, sys, threading, time
from pathlib import Path
import torch
from compatbench.method import TrainingMethod

HERE = Path(__file__).parent


def leave_a_child():
    """Start a process that outlives its parent, and say so."""
    child = subprocess.Popen(["sleep", "600"])
    (HERE / "pids.part").write_text(f"{{os.getpid()}} {{child.pid}}")
    (HERE / "pids.part").rename(HERE / "pids")


def wait():
    """Say who this is, and wait until the file `go on` is there."""
    (HERE / "waiting").write_text(str(os.getpid()))
    while not (HERE / "go on").exists():
        time.sleep(0.02)


def take_memory():
    """Ask for more than the system gives."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
    bytearray(2**29)


def turn_back_the_clock():
    """Every look at the clock is an hour before the last."""
    ticks = itertools.count()
    time.time = lambda: 1e9 - 3600 * next(ticks)


class Faulty(TrainingMethod):
    """A method that fails while the file `broken` is there (ours)."""

    name = "{name}"

    def skip(self, task):
        return "no apples" if self.name == "skips" else None

    def loss(self, batch, new, old):
        if (HERE / "broken").exists():
            {fault}
        return {{"extra": 0.0 * new.embeddings.sum()}}
'''

FAULTS = {
    "raises": "raise ValueError('three apples in ' + __file__)",
    "leaves": "sys.exit(3)",
    "drops": "os._exit(3)",
    "killed": "leave_a_child(); os.kill(os.getpid(), signal.SIGKILL)",
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "leave_a_child(); time.sleep(600)",
    "nan": "return {'extra': new.embeddings.sum() * float('nan')}",
    "memory": "torch.empty(10**15)",
    "limit": "take_memory()",
    "gpu": "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 MiB')",
    "disk": "raise OSError(28, 'No space left on device', '/tmp/cache')",
    "clock": "turn_back_the_clock()",
    "chatty": "print('\\x1b[31mred\\x1b[0m apples in ' + __file__); print('\\n'.join(map(str, range(9999))))",
    "lingers": "threading.Thread(target=time.sleep, args=(600,)).start()",
    "waits": "wait()",
    "skips": "pass",
}


SUITE = {
    "title": "faults",
    "dataset": "digits",
    "image_size": 16,
    "train_limit": 100,
    "query_limit": 60,
    "index_search": [],
    "recipe": {"epochs": 1, "batch_size": 32},
    "defaults": {"backbone": "test_vit", "dim": 8},
    "scenarios": {"extended_data": [{"share": 0.5}, {}]},
}


@dataclass(frozen=True)
class Faulty:
    """A folder of faulty methods and a suite of digits, with everything below one folder."""

    root: Path
    dataset: Dataset

    @property
    def context(self) -> RunContext:
        return RunContext(self.root / "runs", self.root / "data", (self.root / "methods",))

    @property
    def store(self) -> Store:
        return Store(self.context.runs)

    @property
    def pids(self) -> Path:
        """Where `killed` and `hangs` write the ids of their process and of the child that they leave."""
        return self.root / "methods" / "pids"

    def mend(self) -> None:
        (self.root / "methods" / "broken").unlink()

    def plan(self, *methods: str, seeds: Sequence[int] = (0,)) -> list[Cell]:
        """The cells of `methods` alone, without the baseline that a plan adds."""
        suite = parse_suite(SUITE | {"methods": list(methods)}, "test")
        catalogue = discover(self.context.method_folders)
        cells = make_plan("faults", suite, self.dataset, catalogue, Selection(seeds=tuple(seeds)))
        return [cell for cell in cells if cell.spec.method.name in methods]

    def hand_over(self, cells: Sequence[Cell]) -> None:
        """Leave `cells` where driver.py finds them, and their suite where the command line does."""
        specs = [cell.spec.model_dump(mode="json") for cell in cells]
        (self.root / "cells.json").write_text(json.dumps(specs))
        rows = list(dict.fromkeys(cell.spec.method.name for cell in cells))
        (self.root / "faults.yaml").write_text(json.dumps(SUITE | {"methods": rows}))


class Follower:
    """A watcher that keeps what it is told, in order."""

    def __init__(self, on_finish: Callable[[], None] = lambda: None) -> None:
        self.events: list[tuple[str, str]] = []
        self.stages: dict[str, list[tuple[str, float]]] = {}
        self.notices: list[str] = []
        self.on_finish = on_finish

    def started(self, cell: Cell) -> None:
        self.events.append(("started", cell.spec.method.name))

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        self.stages.setdefault(cell.spec.method.name, []).append((stage, share))

    def noticed(self, cell: Cell, line: str) -> None:
        self.notices.append(line)

    def finished(self, cell: Cell, record: Record) -> None:
        self.events.append(("finished", cell.spec.method.name))
        self.on_finish()

    def order(self, kind: str) -> list[str]:
        return [name for event, name in self.events if event == kind]


def alive(pids: Sequence[int]) -> list[int]:
    """Those of `pids` that run still; one that waits for its parent to take note does not."""
    running = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            running.append(pid)
    return running
