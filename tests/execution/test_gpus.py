"""Which GPU each slot gets, and that the executor gives every running cell one of its own slots."""

from __future__ import annotations

from compatbench.execution.gpus import CELL_BYTES, CELLS_PER_GPU, Gpu, cells_on, gpu_slots


def test_memory_decides_how_many_cells_share_a_gpu() -> None:
    sizes = {
        0: 1,
        CELL_BYTES - 1: 1,
        CELL_BYTES: 1,
        2 * CELL_BYTES: 2,
        3 * CELL_BYTES - 1: 2,
        99 * CELL_BYTES: CELLS_PER_GPU,
    }
    assert {size: cells_on(Gpu("0", size)) for size in sizes} == sizes


def test_every_gpu_comes_once_before_any_comes_twice() -> None:
    gpus = [Gpu("2", 2 * CELL_BYTES), Gpu("3", 0), Gpu("GPU-5", 3 * CELL_BYTES)]
    assert gpu_slots(gpus) == ["2", "3", "GPU-5", "2", "GPU-5", "GPU-5"]
    assert gpu_slots([]) == []
