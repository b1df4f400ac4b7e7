"""Runs cells on a Ray cluster: given by its address, or one started on this machine.

No disk is shared. A worker runs each cell in a folder of its own, by the local executor, so that a cell ends there in
the same ways as here; what it leaves (record, models, embeddings, per-query arrays, log) comes back through Ray's
object store, and the models of a baseline go out through it to the cells that build on them. A cell whose node or
worker is lost starts again on another one.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compatbench.errors import MachineError, RequestError, check_installed
from compatbench.execution.cell import Ending, RunContext, now
from compatbench.execution.code_version import check_code_version, code_version
from compatbench.execution.executor import Executor, Job, Watcher, write_ending, writing
from compatbench.execution.gpus import CELLS_PER_GPU
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell
from compatbench.records.record import BASELINE, CellSpec, Record, read_record
from compatbench.records.store import Store, spec_hash
from compatbench.storage.files import write_whole
from compatbench.vocabulary import Status

RETRIES = 3
"""Times that a cell is started again after its node or its worker was lost."""

POLL_SECONDS = 0.5

CONNECT_SECONDS = 10.0

SHARED = ("models", "embeddings", "evaluations", "arrays")
"""Folders of a store whose files are named by their content or origin, so that they are right wherever they lie."""

Files = dict[str, bytes]
"""Contents by path below a folder."""


@dataclass(frozen=True)
class WorkerInputs:
    """A worker's inputs beside the spec."""

    code_version: str
    """The driver's."""
    context: RunContext
    """The driver's."""
    timeout_seconds: float
    code: Files
    """Further methods and datasets, below `methods/N` and `datasets/N` for the N-th folder of each."""


class RayExecutor(Executor):
    """As many cells at a time as the cluster has room for."""

    def __init__(self, context: RunContext, timeout_seconds: float, address: str | None = None) -> None:
        check_installed("ray", "--executor ray", "ray")
        import ray

        self.ray = ray
        self.context = context
        self.inputs = WorkerInputs(
            code_version(),
            context,
            timeout_seconds,
            {
                f"{kind}/{number}/{name}": content
                for kind, folders in (("methods", context.method_folders), ("datasets", context.dataset_folders))
                for number, folder in enumerate(folders)
                for name, content in _pack(folder, folder.glob("*.py")).items()
            },
        )
        if address is not None:
            check_reachable(address)
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise RequestError(f"no Ray cluster at {address}: {error}; start one with `ray start --head`") from error
        resources = ray.cluster_resources()
        self._gpus = 1 / CELLS_PER_GPU if resources.get("GPU") else 0
        cpus = int(resources.get("CPU", 1)) // context.threads
        self.slots = max(1, min(cpus, int(resources["GPU"] * CELLS_PER_GPU)) if self._gpus else cpus)
        self._baselines: dict[tuple[str, int], Any] = {}
        self._mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()

    def start(self, cell: Cell) -> RayJob:
        """Hand `cell` to the cluster, with the models it builds on."""
        remote = self.ray.remote(
            num_cpus=self.context.threads, num_gpus=self._gpus, max_retries=RETRIES, num_returns=2, max_calls=0
        )(run_on_worker)
        if not cell.is_baseline and cell.family not in self._baselines:
            self._baselines[cell.family] = self.ray.put(self._stored_models(cell))
        given = self._baselines.get(cell.family, {})
        outcome, files = remote.remote(cell.spec.model_dump_json(), self.inputs, given, self._mailbox)
        if cell.is_baseline:
            self._baselines[cell.family] = files
        return RayJob(cell, self, outcome, files)

    def wait(self, jobs: Sequence[Job]) -> None:
        """Wait until a cell ends, at most half a second."""
        pending = [job.outcome for job in jobs if isinstance(job, RayJob)]
        if pending:
            self.ray.wait(pending, num_returns=1, timeout=POLL_SECONDS, fetch_local=False)
        else:
            time.sleep(POLL_SECONDS)

    def run(self, cells: Sequence[Cell], watcher: Watcher) -> list[Record]:
        """Run as every executor, then leave the cluster; stop it if it was started here."""
        try:
            return super().run(cells, watcher)
        finally:
            self.ray.shutdown()

    def messages(self, cell: Cell) -> list[tuple[Any, ...]]:
        """The messages of the worker of `cell` since the last call."""
        try:
            told: list[tuple[Any, ...]] = self.ray.get(self._mailbox.take.remote(spec_hash(cell.spec)))
        except self.ray.exceptions.RayError:
            return []  # it was on a node that is lost, and with it no more than progress
        return told

    def forget(self, cell: Cell) -> None:
        """Mark a baseline's models as lost; the other cells train them themselves."""
        self._baselines.pop(cell.family, None)

    def _stored_models(self, cell: Cell) -> Files:
        """Models of an earlier run of this cell's baseline: all of its suite's folder would be too much."""
        models: set[Path] = set()
        for path in self.store.record(cell.spec).parent.glob("*.json"):
            with suppress(RequestError):
                record = read_record(path)
                if record.spec.seed == cell.spec.seed and record.spec.method.name == BASELINE:
                    models |= {self.store.models / f"{parent}.safetensors" for parent in record.parents.values()}
        return _pack(self.store.root, models)


