"""Two real processes over gloo, to which tests give functions that both run at the same time."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist

from compatbench.machine.processes import ProcessGroup, join

PATIENCE = 200.0
"""Seconds that no function of a test needs."""


class Pair:
    """`both(function, …)` returns what `function(…)` returned in the first and in the second process."""

    def __init__(self) -> None:
        self._store = dist.TCPStore("127.0.0.1", 0, is_master=True)
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for rank in range(2):
            mine, theirs = context.Pipe()
            group = ProcessGroup(rank, 2, "127.0.0.1", self._store.port, "pair")
            process = context.Process(target=_serve, args=(group, theirs))
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def both(self, function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
        for pipe in self._pipes:
            pipe.send((function, arguments))
        results = []
        for rank, pipe in enumerate(self._pipes):
            assert pipe.poll(PATIENCE), f"process {rank} does not answer"
            result, error = pipe.recv()
            assert not error, error
            results.append(result)
        return results[0], results[1]


def _serve(group: ProcessGroup, pipe: Connection) -> None:
    torch.set_num_threads(1)
    join(group)
    while True:
        function, arguments = pipe.recv()
        try:
            pipe.send((function(*arguments), ""))
        except Exception:
            pipe.send((None, traceback.format_exc()))
