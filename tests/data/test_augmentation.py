import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from compatbench.data.augmentation import Augmentation, Normalization
from compatbench.data.dataset import Split


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(count: int, channels: int = 3, height: int = 6, width: int = 6) -> Tensor:
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(99))


def slow_augmentation(images: Tensor, padding: int, flip: bool, stream: torch.Generator) -> Tensor:
    """One image at a time: a larger black canvas, a slice of it, mirrored pixel by pixel."""
    count, channels, height, width = images.shape
    offsets = torch.randint(2 * padding + 1, (2, count), generator=stream).tolist() if padding else [[0] * count] * 2
    flips = (torch.rand(count, generator=stream) < 0.5).tolist() if flip else [False] * count
    results = []
    for image, top, left, flipped in zip(images, *offsets, flips, strict=True):
        canvas = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=torch.uint8)
        canvas[:, padding : padding + height, padding : padding + width] = image
        crop = canvas[:, top : top + height, left : left + width]
        results.append(torch.stack([crop[:, :, width - 1 - x] for x in range(width)], dim=2) if flipped else crop)
    return torch.stack(results)


@pytest.mark.parametrize("padding", [0, 1, 4, 9])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 6, 6), (3, 5, 8)])
def test_equals_a_loop_over_images(padding: int, flip: bool, channels: int, height: int, width: int) -> None:
    images = random_images(50, channels, height, width)
    fast = Augmentation(crop_padding=padding, horizontal_flip=flip)(images, generator(3))
    assert fast.dtype == torch.uint8
    assert torch.equal(fast, slow_augmentation(images, padding, flip, generator(3)))


def test_same_stream_same_bytes_and_the_stored_images_stay() -> None:
    images = random_images(32)
    before = images.clone()
    augment = Augmentation(crop_padding=2, horizontal_flip=True)
    first, second, third = (
        augment(images, generator(1)),
        augment(images, generator(1)),
        augment(images, generator(2)),
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(images, before)


def test_draws_from_its_generator_alone() -> None:
    images, stream = random_images(16), generator(1)
    state = torch.get_rng_state()
    Augmentation(crop_padding=2, horizontal_flip=True)(images, stream)
    assert torch.equal(torch.get_rng_state(), state)
    Augmentation()(images, stream)
    untouched = generator(1)
    torch.randint(5, (2, 16), generator=untouched)
    torch.rand(16, generator=untouched)
    assert torch.equal(stream.get_state(), untouched.get_state())


def test_every_offset_and_flip_occurs_about_equally_often() -> None:
    count = 18_000
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3)
    crops = Augmentation(crop_padding=1, horizontal_flip=True)(image.expand(count, -1, -1, -1), generator(5))
    kinds, times = crops.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 3 * 3 * 2
    # 5 standard deviations of a binomial count with p = 1/18
    assert (times - count / 18).abs().max() < 5 * (count / 18 * 17 / 18) ** 0.5


def test_no_augmentation_is_the_identity() -> None:
    images = random_images(4)
    assert torch.equal(Augmentation()(images, generator()), images)


@pytest.mark.parametrize("spec", [{"crop_padding": -1}, {"horisontal_flip": True}])
def test_refuses_wrong_specs(spec: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**spec)


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
