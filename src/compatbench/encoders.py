"""Encoders: a timm backbone and an embedding head, images (B, C, H, W) to features (B, D)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compatbench.data.published_weights import get_package, package_of, read_wheel
from compatbench.data.text.trunks import is_text_trunk, text_trunk_dim
from compatbench.errors import RequestError, first_line
from compatbench.storage.disk_cache import cached_on_disk
from compatbench.suite.encoder_spec import VECTORS, BackboneSpec, EmbeddingHeadSpec, EncoderSpec

DATA = Path("data")
"""The folder of the data, unless another is chosen."""


class Encoder(nn.Module):
    """Backbone, embedding head to D dimensions, and optionally a BatchNorm on top."""

    def __init__(self, spec: EncoderSpec, data: Path = DATA) -> None:
        """`data` is the folder of packaged weights, for a spec that takes them.

        A frozen encoder is its embedding head alone, which takes features (B, F) of the trunk in place of images.
        """
        super().__init__()
        self.spec = spec
        self.backbone = nn.Identity() if spec.frozen else build_backbone(spec, data)
        features = feature_dim(spec.trunk) if spec.frozen else int(self.backbone.head_hidden_size)  # type: ignore[arg-type]
        self.embedding = embedding_head(spec.head, features, spec.dim)
        self.norm: nn.Module = nn.BatchNorm1d(spec.dim) if spec.batch_norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, D), not normalised."""
        return self.norm(self.embedding(self.backbone(images)))  # type: ignore[no-any-return]

    def blank(self, count: int, device: str | torch.device = "cpu") -> Tensor:
        """Zeros (B, …) in the shape of the encoder's input."""
        size = self.spec.image_size
        shape = (feature_dim(self.spec.trunk),) if self.spec.frozen else (self.spec.channels, size, size)
        return torch.zeros(count, *shape, device=device)


def embedding_head(spec: EmbeddingHeadSpec, features: int, dim: int) -> nn.Module:
    """The layers from features (B, F) to D = `dim` dimensions. Raises RequestError for `none` where F is not D."""
    if spec.none:
        if features != dim:
            raise RequestError(f"head: none keeps the {features} dimensions of the backbone: set dim: {features}")
        return nn.Identity()
    layers: list[nn.Module] = []
    for width in spec.mlp:
        layers.append(nn.Linear(features, width))
        layers += [nn.BatchNorm1d(width)] if spec.batch_norm else []
        layers.append(nn.ReLU())
        layers += [nn.Dropout(spec.dropout)] if spec.dropout else []
        features = width
    last = nn.Linear(features, dim)
    return nn.Sequential(*layers, last) if layers else last


