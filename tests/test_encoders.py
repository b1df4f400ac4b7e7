"""Encoders: timm backbones at the sizes and depths that a suite asks for, or one line on why not."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from compatbench.encoders import Encoder, check_encoder, feature_dim
from compatbench.errors import RequestError
from compatbench.suite.encoder_spec import EncoderSpec, full_name


def encoder(backbone: str, **spec: Any) -> Encoder:
    made = Encoder(
        EncoderSpec.model_validate({"backbone": backbone, "dim": 8, "image_size": 32, "channels": 3, **spec})
    )
    return made.eval()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext", "mobilenetv3_small_050"])
def test_images_of_any_depth_become_features_of_the_asked_dimension(backbone: str, channels: int) -> None:
    made = encoder(backbone, channels=channels, dim=5)
    first = next(layer for layer in made.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == channels
    features = made(torch.randn(3, channels, 32, 32))
    assert features.shape == (3, 5)
    assert torch.isfinite(features).all()
    assert not torch.allclose(features[0], features[1]), "two images, one feature"


def test_the_small_image_stem_of_a_resnet_is_that_of_cifar() -> None:
    plain, small = encoder("resnet18", dim=10), encoder("resnet18", dim=10, small_image_stem=True)
    images = torch.zeros(1, 3, 32, 32)
    assert plain.backbone.forward_features(images).shape == (1, 512, 1, 1)
    assert small.backbone.forward_features(images).shape == (1, 512, 4, 4)
    # the count that is published for ResNet-18 on CIFAR-10; our embedding stands where its classifier is
    assert sum(parameter.numel() for parameter in small.parameters()) == 11_173_962


@pytest.mark.parametrize(("backbone", "smaller"), [("test_resnet", 4), ("densenet121", 4), ("test_efficientnet", 2)])
def test_the_small_image_stem_of_other_networks_keeps_resolution_and_adds_no_layer(backbone: str, smaller: int) -> None:
    plain, small = encoder(backbone, channels=1), encoder(backbone, channels=1, small_image_stem=True)
    images = torch.randn(2, 1, 32, 32)
    assert (
        small.backbone.forward_features(images).shape[-1] == smaller * plain.backbone.forward_features(images).shape[-1]
    )
    names = {name.removesuffix(".bias") for name, _ in plain.named_parameters()}
    assert {name.removesuffix(".bias") for name, _ in small.named_parameters()} == names
    small(images).sum().backward()
    assert all(parameter.grad is not None for parameter in small.parameters()), "a layer is never used"


@pytest.mark.parametrize(
    ("image_size", "small", "patches"),
    [(32, False, 2), (48, False, 3), (32, True, 8), (28, True, 7), (30, True, 10), (16, True, 8), (31, True, 31)],
)
def test_a_vit_is_built_for_the_size_of_the_images(image_size: int, small: bool, patches: int) -> None:
    made = encoder("test_vit", image_size=image_size, small_image_stem=small)
    tokens = made.backbone.forward_features(torch.zeros(1, 3, image_size, image_size)).shape[1]
    assert tokens == patches**2 + 1  # and the class token


def test_batch_norm_comes_last() -> None:
    made = encoder("test_resnet", batch_norm=True).train()
    features = made(torch.randn(64, 3, 32, 32))
    assert torch.allclose(features.mean(dim=0), torch.zeros(8), atol=1e-5)
    assert torch.allclose(features.var(dim=0, unbiased=False), torch.ones(8), atol=1e-2)


def test_the_embedding_head_is_linear_or_has_hidden_layers_by_hand() -> None:
    images = torch.randn(4, 3, 32, 32)
    linear = encoder("test_resnet")
    assert isinstance(linear.embedding, nn.Linear)
    made = encoder("test_resnet", head={"mlp": [6, 5], "batch_norm": True, "dropout": 0.5})
    layers = [type(layer).__name__ for layer in made.embedding.children()]
    assert layers == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2 + ["Linear"]
    plain = encoder("test_resnet", head={"mlp": [6]})
    first, last = plain.embedding[0], plain.embedding[2]
    hidden = (plain.backbone(images) @ first.weight.T + first.bias).clamp(min=0)
    assert torch.allclose(plain(images), hidden @ last.weight.T + last.bias, atol=1e-5)
    assert (first.out_features, last.out_features) == (6, 8)


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet"])
def test_features_of_stages_are_mean_and_maximum_of_what_timm_cuts_out(backbone: str) -> None:
    made = encoder(backbone, stages=[2, 4], frozen=False)
    cut = timm.create_model(backbone, features_only=True, out_indices=(2, 4))
    weights = {name.removeprefix("backbone."): value for name, value in made.backbone.state_dict().items()}
    cut.load_state_dict(weights, strict=False)
    images = torch.randn(3, 3, 32, 32)
    maps = cut.eval()(images)
    expected = torch.cat([part for one in maps for part in (one.mean((2, 3)), one.flatten(2).max(2).values)], 1)
    assert torch.allclose(made.backbone(images), expected, atol=1e-5)
    assert feature_dim(made.spec) == expected.shape[1] == 2 * sum(cut.feature_info.channels())


def test_full_names_carry_the_tag_of_the_weights() -> None:
    assert full_name("test_vit") == "test_vit.r160_in1k"
    assert full_name("resnet18.tv_in1k") == "resnet18.tv_in1k"
    assert full_name(full_name("test_resnet")) == full_name("test_resnet")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet_18", "timm has no backbone 'resnet_18'; did you mean resnet"),
        ("test_vitt", "timm has no backbone 'test_vitt'; did you mean test_vit"),
        ("qqqqqqqqqqqq", "timm has no backbone 'qqqqqqqqqqqq'; see timm.list_models()"),
        ("resnet18.best", "timm has no weights 'resnet18.best'; it has resnet18."),
    ],
)
def test_an_unknown_backbone_is_named_with_the_nearest(backbone: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        full_name(backbone)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"backbone": "test_vit", "image_size": 28}, "should be divisible by patch size 16"),
        ({"backbone": "vit_tiny_patch16_224", "image_size": 28}, "should be divisible by patch size 16"),
        ({"backbone": "densenet121", "image_size": 28}, "Output size is too small"),
        ({"backbone": "test_convnext", "image_size": 28}, "Kernel size can't be greater than actual input size"),
    ],
)
def test_an_impossible_size_is_named_in_one_line(spec: dict[str, Any], cause: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_encoder(EncoderSpec.model_validate({"dim": 8, "channels": 1, **spec}))
    message = str(caught.value)
    assert message.startswith(f"backbone '{spec['backbone']}' cannot take 28x28 images: ")
    assert cause in message
    assert message.endswith("; choose another image_size or backbone")
    assert len(message.splitlines()) == 1


def test_a_network_without_a_strided_stem_has_nothing_to_widen() -> None:
    with pytest.raises(RequestError, match="'vgg11' has no strided stem that small_image_stem could widen"):
        encoder("vgg11", small_image_stem=True)


def test_checking_an_encoder_downloads_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, create = [], timm.create_model

    def spy(*arguments: Any, **named: Any) -> nn.Module:
        asked.append(named["pretrained"])
        return create(*arguments, **named)

    monkeypatch.setattr(timm, "create_model", spy)
    check_encoder(EncoderSpec(backbone="test_resnet", dim=8, image_size=16, channels=1, pretrained=True))
    assert asked == [False]
