"""The parts of an encoder, by the names in suites and records."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from compatbench.data.text.trunks import check_text_trunk, is_text_trunk
from compatbench.errors import RequestError
from compatbench.storage.disk_cache import cached_on_disk
from compatbench.storage.validation import NoTruthValues


class Setting(NoTruthValues):
    """A part of a spec. Its JSON omits None, and `later` fields at their default.

    So a field that is added later changes neither the hash nor the name of what was made before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in handler(self).items()
            if value is not None and not (name in self.later and getattr(self, name) == fields[name].default)
        }


VECTORS = "vectors/"
"""Of the backbones whose features a dataset brings."""

Weights = Literal["package"]
"""How published weights are had where it is not by timm's hub: from a pinned package of the Python package index."""


class Weighted(Setting):
    """A setting that says whether and how published weights are used."""

    @model_validator(mode="before")
    @classmethod
    def _weights_are_published(cls, data: Any) -> Any:
        """Lets `weights: hub` stand for `pretrained: true`; `weights: package` implies it."""
        if not isinstance(data, dict) or data.get("weights") is None:
            return data
        if data["weights"] not in ("hub", "package"):
            raise ValueError(f"weights: '{data['weights']}' must be hub (timm's own) or package")
        if data.get("pretrained") is False:
            raise ValueError("pretrained: false takes no weights; remove one of the two")
        return {**data, "pretrained": True, "weights": None if data["weights"] == "hub" else data["weights"]}


class EmbeddingHeadSpec(Setting):
    """The layers from a backbone's features to embeddings: a linear one, after the hidden ones of `mlp`, or `none`."""

    later = frozenset({"none"})

    mlp: tuple[int, ...] = ()
    """Width of each hidden layer, with a ReLU after it."""
    batch_norm: bool = False
    """BatchNorm between each hidden layer and its ReLU."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """After each ReLU."""
    none: bool = False
    """No layer: the embeddings are the features of a frozen backbone, for suites of adapters."""

    @field_validator("mlp")
    @classmethod
    def _widths_are_positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 1 for width in value):
            raise ValueError("widths of hidden layers are positive, e.g. mlp: [512]")
        return value

    @model_validator(mode="before")
    @classmethod
    def _linear_is_a_word(cls, data: Any) -> Any:
        if isinstance(data, str):
            if data not in ("linear", "none"):
                raise ValueError("must be linear, none, or hidden layers such as {mlp: [512]}")
            return {"none": True} if data == "none" else {}
        if isinstance(data, dict) and not data.get("mlp") and (data.get("batch_norm") or data.get("dropout")):
            raise ValueError("batch_norm and dropout belong to hidden layers, e.g. {mlp: [512], batch_norm: true}")
        return data


Stages = tuple[Annotated[int, Field(ge=0, le=31)], ...]
"""Stages of a backbone by timm's numbers (`feature_info`), e.g. 3 for an EfficientNet's maps at a 16th of the size."""


class BackboneSpec(Weighted):
    """The parts of a backbone."""

    later = frozenset({"weights", "image_size", "channels", "stages"})

    backbone: str
    """timm model, `arch` or `arch.tag`; records carry the full `arch.tag`. Or `text/NAME`, or `vectors/NAME`."""
    image_size: int = Field(0, ge=0)
    """0 for texts and vectors."""
    channels: int = Field(0, ge=0)
    brought: int | None = None
    """F of `vectors/NAME`, which the dataset brings."""
    pretrained: bool = False
    """Start from published weights."""
    weights: Weights | None = None
    """Where these come from, if not from timm's hub."""
    small_image_stem: bool = False
    """Keep early resolution on small images: a stem without stride and pooling, or small ViT patches."""
    stages: Stages = ()
    """Features are mean and maximum of the maps of these stages; by default the backbone's own pooled features."""


class EncoderSpec(BackboneSpec):
    """The parts of an encoder; in every record and in the cache key of a trained model."""

    later = frozenset({"weights", "image_size", "channels", "stages", "frozen", "head"})

    dim: int = Field(ge=1)
    """Embedding dimension D."""
    frozen: bool = False
    """Only the embedding head is trained, on features that the backbone computes once (docs/scenarios.md)."""
    head: EmbeddingHeadSpec = EmbeddingHeadSpec()
    """From the backbone's features to D dimensions."""
    batch_norm: bool = False
    """BatchNorm after the embedding head."""

    @property
    def trunk(self) -> BackboneSpec:
        """The backbone of a frozen encoder, as it was published: grey images are given to it in three channels."""
        own = {name: getattr(self, name) for name in BackboneSpec.model_fields}
        weights = self.weights if self.pretrained else None
        changed = {"channels": 3 if self.channels == 1 else self.channels, "weights": weights}
        return BackboneSpec.model_validate(own | changed)


@cached_on_disk("timm")
def full_name(backbone: str) -> str:
    """`arch.tag` of a timm model, so that a record names weights and configuration.

    Raises RequestError with the nearest names for an unknown model.
    """
    if is_text_trunk(backbone):
        check_text_trunk(backbone)
        return backbone
    if backbone.startswith(VECTORS):
        return backbone

    import timm

    arch = backbone.partition(".")[0]
    if not timm.is_model(arch):
        near = difflib.get_close_matches(arch, timm.list_models(), n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; see timm.list_models()"
        raise RequestError(f"timm has no backbone '{backbone}'{hint}")
    known = timm.list_pretrained(f"{arch}.*")
    if "." in backbone:
        if known and backbone not in known:
            raise RequestError(f"timm has no weights '{backbone}'; it has {', '.join(known)}")
        return backbone
    cfg: Any = timm.get_pretrained_cfg(arch, allow_unregistered=True)
    return f"{arch}.{cfg.tag}" if cfg is not None and cfg.tag else arch