class StageFeatures(nn.Module):
    """A backbone up to some of its stages: the mean and the maximum of each map, (B, C, H, W) to (B, F)."""

    def __init__(self, backbone: nn.Module, spec: BackboneSpec) -> None:
        """Raises RequestError if the backbone has no such stage."""
        super().__init__()
        self.backbone = backbone
        self.pretrained_cfg = backbone.pretrained_cfg
        self.stages = list(spec.stages)
        self.head_hidden_size = 0
        info: Any = getattr(backbone, "feature_info", [])
        if not hasattr(backbone, "forward_intermediates") or max(self.stages) >= len(info):
            raise RequestError(f"backbone '{spec.backbone}' has stages 0 to {len(info) - 1}, not {self.stages}")
        channels = [int(stage["num_chs"]) for stage in info]
        self.head_hidden_size = 2 * sum(channels[stage] for stage in self.stages)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F)."""
        backbone: Any = self.backbone
        maps = backbone.forward_intermediates(
            images, indices=self.stages, stop_early=True, intermediates_only=True, output_fmt="NCHW"
        )
        return torch.cat([pooled for one in maps for pooled in (one.mean((2, 3)), one.amax((2, 3)))], 1)


def build_backbone(spec: BackboneSpec, data: Path = DATA, *, classifier: bool = False) -> nn.Module:
    """The timm model for `spec.channels` and `spec.image_size`, with published weights if the spec asks for them.

    Its `classifier` is left out unless asked for. Raises RequestError where patches would leave a rim of the image
    unseen, no stem is there to widen, or packaged weights cannot be had or do not fit.
    """
    import timm

    arguments: dict[str, Any] = {"pretrained": spec.pretrained, "in_chans": spec.channels}
    if not classifier:
        arguments["num_classes"] = 0
    if spec.pretrained and spec.weights == "package":
        whole = timm.create_model(spec.backbone)
        state = fitted_weights(
            whole.state_dict(), read_wheel(get_package(package_of(spec.backbone), data)), spec.backbone
        )
        arguments["pretrained_cfg_overlay"] = {"state_dict": state}  # timm fits it to channels and classes
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
    return StageFeatures(model, spec) if spec.stages else model


def fitted_weights(own: dict[str, Tensor], weights: dict[str, Tensor], backbone: str) -> dict[str, Tensor]:
    """`weights` under the names of the model's `own` state: both in one order and of equal shapes.

    Counters of batches, which serve training alone, are left out. Raises RequestError at the first difference.
    """
    mine, theirs = (
        [(name, value) for name, value in state.items() if not name.endswith("num_batches_tracked")]
        for state in (own, weights)
    )
    for (name, value), (packaged, tensor) in zip(mine, theirs, strict=False):
        if value.shape != tensor.shape:
            raise RequestError(
                f"the packaged weights do not fit timm's '{backbone}': {packaged} has shape {tuple(tensor.shape)}, "
                f"and {name} has {tuple(value.shape)}; install the timm of requirements.lock"
            )
    if len(mine) != len(theirs):
        raise RequestError(
            f"the packaged weights do not fit timm's '{backbone}': they are {len(theirs)} tensors, and it has "
            f"{len(mine)}; install the timm of requirements.lock"
        )
    return {name: tensor for (name, _), (_, tensor) in zip(mine, theirs, strict=True)}


def feature_dim(spec: BackboneSpec) -> int:
    """F: dimensions of a backbone's features."""
    if spec.brought is not None:
        return spec.brought
    return text_trunk_dim(spec.backbone) if is_text_trunk(spec.backbone) else _pooled_dim(spec)


@cached_on_disk("timm", "torch")
def _pooled_dim(spec: BackboneSpec) -> int:
    with torch.device("meta"):
        backbone = build_backbone(spec.model_copy(update={"pretrained": False}))
    return int(backbone.head_hidden_size)  # type: ignore[arg-type]


def check_encoder(spec: EncoderSpec) -> None:
    """Raise RequestError for an encoder that cannot be built, or not for these items."""
    if spec.backbone.startswith(VECTORS) and spec.brought is None:
        raise RequestError(f"the dataset has no vectors '{spec.backbone}'; see `compatbench data check`")
    if spec.image_size and (is_text_trunk(spec.backbone) or spec.brought):
        raise RequestError(f"backbone '{spec.backbone}' takes no images, and the dataset has them")
    if not spec.image_size and not (is_text_trunk(spec.backbone) or spec.brought):
        raise RequestError(f"backbone '{spec.backbone}' takes images, and the dataset has none")
    if not (spec.image_size or spec.frozen) or (spec.head.none and not spec.frozen):
        raise RequestError(f"backbone '{spec.backbone}' is used as it was published: say frozen: true")
    if spec.image_size:
        _check_image_encoder(spec)
    else:
        Encoder(spec)


@cached_on_disk("timm", "torch")
def _check_image_encoder(spec: EncoderSpec) -> None:
    """Build the encoder and embed two blank images, so that an impossible size is an error before training."""
    if spec.pretrained and spec.weights == "package":
        package_of(spec.backbone)
    try:
        whole = {
            "pretrained": False,
            "frozen": False,
            "channels": spec.trunk.channels if spec.frozen else spec.channels,
        }
        model = Encoder(spec.model_copy(update=whole)).eval()
        with torch.inference_mode():
            model(model.blank(2))
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


def _keep_resolution(model: nn.Module, spec: BackboneSpec) -> None:
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
