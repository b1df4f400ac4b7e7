"""The models of a plan, each once for all of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from compatbench.data.dataset import Dataset
from compatbench.generations.chain import HELD_OUT_IMAGES
from compatbench.plan.cells import Cell
from compatbench.records.record import BASELINE, CellSpec
from compatbench.suite.encoder_spec import EncoderSpec
from compatbench.suite.scenarios import GenerationSpec, documents_from
from compatbench.suite.splits import held_out_indices, image_ranges
from compatbench.vocabulary import MethodKind, Need


@dataclass(frozen=True)
class Training:
    """One model to be trained."""

    images: int
    """Images of an epoch."""
    held_out: int
    """Images that are embedded after each epoch."""
    encoders: tuple[EncoderSpec, ...]
    """One, or that of the queries and that of the documents."""
    old: EncoderSpec | None
    """The frozen encoder that runs beside, on every batch."""
    spec: CellSpec
    """Of the cell that trains it."""


def model_names(spec: CellSpec) -> tuple[str, ...]:
    """The models of a cell, such as `independent 0`, `bct 1`, oldest first; references come last."""
    own = [f"{_owner(spec, position)} {position}" for position in range(len(spec.generations))]
    references = [f"{BASELINE} {position}" for position in range(1, len(spec.generations))]
    return tuple(dict.fromkeys([*own, *references]))


def parents(cell: Cell) -> tuple[str, ...]:
    """Those of the models that a cell shares with others, and its baseline's cell trains."""
    if cell.is_baseline:
        return ()
    return tuple(name for name in model_names(cell.spec) if name.startswith(f"{BASELINE} "))


SharedModel = tuple[int, int, GenerationSpec]
"""Seed, position and generation of an independent model: cells for which they are equal share it."""


def shared_models(spec: CellSpec) -> dict[SharedModel, str]:
    """The independent models of a cell, with their names."""
    names = {position: f"{BASELINE} {position}" for position in range(len(spec.generations))}
    there = set(model_names(spec))
    return {
        (spec.seed, position, spec.generations[position]): name for position, name in names.items() if name in there
    }


def trainings(cells: Sequence[Cell], dataset: Dataset) -> Iterator[Training]:
    """Every model that `cells` train, in the order of training; skipped cells train none."""
    shape = dataset.train.item_shape

    @cache
    def images(generation: GenerationSpec, limit: int | None) -> int:
        return sum(last - first for first, last in image_ranges(dataset.train.labels, generation, limit).values())

    @cache
    def held_out(classes: tuple[int, ...], limit: int | None, frozen: bool) -> int:
        count = len(held_out_indices(dataset.train.labels, classes, limit))
        return count if frozen else min(count, HELD_OUT_IMAGES)

    done: set[tuple[str, int, GenerationSpec, int]] = set()
    for cell in cells:
        spec = cell.spec
        if cell.skip is not None:
            continue
        chain = spec.generations
        for position, generation in enumerate(chain):
            owner = _owner(spec, position)
            place = owner if owner == BASELINE else f"{spec.method.label}/{spec.scenario}"
            key = place, position, generation, spec.seed
            if key in done:
                continue
            done.add(key)
            before = chain[documents_from(chain, position - 1)] if position else None
            sees_old = before is not None and owner != BASELINE and Need.OLD_ENCODER in spec.method.needs
            documents = generation.documents(*shape)
            yield Training(
                images=images(generation, spec.train_limit),
                held_out=held_out(generation.class_ids(dataset.train_classes), spec.train_limit, generation.frozen),
                encoders=(generation.encoder(*shape), *((documents,) if documents else ())),
                old=(before.documents(*shape) or before.encoder(*shape)) if sees_old and before else None,
                spec=spec,
            )


def _owner(spec: CellSpec, position: int) -> str:
    """Whose model the generation at `position` is: the method's own, or the independent one that all cells share."""
    own_first = Need.OWN_FIRST_GENERATION in spec.method.needs
    shared = spec.method.kind == MethodKind.ADAPTER or (position == 0 and not own_first)
    return BASELINE if shared or spec.method.name == BASELINE else spec.method.label
