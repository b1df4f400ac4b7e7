"""How long a plan will take: a few timed training steps of each encoder, times the images to train on."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from compatbench.data.dataset import Dataset
from compatbench.encoders import Encoder
from compatbench.plan.cells import Cell
from compatbench.plan.trainings import trainings
from compatbench.records.environment import cpu_name, device, gpu_name
from compatbench.storage.remembered import remembered
from compatbench.suite.encoder_spec import EncoderSpec

OLD_FORWARD = 1.35
"""Cost of a training step that also runs the old encoder, relative to one that does not (a forward is about
a third of a step)."""
CELL_SECONDS = 6.0
"""Evaluation and search of one cell at 10,000 queries; a guess that only the estimate rests on."""


def estimate_seconds(cells: Sequence[Cell], dataset: Dataset, jobs: int) -> float:
    """Seconds that `cells` will take here with `jobs` at a time; good to a factor of two."""
    seconds = CELL_SECONDS * sum(cell.skip is None for cell in cells)
    for training in trainings(cells, dataset):
        factor = OLD_FORWARD if training.old is not None else 1.0
        batch_size = training.spec.recipe.batch_size
        rate = 1 / sum(1 / _training_rate(encoder, batch_size) for encoder in training.encoders)
        seconds += training.images * training.epochs * factor / rate
    return seconds / jobs


@remembered("timm", "torch", machine=lambda: f"{cpu_name()}, {gpu_name()}")
def _training_rate(spec: EncoderSpec, batch_size: int) -> float:
    """Training images per second of one process with one thread, by the fastest of three steps.

    Other processes slow a step down and never speed it up, and the answer is remembered.
    """
    where = device()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            model = Encoder(spec.model_copy(update={"pretrained": False}))
            images = torch.randn(batch_size, spec.channels, spec.image_size, spec.image_size, device=where)
        model.to(where).to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(batch_size, dtype=torch.long, device=where)
        seconds = []
        for _ in range(4):
            begun = time.perf_counter()
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            if where.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
        return batch_size / min(seconds[1:])  # the first one allocates
    finally:
        torch.set_num_threads(threads)
