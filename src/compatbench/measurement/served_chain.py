"""The generations of a cell in service, with their test data: the input of every measurement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compatbench.data.dataset import Dataset
from compatbench.evaluation.chance import sample
from compatbench.evaluation.oracle import oracle_side
from compatbench.evaluation.retrieval import Side, Vectors
from compatbench.generations.chain import ChainTrainer, StageProgress
from compatbench.generations.serving import ServedGeneration, comparable
from compatbench.records.array_names import entry_array, is_shared
from compatbench.records.parts import ORACLE
from compatbench.records.store import Store
from compatbench.storage.array_files import ArrayFiles
from compatbench.storage.artefacts import Notify
from compatbench.storage.canonical import digest


@dataclass(frozen=True, eq=False)
class MatrixEntry:
    """The vectors behind M[query][gallery]."""

    query: str
    """Generation that embeds the queries; `"*1"` is the reference of generation 1."""
    gallery: str
    id: str
    """Names the vectors by the models that they come from."""
    queries: Vectors
    documents: Vectors

    @property
    def name(self) -> str:
        """Its name among the arrays of a cell."""
        return entry_array(self.query, self.gallery)

    @property
    def shared(self) -> bool:
        """See `is_shared`."""
        return is_shared(self.query, self.gallery)

    @property
    def place(self) -> dict[str, str]:
        """Query and gallery generation, by the names of a record."""
        return {"query_generation": self.query, "gallery_generation": self.gallery}


@dataclass(frozen=True, eq=False)
class ServedChain:
    """The input of every measurement of a cell."""

    generations: Sequence[ServedGeneration]
    """The method's generations, oldest first."""
    references: Mapping[int, ServedGeneration]
    """The independent models of the later generations."""
    dataset: Dataset
    """Queries and gallery, with judgements, protocols and pairs."""
    seen: NDArray[np.bool_]
    """(Q,) queries whose class the first generation was trained on."""
    train_images: Sequence[int]
    """Of each generation."""
    split_hash: str
    seed: int
    device: torch.device
    store: Store
    """Takes the files of per-query arrays, and has what other cells scored."""
    progress: StageProgress
    notify: Notify
    features: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the features of frozen trunks, see `TrunkFeatures.contents`."""
    arrays: ArrayFiles = field(default_factory=ArrayFiles)
    """Takes the per-query arrays until all are measured."""

    @classmethod
    def of(
        cls, trainer: ChainTrainer, served: Sequence[ServedGeneration], references: Mapping[int, ServedGeneration]
    ) -> ServedChain:
        """The generations of `trainer`, as they serve."""
        dataset = trainer.dataset
        old_classes = torch.tensor(trainer.chain[0].class_ids(dataset.train_classes))
        return cls(
            generations=served,
            references=references,
            dataset=dataset,
            seen=torch.isin(dataset.query.labels, old_classes).numpy(),
            train_images=[len(indices) for indices in trainer.indices],
            split_hash=trainer.split_hash,
            seed=trainer.seed,
            device=trainer.device,
            store=trainer.store,
            progress=trainer.progress,
            notify=trainer.notify,
            features=trainer.features.contents,
        )

    @property
    def upgrade(self) -> tuple[int, int]:
        """The newest generation and the one before."""
        return len(self.generations) - 1, len(self.generations) - 2

    @property
    def systems(self) -> tuple[tuple[int, int], ...]:
        """Query and gallery generation before the newest upgrade, without backfill and after it."""
        new, old = self.upgrade
        return (old, old), (new, old), (new, new)

    def pair(self, query: int, gallery: int) -> Side:
        """Vectors of M[query][gallery], made comparable."""
        return self._vectors(*comparable(self.generations, query, gallery))

    def reference(self, generation: int) -> Side:
        """Vectors of M[*][*]: the independent model of `generation` on its own gallery."""
        one = self.references[generation]
        return self._vectors(one.query, one.gallery)

    def sampled(self, side: Side, queries: int) -> Side:
        """So many queries, in proportion to their labels, and the whole gallery; the same for every method and seed."""
        query, gallery = sample(*side, max_queries=queries, max_gallery=len(side[1]))
        return query.to(self.device), gallery.to(self.device)

    def entries(self) -> Iterator[MatrixEntry]:
        """Every entry of the matrix, oldest first, and then every reference."""
        for query in range(len(self.generations)):
            for gallery in range(query + 1):
                name = digest([one.id for one in self.generations[gallery : query + 1]])
                yield MatrixEntry(str(query), str(gallery), name, *self.pair(query, gallery))
        for step, one in self.references.items():
            yield MatrixEntry(f"*{step}", f"*{step}", digest([one.id]), *self.reference(step))

    def oracle(self) -> MatrixEntry:
        """The oracle's queries on the first generation's gallery: what queries reach that know the answer."""
        name = digest([ORACLE, self.generations[0].id])
        return MatrixEntry(ORACLE, "0", name, *oracle_side(*self.pair(0, 0)))

    def _vectors(self, query: Tensor, gallery: Tensor) -> Side:
        data = self.dataset
        return (
            Vectors(query, data.query.labels, data.query.ids, data.judgements),
            Vectors(gallery, data.gallery.labels, data.gallery.ids),
        )
