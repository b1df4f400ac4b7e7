"""The inside of a cell's process: runs the cell, writes its record, and dies when its parent does."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from enum import Enum
from multiprocessing.connection import Connection
from pathlib import Path

from compatbench.errors import LostProcessError, MachineError
from compatbench.execution.cell import Ending, RunContext, run_cell
from compatbench.execution.logs import log_tail
from compatbench.machine import processes
from compatbench.machine.processes import ProcessGroup
from compatbench.machine.standard_streams import mend_standard_streams
from compatbench.records.record import CellSpec, write_record
from compatbench.records.store import Store
from compatbench.vocabulary import Status

TELL_WHERE = signal.SIGUSR1
"""Asks a cell to write into its log where it is."""


class State(Enum):
    """The state of a cell's process."""

    RUNNING = "running"
    DONE = "done"
    """Its record is written."""
    FAILED = "failed"
    """As it says itself; another process of the cell writes the record."""
    LOST = "lost"
    """It ended because another process of the cell is gone."""
    HALTED = "halted"
    """The machine cannot go on."""
    TIMED_OUT = "timed out"
    DIED = "died"
    """Without a word."""


def work(
    spec_json: str,
    context: RunContext,
    log: Path,
    parent: Connection,
    gpu: str | None = None,
    group: ProcessGroup | None = None,
) -> None:
    """Run the cell of `spec_json`, on the GPU of `gpu` if there is any, and write its record.

    Messages to the parent are `("server", process id)` of the fork server, `("progress", stage, share)`,
    `("notice", line)` and, last, `("end", state, ending)`. In a `group` the first process writes the record.
    """
    os.setsid()  # its own process group, so that the parent can stop whatever the cell started
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # CUDA looks once, at its first use
    _print_into(log)
    faulthandler.enable()  # a crash of compiled code leaves its place in the log
    faulthandler.register(TELL_WHERE, all_threads=True)
    threading.Thread(target=_die_with_parent, args=(parent,), daemon=True).start()
    spec = CellSpec.model_validate_json(spec_json)

    def tell(*message: object) -> None:
        try:
            parent.send(message)
        except OSError:
            _die()  # nobody is there to take the record: leave none

    def report(stage: str, share: float) -> None:
        tell("progress", stage, share)

    def notify(line: str) -> None:
        print(line, flush=True)
        tell("notice", line)

    tell("server", os.getppid())
    try:
        if group is not None:
            processes.join(group)
        record = run_cell(spec, context, report, notify)
        record = record.model_copy(update={"log": log_tail(log)})
        if record.error:
            print(record.error, flush=True)
        if processes.is_first():
            write_record(record, Store(context.runs).record(spec))
        elif record.status is not Status.OK:
            tell("end", State.FAILED, Ending(record.status, record.reason, record.error))
            return
    except LostProcessError as error:
        print(error, flush=True)
        tell("end", State.LOST, Ending(Status.FAILED, str(error)))
    except MachineError as error:
        tell("end", State.HALTED, Ending(Status.FAILED, str(error)))
    except OSError as error:
        tell("end", State.HALTED, Ending(Status.FAILED, str(MachineError.of(error))))
    else:
        tell("end", State.DONE, None)


def _print_into(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):  # the numbers of standard output and error, whatever Python has there
        os.dup2(file, number)
    os.close(file)
    mend_standard_streams()


def _die_with_parent(parent: Connection) -> None:
    """The pipe reaches its end when the parent is gone, however it went."""
    try:
        parent.recv()
    except (EOFError, OSError):
        _die()


def _die() -> None:
    """With everything that the cell started."""
    os.killpg(os.getpgid(0), signal.SIGKILL)
