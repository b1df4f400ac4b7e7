"""Fits adapters in a process on one thread: requests are lines of its input, answers lines of its output.

    python -m compatbench.comparison.fit_worker FOLDER

FOLDER contains `pairs.safetensors`; each adapter that was fitted is written beside it. A process of its own, and not a
thread: two threads of one process that wait for each other's parts of a product lose most of their time beside other
work. A program's own main module is not imported again, as `multiprocessing` would.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import IO, Any

import torch
from safetensors.torch import load_file, save_file

from compatbench.comparison.effort import Effort
from compatbench.comparison.fitting import choose_adapters, counted_steps, fit_planned, plan_fit
from compatbench.generations.adapters import PairedVectors

_PAIRS = "pairs.safetensors"
_REPORT_SECONDS = 0.5


def write_pairs(folder: Path, pairs: PairedVectors) -> None:
    """Write what every worker of `folder` reads."""
    tensors = {"new": pairs.new, "old": pairs.old}
    if pairs.labels is not None:
        tensors["labels"] = pairs.labels
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / _PAIRS)


def read_pairs(folder: Path) -> PairedVectors:
    """Read the file of `write_pairs`."""
    tensors = load_file(folder / _PAIRS)
    return PairedVectors(tensors["new"], tensors["old"], tensors.get("labels"))


def answer_requests(folder: Path, requests: IO[str], answers: IO[str]) -> None:
    """Fit one adapter for each line of `requests`, and tell the steps done, then the end, in lines of JSON."""
    torch.set_num_threads(1)
    pairs = read_pairs(folder)
    for line in requests:
        request = json.loads(line)
        (plugin,) = choose_adapters([request["method"]], [Path(one) for one in request["folders"]])
        plan = plan_fit(plugin, pairs, Effort(request["effort"]))
        done, ended = [0], threading.Event()
        reporter = threading.Thread(target=_report, args=(done, ended, answers), daemon=True)
        reporter.start()
        with counted_steps(done):
            fit = fit_planned(plan, pairs, request["seed"])
        ended.set()
        reporter.join()
        if fit.adapter is not None:
            fit.adapter.save(folder / f"{plugin.name}.safetensors")
        _tell(answers, {"reason": fit.reason, "seconds": fit.seconds})


def _report(done: list[int], ended: threading.Event, answers: IO[str]) -> None:
    parent = os.getppid()
    while not ended.wait(_REPORT_SECONDS):
        if os.getppid() != parent:  # a parent that was killed cannot end its workers
            os._exit(1)
        _tell(answers, {"steps": done[0]})


def _tell(answers: IO[str], what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def main() -> None:
    """Serve standard input; whatever a method prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answer_requests(Path(sys.argv[1]), sys.stdin, answers)


if __name__ == "__main__":
    main()
