import pytest
import torch
from torch import Tensor

from compatbench.data.dataset import Split
from compatbench.data.normalization import Normalization


def random_images(count: int, channels: int = 3, height: int = 6, width: int = 6) -> Tensor:
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(99))


def split_of(images: Tensor) -> Split:
    return Split(images, torch.zeros(len(images), dtype=torch.int64), torch.arange(len(images)))


def test_normalization_is_the_mean_and_spread_of_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compatbench.data.dataset.CHUNK", 7)
    images = random_images(40) // torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None]
    normalization = Normalization.of(split_of(images))
    pixels = images.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.tensor(normalization.mean, dtype=torch.float64), pixels.mean(1))
    torch.testing.assert_close(torch.tensor(normalization.std, dtype=torch.float64), pixels.std(1, correction=0))


def test_normalized_images_have_zero_mean_and_unit_variance() -> None:
    images = random_images(40)
    normalized = Normalization.of(split_of(images))(images)
    assert normalized.dtype == torch.float32
    assert normalized.shape == images.shape
    pixels = normalized.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(pixels.mean(1), torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(pixels.std(1, correction=0), torch.ones(3, dtype=torch.float64))


def test_normalization_by_hand() -> None:
    images = torch.tensor([[[[10, 20]]], [[[30, 60]]]], dtype=torch.uint8)
    normalized = Normalization(mean=(20.0,), std=(10.0,))(images)
    torch.testing.assert_close(normalized, torch.tensor([[[[-1.0, 0.0]]], [[[1.0, 4.0]]]]))


def test_a_constant_channel_is_only_centred() -> None:
    images = torch.full((3, 1, 2, 2), 7, dtype=torch.uint8)
    normalization = Normalization.of(split_of(images))
    assert normalization == Normalization(mean=(7.0,), std=(1.0,))
    assert normalization(images).abs().max() < 1e-6


def test_images_normalized_after_inference_can_be_trained_on() -> None:
    images = random_images(4)
    normalize = Normalization(mean=(1.5, 2.5, 3.5), std=(4.0, 5.0, 6.0))
    with torch.inference_mode():
        expected = normalize(images)
    layer = torch.nn.Conv2d(3, 1, 3)
    batch = normalize(images)
    layer(batch).sum().backward()
    assert torch.equal(batch, expected)
    assert layer.weight.grad is not None
