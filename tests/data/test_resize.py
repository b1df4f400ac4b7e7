import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from compatbench.data import resize as module
from compatbench.data.resize import resize


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 2**31))
def test_gives_the_bytes_of_pillow(source: int, size: int, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, channels, source, source), np.uint8)
    resized = resize(torch.from_numpy(pixels), size)
    assert resized.dtype == torch.uint8
    for image, result in zip(pixels, resized, strict=True):
        for channel, plane in zip(image, result, strict=True):
            expected = Image.fromarray(channel).resize((size, size), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(plane.numpy(), np.asarray(expected))


def test_blocks_join_without_a_seam(monkeypatch) -> None:
    images = torch.randint(0, 256, (7, 1, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = resize(images, 8)
    monkeypatch.setattr(module, "CHUNK", 3)
    assert torch.equal(resize(images, 8), whole)


def test_same_size_is_the_same_tensor() -> None:
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert resize(images, 8) is images
