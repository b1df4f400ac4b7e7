"""Scenarios: a chain of generations, with the data and the encoder of each (protocol §1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from compatbench.errors import RequestError
from compatbench.suite.encoder_spec import VECTORS, EmbeddingHeadSpec, EncoderSpec, Stages, Weighted, Weights, full_name
from compatbench.vocabulary import HeadName

NO_VECTORS: Mapping[str, int] = MappingProxyType({})

TestClasses = Literal["all", "unseen", "held_out"]
"""What a scenario is tested on: every class, or those only that no generation of its chain was trained on.

`held_out` is for trials of parameters: held-out images of the classes that some generation was trained on.
"""

Bounds = tuple[int | float, int | float]


def _bounds(value: object) -> Bounds | None:
    """`x` as (0, x) and `[x, y]` as (x, y) where they are rising numbers from 0 on; None for everything else."""
    pair = tuple(value) if isinstance(value, list | tuple) else (0, value)
    if len(pair) != 2 or not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in pair):
        return None
    return pair if 0 <= pair[0] < pair[1] < float("inf") else None


def _share(value: object) -> object:
    bounds = _bounds(value)
    if bounds is None or bounds[1] > 1:
        raise ValueError("must be above 0 and at most 1, or a range such as [0.3, 1]")
    return tuple(value) if isinstance(value, list) else value


def _classes(value: object) -> object:
    if value is not None and _bounds(value) is None:
        raise ValueError("must be a number of classes, a share of them, or a range of either such as [0.3, 1]")
    return tuple(value) if isinstance(value, list) else value


AS_IT_IS = PlainSerializer(lambda value: value)
"""Pydantic would serialise what a PlainValidator returned as the union that it is annotated with."""

RANGE = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]})


class TowerSpec(Weighted):
    """A separate encoder for queries or documents; an open field has the generation's value."""

    backbone: str | None = None
    pretrained: bool | None = None
    weights: Weights | None = None
    small_image_stem: bool | None = None


class GenerationSpec(Weighted):
    """One generation of a chain: the data it sees and the encoder it trains, or the two."""

    later = frozenset({"frozen", "head", "stages"})

    backbone: str
    dim: int = Field(64, ge=2)
    share: Annotated[float | Bounds, PlainValidator(_share), AS_IT_IS, RANGE] = 1.0
    """Share of the images of every class, 0.3 for the first 30%, or a range of it, [0.3, 1] for the other 70%."""
    classes: Annotated[int | float | Bounds | None, PlainValidator(_classes), AS_IT_IS, RANGE] = None
    """How many classes (an integer) or which share of them (a fraction), the first ones by id; or a range of them."""
    imbalance: float | None = Field(None, gt=1)
    """Images of the largest class per image of the smallest: a long tail, falling exponentially with the class id."""
    loss: HeadName = HeadName.SOFTMAX
    pretrained: bool = False
    weights: Weights | None = None
    frozen: bool = False
    """The backbone stays as it was published; only the embedding head is trained, on features computed once."""
    stages: Stages = ()
    """Of a frozen backbone: its features are mean and maximum of the maps of these stages."""
    small_image_stem: bool = False
    head: EmbeddingHeadSpec = EmbeddingHeadSpec()
    batch_norm: bool = False
    query_encoder: TowerSpec | None = None
    """Queries are embedded by an encoder of their own; without it by that of the documents, with the same weights."""
    document_encoder: TowerSpec | Literal["previous"] | None = None
    """Documents are embedded by an encoder of their own, or stay as the `previous` generation embedded them."""

    @model_validator(mode="after")
    def _stages_are_of_frozen_backbones(self) -> Self:
        if self.stages and not self.frozen:
            raise ValueError("stages are for frozen backbones; add frozen: true, or remove stages")
        return self

    @property
    def share_bounds(self) -> Bounds:
        """The share as a range, from 0 unless it says otherwise."""
        return _bounds(self.share) or (0, 1)

    @property
    def keeps_documents(self) -> bool:
        """Only the query encoder is new: the gallery is that of the previous generation."""
        return self.document_encoder == "previous"

    @property
    def two_encoders(self) -> bool:
        """Queries and documents have separate encoders, trained together."""
        return not self.keeps_documents and (self.query_encoder is not None or self.document_encoder is not None)

    def with_full_names(self) -> GenerationSpec:
        """The generation with the full `arch.tag` of each backbone. Raises RequestError for an unknown backbone."""
        towers = {
            side: tower.model_copy(update={"backbone": full_name(tower.backbone or self.backbone)})
            for side in ("query_encoder", "document_encoder")
            if isinstance(tower := getattr(self, side), TowerSpec)
        }
        return self.model_copy(update={"backbone": full_name(self.backbone), **towers})

    def encoder(self, channels: int, image_size: int, brought: Mapping[str, int] = NO_VECTORS) -> EncoderSpec:
        """The encoder of this generation's queries for items of the given shape, see `Split.item_shape`."""
        return self._encoder(self.query_encoder, channels, image_size, brought)

    def documents(self, channels: int, image_size: int, brought: Mapping[str, int] = NO_VECTORS) -> EncoderSpec | None:
        """The encoder of its documents, if they have one of their own."""
        tower = self.document_encoder if isinstance(self.document_encoder, TowerSpec) else None
        return self._encoder(tower, channels, image_size, brought) if self.two_encoders else None

    def _encoder(
        self, tower: TowerSpec | None, channels: int, image_size: int, brought: Mapping[str, int]
    ) -> EncoderSpec:
        spec = EncoderSpec(
            backbone=self.backbone,
            dim=self.dim,
            image_size=image_size,
            channels=channels,
            pretrained=self.pretrained,
            weights=self.weights,
            frozen=self.frozen,
            stages=self.stages,
            small_image_stem=self.small_image_stem,
            batch_norm=self.batch_norm,
            head=self.head,
        )
        own = {}
        if tower is not None:
            own = tower.model_dump() | ({} if tower.pretrained is None else {"weights": tower.weights})
        backbone = own.get("backbone", self.backbone)
        return spec.model_copy(update=own | {"brought": brought.get(backbone.removeprefix(VECTORS))})

    def class_ids(self, train_classes: Sequence[int]) -> tuple[int, ...]:
        """This generation's classes, of those with training images, in the order of its labels.

        Raises RequestError where they are more than there are, or fewer than two and a head is to be trained.
        """
        available = len(train_classes)
        bounds = _bounds(self.classes) or (0, available)
        if any(isinstance(bound, float) for bound in bounds):
            bounds = round(bounds[0] * available), round(bounds[1] * available)
        first, last = (int(bound) for bound in bounds)
        if last > available or last - first < (1 if self.head.none else 2):
            given = list(self.classes) if isinstance(self.classes, tuple) else self.classes
            seen = f"the {first + 1}th to {last}th" if isinstance(self.classes, tuple) else last
            raise RequestError(
                f"a generation with classes: {given} would see {seen} of {available} classes with training "
                f"images; give a number from 2 to {available} or a share"
            )
        return tuple(train_classes[first:last])


class KeepsDocuments(Protocol):
    """A generation of a chain, in a suite or served."""

    @property
    def keeps_documents(self) -> bool:
        """Its gallery is that of the generation before: only its query encoder is new."""


def documents_from(chain: Sequence[KeepsDocuments], generation: int) -> int:
    """The generation whose encoder embedded the gallery of `generation`: itself, or an earlier one."""
    while chain[generation].keeps_documents:
        generation -= 1
    return generation
