"""GPU slots: the GPU of each cell, several cells on one if its memory allows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

CELL_BYTES = 8 * 2**30
"""Memory that a cell is given on a GPU: backbones of the suites train in less, with their CUDA context."""

CELLS_PER_GPU = 4
"""At most: beyond that they wait for each other's kernels."""


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine."""

    name: str
    """As `CUDA_VISIBLE_DEVICES` calls it."""
    free_bytes: int


def visible_gpus() -> list[Gpu]:
    """The GPUs of this process, with their free memory."""
    import torch

    return [Gpu(name, torch.cuda.mem_get_info(index)[0]) for index, name in enumerate(gpu_names())]


def gpu_names() -> list[str]:
    """The GPUs of this process, by their names in `CUDA_VISIBLE_DEVICES`; takes up no memory of theirs."""
    import torch

    if not torch.cuda.is_available():
        return []
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return given or [str(index) for index in range(torch.cuda.device_count())]


def cells_on(gpu: Gpu) -> int:
    """Cells at a time on one GPU, at least one."""
    return max(1, min(CELLS_PER_GPU, gpu.free_bytes // CELL_BYTES))


def gpu_slots(gpus: Sequence[Gpu]) -> list[str]:
    """The GPU of each slot: every GPU once, then those with room for another cell, and so on."""
    rounds = zip_longest(*([gpu.name] * cells_on(gpu) for gpu in gpus))
    return [name for turn in rounds for name in turn if name is not None]