class RayJob:
    """A cell on the cluster."""

    def __init__(self, cell: Cell, executor: RayExecutor, outcome: Any, files: Any) -> None:
        self.cell = cell
        self.executor = executor
        self.outcome = outcome
        self.files = files
        self.started = now()

    def poll(self, watcher: Watcher) -> bool:
        """Pass on messages; whether the cell has ended."""
        ended, _ = self.executor.ray.wait([self.outcome], timeout=0, fetch_local=False)
        for message in self.executor.messages(self.cell):
            match message:
                case ("progress", stage, share):
                    watcher.progressed(self.cell, stage, share)
                case ("notice", line):
                    watcher.noticed(self.cell, line)
        return bool(ended)

    def record(self) -> Record:
        """Copy the cell's files here: arrays and models first, its record last."""
        from ray.exceptions import RayError, RayTaskError

        store = self.executor.store
        try:
            text, log = self.executor.ray.get(self.outcome)
            files = self.executor.ray.get(self.files)
        except RayTaskError as error:
            raise MachineError(f"a worker of the cluster cannot run cells: {error.cause}") from error
        except RayError as error:
            self.executor.forget(self.cell)
            reason = f"its node or worker was lost {RETRIES + 1} times ({type(error).__name__})"
            return write_ending(self.cell, Ending(Status.KILLED, reason), self.started, self.executor.context)
        with writing():
            _unpack(files, store.root)
            write_whole(store.log(self.cell.spec), log)
            write_whole(store.record(self.cell.spec), text)
        return read_record(store.record(self.cell.spec))

    def stop(self) -> None:
        """Cancel the cell; its process ends with the worker's."""
        self.executor.ray.cancel(self.outcome, force=True)


class _Mailbox:
    """Keeps what workers tell until the driver asks."""

    def __init__(self) -> None:
        self._told: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)

    def put(self, key: str, *message: Any) -> None:
        """Keep a message."""
        self._told[key].append(message)

    def take(self, key: str) -> list[tuple[Any, ...]]:
        """Remove and return the messages about a cell."""
        return self._told.pop(key, [])


class _MailboxWatcher(Watcher):
    """A watcher on a worker, whose messages go to the driver's mailbox, progress at most twice a second."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._last = float("-inf")

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        """Send the progress to the driver."""
        if time.monotonic() - self._last >= POLL_SECONDS:
            self._last = time.monotonic()
            self._mailbox.put.remote(spec_hash(cell.spec), "progress", stage, share)

    def noticed(self, cell: Cell, line: str) -> None:
        """Send the line to the driver."""
        self._mailbox.put.remote(spec_hash(cell.spec), "notice", line)


def run_on_worker(spec_json: str, inputs: WorkerInputs, given: Files, mailbox: Any) -> tuple[tuple[str, str], Files]:
    """On a worker: run one cell in a folder of its own, and return record, log and the files of the cell.

    Raises MachineError where this worker has other code than the driver.
    """
    check_code_version(inputs.code_version)
    spec = CellSpec.model_validate_json(spec_json)
    with tempfile.TemporaryDirectory(prefix="compatbench-") as scratch:
        root = Path(scratch)
        store = Store(root / "runs")
        _unpack(given, store.root)
        _unpack(inputs.code, root)
        there = inputs.context
        datasets = tuple(root / "datasets" / str(number) for number in range(len(there.dataset_folders)))
        gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        context = replace(
            there,
            runs=store.root,
            data=_data(spec, there.data, datasets),
            method_folders=tuple(root / "methods" / str(number) for number in range(len(there.method_folders))),
            dataset_folders=datasets,
        )
        LocalExecutor(context, 1, inputs.timeout_seconds, gpus).run_claimed(Cell(spec, None), _MailboxWatcher(mailbox))
        made = _pack(store.root, (path for folder in SHARED for path in (store.root / folder).glob("[!.]*")))
        log = store.log(spec).read_text(errors="replace") if store.log(spec).exists() else ""
        text = store.record(spec).read_text(encoding="utf-8")
        return (text, log), {name: content for name, content in made.items() if name not in given}


def check_reachable(address: str) -> None:
    """Raise RequestError if nothing listens at `host:port`; Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return  # `auto` and `ray://…` are Ray's to find
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RequestError(f"no Ray cluster at {address}: {error}; start one with `ray start --head`") from error


def _data(spec: CellSpec, data: Path, dataset_folders: Sequence[Path]) -> Path:
    """The driver's data folder where this node has it, else one of the node's own, filled where the dataset allows."""
    from compatbench.discovery import datasets

    folder = data if data.is_dir() else Path.home() / ".cache" / "compatbench" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    datasets.get(spec.dataset, folder, lambda line: None, spec.dataset_options, dataset_folders)
    return folder


def _pack(root: Path, paths: Iterable[Path]) -> Files:
    """Those of the files at `paths`, below `root`, that are there."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths) if path.is_file()}


def _unpack(files: Files, root: Path) -> None:
    """Write those of `files` that are not below `root` yet. Raises MachineError for one that leads out of it."""
    for name, content in files.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise MachineError(f"a file named {name} does not stay in its folder")
        if not (root / path).exists():
            write_whole(root / path, content)
