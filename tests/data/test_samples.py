from dataclasses import replace

import numpy as np
import torch

from compatbench.data.dataset import Dataset, Split
from compatbench.data.samples import Samples


def split(ids: list[int], names: tuple[str, ...] | None = None) -> Split:
    images = torch.tensor(ids, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()
    return Split(images, torch.tensor(ids) % 2, torch.tensor(ids), names)


def test_queries_and_gallery_items_are_found_by_id():
    samples = Samples(Dataset("d", ("even", "odd"), split([9]), split([3, 4]), split([7, 8, 3])))
    assert [samples.label(sample) for sample in (3, 4, 7, 8)] == ["odd", "even", "odd", "even"]
    for sample in (3, 4, 7, 8):
        pixels = samples.pixels(sample)
        assert (pixels.shape, pixels.dtype) == ((3, 2, 2), np.uint8)
        assert (pixels == sample).all()
        assert samples.name(sample) is None


def test_names_are_told_where_there_are_any(digits: Dataset):
    query = replace(digits.query, names=tuple(f"image {row}" for row in range(len(digits.query))))
    samples = Samples(replace(digits, query=query, gallery=query))
    sample = int(query.ids[5])
    assert samples.name(sample) == "image 5"
    assert np.array_equal(samples.pixels(sample), query.images[5].numpy())
    assert samples.label(sample) == str(int(query.labels[5]))
