"""Chains whose vectors are known, as a measurement sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.generations.serving import ServedGeneration
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.store import Store


def served(number: int, vectors: Tensor, **more: Any) -> ServedGeneration:
    """A generation whose queries are the items of its gallery; no measurement of vectors looks at its model."""
    trained: Any = None
    return ServedGeneration(str(number), vectors, vectors, 1.0, trained, **more)


def known_chain(folder: Path, spaces: Sequence[Tensor], labels: Tensor, ids: Tensor, **changes: Any) -> ServedChain:
    """Generations that embed the same items in these spaces, each query a gallery item; arrays go to `folder`."""
    split = Split(torch.zeros(len(ids), 1, 1, 1, dtype=torch.uint8), labels, ids)
    tested = ServedChain(
        generations=[served(number, space) for number, space in enumerate(spaces)],
        references={},
        dataset=Dataset("known", ("some",) * (1 + int(labels.max())), split, split, split),
        seen=np.ones(len(ids), dtype=bool),
        train_images=[len(ids)] * len(spaces),
        split_hash="c" * 64,
        seed=0,
        device=torch.device("cpu"),
        store=Store(folder),
        progress=lambda stage, share: None,
        notify=lambda line: None,
    )
    return replace(tested, **changes)


def with_gallery(tested: ServedChain, labels: Tensor, ids: Tensor) -> ServedChain:
    """The same vectors for a gallery of other labels and sample ids."""
    gallery = replace(tested.dataset.gallery, labels=labels, ids=ids)
    return replace(tested, dataset=replace(tested.dataset, gallery=gallery))
