"""The settings of a launcher, such as accelerate's or torchrun, for each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compatbench.errors import RequestError
from compatbench.execution.gpus import gpu_names

if TYPE_CHECKING:
    from compatbench.machine.processes import ProcessGroup


@dataclass(frozen=True)
class Launch:
    """One of a launcher's processes."""

    rank: int
    size: int
    local_rank: int
    """Which one it is on its machine."""
    local_size: int
    address: str
    port: int
    attempt: str = "0"

    @classmethod
    def found_in(cls, environment: Mapping[str, str]) -> Launch | None:
        """From the variables of torch's and accelerate's launchers; None without one, or for a single process."""
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
            if {"ACCELERATE_USE_CPU", "MASTER_PORT"} <= environment.keys():
                raise RequestError(
                    "on a machine without GPUs accelerate starts one process, whatever --num_processes says, unless "
                    "--multi_gpu is given (and --cpu is not); torchrun --nproc-per-node does it too"
                )
            return None
        size = int(environment["WORLD_SIZE"])
        if size == 1:
            return None
        return cls(
            rank=int(environment["RANK"]),
            size=size,
            local_rank=int(environment.get("LOCAL_RANK", environment["RANK"])),
            local_size=int(environment.get("LOCAL_WORLD_SIZE", size)),
            address=environment["MASTER_ADDR"],
            port=int(environment["MASTER_PORT"]),
            attempt=environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
        )

    def connect(self) -> Any:
        """The launcher's store; the first process starts it if the launcher did not."""
        from torch.distributed.rendezvous import rendezvous

        store, _, _ = next(rendezvous("env://"))
        return store

    def group(self, number: int) -> ProcessGroup:
        """The processes of the cell of this number, seen from this one."""
        from compatbench.machine.processes import ProcessGroup

        return ProcessGroup(self.rank, self.size, self.address, self.port, f"{self.attempt}/cell {number}")

    def gpus(self) -> list[str]:
        """The GPU of this process; none on a machine without. Raises RequestError if there are too few."""
        names = gpu_names()
        if names and len(names) < self.local_size:
            raise RequestError(
                f"{self.local_size} processes on a machine with {len(names)} GPUs: launch one for each GPU"
            )
        return [names[self.local_rank]] if names else []

    def name(self, rank: int) -> str:
        """A process's name for messages."""
        return f"process {rank + 1} of {self.size}"
