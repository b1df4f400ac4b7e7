"""What an encoder is made of, as suites and records name it."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from compatbench.errors import RequestError
from compatbench.storage.remembered import remembered


class EncoderSpec(BaseModel):
    """What an encoder is made of; part of every record and of the cache key of a trained model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    """timm model, `arch` or `arch.tag`; records carry the full `arch.tag`."""
    dim: int = Field(ge=1)
    """Embedding dimension D."""
    image_size: int = Field(ge=4)
    channels: int = Field(ge=1)
    pretrained: bool = False
    """Start from timm's published weights (downloads them)."""
    small_image_stem: bool = False
    """Keep early resolution on small images: a stem without stride and pooling, or small ViT patches."""
    batch_norm: bool = False
    """BatchNorm after the embedding layer."""


@remembered("timm")
def full_name(backbone: str) -> str:
    """`arch.tag` of a timm model, so that a record says which weights and configuration were meant.

    Raises RequestError with the nearest names for an unknown model.
    """
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
