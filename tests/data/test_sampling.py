from pathlib import Path

import torch

from compatbench.data.catalogue import load
from compatbench.data.sampling import limit_queries


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
