import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from compatbench.generations.augmentation import augment
from compatbench.suite.recipe import Augmentation


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
    fast = augment(images, Augmentation(crop_padding=padding, horizontal_flip=flip), generator(3))
    assert fast.dtype == torch.uint8
    assert torch.equal(fast, slow_augmentation(images, padding, flip, generator(3)))


def test_same_stream_same_bytes_and_the_stored_images_stay() -> None:
    images = random_images(32)
    before = images.clone()
    augmentation = Augmentation(crop_padding=2, horizontal_flip=True)
    first, second, third = (
        augment(images, augmentation, generator(1)),
        augment(images, augmentation, generator(1)),
        augment(images, augmentation, generator(2)),
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(images, before)


def test_draws_from_its_generator_alone() -> None:
    images, stream = random_images(16), generator(1)
    state = torch.get_rng_state()
    augment(images, Augmentation(crop_padding=2, horizontal_flip=True), stream)
    assert torch.equal(torch.get_rng_state(), state)
    augment(images, Augmentation(), stream)
    untouched = generator(1)
    torch.randint(5, (2, 16), generator=untouched)
    torch.rand(16, generator=untouched)
    assert torch.equal(stream.get_state(), untouched.get_state())


def test_every_offset_and_flip_occurs_about_equally_often() -> None:
    count = 18_000
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3)
    crops = augment(image.expand(count, -1, -1, -1), Augmentation(crop_padding=1, horizontal_flip=True), generator(5))
    kinds, times = crops.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 3 * 3 * 2
    # 5 standard deviations of a binomial count with p = 1/18
    assert (times - count / 18).abs().max() < 5 * (count / 18 * 17 / 18) ** 0.5


def test_no_augmentation_is_the_identity() -> None:
    images = random_images(4)
    assert torch.equal(augment(images, Augmentation(), generator()), images)


@pytest.mark.parametrize("spec", [{"crop_padding": -1}, {"horisontal_flip": True}])
def test_refuses_wrong_specs(spec: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**spec)
