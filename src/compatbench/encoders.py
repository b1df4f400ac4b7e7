"""Encoders: a timm backbone and an embedding head, images (B, C, H, W) to features (B, D)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compatbench.errors import RequestError, first_line
from compatbench.storage.remembered import remembered
from compatbench.suite.encoder_spec import EmbeddingHeadSpec, EncoderSpec


class Encoder(nn.Module):
    """Backbone, embedding head to D dimensions, and optionally a BatchNorm on top."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = build_backbone(spec)
        self.embedding = embedding_head(spec.head, self.backbone.head_hidden_size, spec.dim)  # type: ignore[arg-type]
        self.norm: nn.Module = nn.BatchNorm1d(spec.dim) if spec.batch_norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, D), not normalised."""
        return self.norm(self.embedding(self.backbone(images)))  # type: ignore[no-any-return]


def embedding_head(spec: EmbeddingHeadSpec, features: int, dim: int) -> nn.Module:
    """The layers from features (B, F) to D = `dim` dimensions."""
    layers: list[nn.Module] = []
    for width in spec.mlp:
        layers.append(nn.Linear(features, width))
        layers += [nn.BatchNorm1d(width)] if spec.batch_norm else []
        layers.append(nn.ReLU())
        layers += [nn.Dropout(spec.dropout)] if spec.dropout else []
        features = width
    last = nn.Linear(features, dim)
    return nn.Sequential(*layers, last) if layers else last


def build_backbone(spec: EncoderSpec) -> nn.Module:
    """The timm model without classifier, for `spec.channels` and `spec.image_size`.

    Raises RequestError where patches would leave a rim of the image unseen, or no stem is there to widen.
    """
    import timm

    arguments: dict[str, Any] = {
        "pretrained": spec.pretrained,
        "in_chans": spec.channels,
        "num_classes": 0,
    }
    if _takes_image_size(spec.backbone):
        arguments["img_size"] = spec.image_size
        if spec.small_image_stem:
            arguments["patch_size"] = _small_patch(spec.image_size)
    model: nn.Module = timm.create_model(spec.backbone, **arguments)
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", (1, 1))
    if any(spec.image_size % side for side in patch):
        raise RequestError(
            f"backbone '{spec.backbone}' cannot take {spec.image_size}x{spec.image_size} images: "
            f"the size should be divisible by patch size {patch[0]}; choose another image_size or backbone"
        )
    if spec.small_image_stem and not _takes_image_size(spec.backbone):
        _keep_resolution(model, spec)
    return model


@remembered("timm", "torch")
def check_encoder(spec: EncoderSpec) -> None:
    """Build the encoder and embed two blank images, so that an impossible size is named before training."""
    try:
        model = Encoder(spec.model_copy(update={"pretrained": False})).eval()
        with torch.inference_mode():
            model(torch.zeros(2, spec.channels, spec.image_size, spec.image_size))
    except RequestError:
        raise
    except Exception as error:
        raise RequestError(
            f"backbone '{spec.backbone}' cannot take {spec.image_size}x{spec.image_size} images: {first_line(error)}; "
            "choose another image_size or backbone"
        ) from error


def _takes_image_size(backbone: str) -> bool:
    """Whether timm's constructor of this architecture is built for one image size (ViT and its kin)."""
    import timm

    cfg: Any = timm.get_pretrained_cfg(backbone.partition(".")[0], allow_unregistered=True)
    return cfg is not None and bool(cfg.fixed_input_size)


def _small_patch(image_size: int) -> int:
    """The largest patch that divides an image into at least 7 x 7 of them."""
    return max((side for side in range(1, image_size // 7 + 1) if image_size % side == 0), default=1)


def _keep_resolution(model: nn.Module, spec: EncoderSpec) -> None:
    """The usual small-image stem: a stride-1 first convolution, 3x3 for 7x7, and no max-pooling after it."""
    layers = dict(model.named_modules())
    stem = next((name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)), None)
    if stem is None or max(layers[stem].stride) == 1:
        raise RequestError(f"backbone '{spec.backbone}' has no strided stem that small_image_stem could widen")
    convolution = layers[stem]
    convolution.stride = (1, 1)
    if convolution.kernel_size == (7, 7):
        bias = convolution.bias is not None
        model.set_submodule(stem, nn.Conv2d(spec.channels, convolution.out_channels, 3, 1, 1, bias=bias))
    pooling = next((name for name, layer in layers.items() if isinstance(layer, nn.MaxPool2d)), None)
    if pooling is not None:
        model.set_submodule(pooling, nn.Identity())
