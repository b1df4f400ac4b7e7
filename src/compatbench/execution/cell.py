"""Runs one cell: trains or finds its models, fills the compatibility matrix, and makes the record."""

from __future__ import annotations

import datetime
import re
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from compatbench.discovery.datasets import load
from compatbench.discovery.plugins import discover
from compatbench.errors import InvalidResultError, LostProcessError, MachineError, is_machines_failure, kind_and_text
from compatbench.execution.command import BUILT_IN, Origin, command
from compatbench.generations.chain import ChainTrainer, StageProgress
from compatbench.generations.serving import serve, serve_baseline
from compatbench.machine import processes
from compatbench.machine.stopwatch import Stopwatch
from compatbench.measurement.measure import measure
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.environment import device, environment, fix_gpu_arithmetic
from compatbench.records.record import BASELINE, CellSpec, Measurements, Record
from compatbench.records.store import Store, spec_hash
from compatbench.suite.splits import as_tested
from compatbench.vocabulary import Expectation, Status, TrainPart

ABSOLUTE_PATH = re.compile(r"(?<![\w/.])/(?:[^\s/:\"'(),]+/)+[^\s/:\"'(),]*")
"""Records name no folders of the machine they were made on."""


@dataclass(frozen=True)
class RunContext:
    """The folders of a run, and the limits of its cells."""

    runs: Path
    data: Path
    method_folders: tuple[Path, ...] = ()
    threads: int = 1
    origin: Origin = BUILT_IN
    dataset_folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ending:
    """How a cell ended."""

    status: Status
    reason: str = ""
    """One line for a status other than ok."""
    error: str = ""
    """Traceback, without absolute paths."""


def run_cell(spec: CellSpec, context: RunContext, report: StageProgress, notify: Callable[[str], None]) -> Record:
    """Run one cell and return its record; a failure is a record too, never an exception.

    Only KeyboardInterrupt is raised, MachineError where the disk is full or cannot be written, and LostProcessError:
    these are not the cell's outcome, and the next cell would meet a full disk too.
    """
    started = now()
    begun = time.perf_counter()
    torch.set_num_threads(context.threads)  # before the record notes how many there are
    fix_gpu_arithmetic()
    watch = Stopwatch(report)
    found, ending = Measurements(), Ending(Status.OK)
    try:
        trainer = _trainer(spec, context, watch, notify)
        found = Measurements(split_hash=trainer.split_hash)
        found = _measured(spec, trainer, watch)
    except InvalidResultError as error:
        ending = Ending(Status.INVALID, str(error))
    except (KeyboardInterrupt, LostProcessError):
        raise
    except BaseException as error:
        if is_machines_failure(error):
            raise MachineError.of(error) from error
        status = Status.OOM if _is_out_of_memory(error) else Status.FAILED
        traced = without_absolute_paths("".join(traceback.format_exception(error)))
        ending = Ending(status, without_absolute_paths(kind_and_text(error)), traced)
    seconds = time.perf_counter() - begun
    return cell_record(spec, ending, started, context.origin, found, timings=watch.seconds, seconds=seconds)


def cell_record(
    spec: CellSpec,
    ending: Ending,
    started: str,
    origin: Origin = BUILT_IN,
    found: Measurements | None = None,
    *,
    timings: Mapping[str, float] | None = None,
    seconds: float = 0.0,
    log: str = "",
    world_size: int | None = None,
) -> Record:
    """The record of a cell and its `found` parts, if any; `world_size` is that of this process's group if None."""
    size = world_size or processes.size()
    return Record(
        **vars(ending),
        **vars(found or Measurements()),
        log=log,
        spec_hash=spec_hash(spec),
        spec=spec,
        timings=timings or {},
        environment=environment().model_copy(update={"processes": size}),
        command=command(spec, size, origin),
        started=started,
        seconds=seconds,
    )


def now() -> str:
    """The current time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _trainer(spec: CellSpec, context: RunContext, watch: Stopwatch, notify: Callable[[str], None]) -> ChainTrainer:
    with watch.stage("data"):
        folders = context.dataset_folders
        whole = load(spec.dataset, spec.image_size, context.data, spec.dataset_options, folders)
        dataset = as_tested(whole, spec.generations, spec.test_classes, spec.query_limit, spec.train_limit)
        return ChainTrainer(
            spec.generations,
            dataset,
            spec.train_limit,
            spec.recipe,
            spec.seed,
            discover(context.method_folders, {BASELINE, spec.method.name}),
            Store(context.runs),
            device(),
            watch.report,
            notify,
            context.data,
            whole,
            tuning=spec.test_classes == "held_out",
        )


def _measured(spec: CellSpec, trainer: ChainTrainer, watch: Stopwatch) -> Measurements:
    """What the first process measures once all have trained."""
    plugin = trainer.catalogue.get(spec.method.name)
    params = plugin.resolve(spec.method.params)
    if any(generation.frozen for generation in spec.generations):
        with watch.stage("features"):
            trainer.compute_features()
    with watch.stage("reference"):
        references = {step: serve_baseline(trainer, step) for step in range(1, len(trainer.chain))}
    with watch.stage("models"):
        served = serve(trainer, plugin, params, spec.method.pairs or TrainPart.HELD_OUT)
    if not processes.is_first():
        return Measurements()
    with watch.stage("evaluation"):
        at_chance = Expectation.CROSS_AT_CHANCE in spec.method.expects
        return measure(ServedChain.of(trainer, served, references), spec.index_search, at_chance=at_chance)


def _is_out_of_memory(error: BaseException) -> bool:
    """Memory errors of Python and torch; torch's CPU allocator raises a plain RuntimeError that names itself."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def without_absolute_paths(text: str) -> str:
    """`text` with each absolute path cut to its part in site-packages, src or methods, or to its last part."""
    return ABSOLUTE_PATH.sub(lambda found: _public_path(found[0]), text)


def _public_path(path: str) -> str:
    parts = Path(path).parts
    starts = [place for place, part in enumerate(parts) if part in ("site-packages", "src", "methods")]
    return str(Path(*parts[starts[-1] :])) if starts else parts[-1]
