from pathlib import Path

import torch

from compatbench.data.sampling import limit_queries, only_classes
from compatbench.discovery.datasets import load


def test_fewer_queries_same_gallery_same_shares(tmp_path: Path) -> None:
    whole = load("digits", None, tmp_path, {})
    fewer = limit_queries(whole, 200)
    assert fewer.gallery is whole.gallery
    assert abs(len(fewer.query) - 200) <= 10
    before, after = whole.query.labels.bincount(), fewer.query.labels.bincount()
    assert torch.allclose(after / len(fewer.query), before / len(whole.query), atol=0.01)
    row_of = {sample: row for row, sample in enumerate(whole.query.ids.tolist())}
    rows = torch.tensor([row_of[sample] for sample in fewer.query.ids.tolist()])
    assert torch.equal(fewer.query.images, whole.query.images[rows])
    assert torch.equal(fewer.query.labels, whole.query.labels[rows])
    assert fewer.fingerprint != whole.fingerprint
    assert limit_queries(whole, 200).fingerprint == fewer.fingerprint


def test_no_limit_is_the_same_dataset(tmp_path: Path) -> None:
    whole = load("digits", None, tmp_path, {})
    assert limit_queries(whole, None) is whole
    assert limit_queries(whole, 10_000) is whole


def test_only_some_classes_in_queries_and_gallery_alike(tmp_path: Path) -> None:
    whole = load("digits", None, tmp_path, {})
    part = only_classes(whole, {3, 8})
    assert part.gallery is part.query
    assert part.train is whole.train
    rows = [row for row, label in enumerate(whole.query.labels.tolist()) if label in (3, 8)]
    assert torch.equal(part.query.ids, whole.query.ids[rows])
    assert torch.equal(part.query.images, whole.query.images[rows])
    fewer = only_classes(limit_queries(whole, 100), {3, 8})
    assert len(fewer.gallery) == len(part.gallery) > len(fewer.query)
