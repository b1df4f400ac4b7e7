import pytest
import torch
from by_hand import cosine, rows
from scipy.stats import ortho_group

from compatbench.method import Need


def test_vectors_become_their_cosines_with_the_anchors(adapter, pairs):
    new, old, _ = pairs(6, 4)
    maps = adapter("relative", dim=6, anchors=3).fit(new, old, None)
    for mapping, side in ((maps.query, new), (maps.gallery, old)):
        expected = [[cosine(row, anchor) for anchor in rows(mapping.anchors)] for row in rows(side)]
        assert torch.allclose(mapping(side), torch.tensor(expected), atol=1e-6)


def test_anchors_are_pairs(adapter, pairs):
    new, old, _ = pairs(6, 4)
    maps = adapter("relative", dim=6, anchors=70).fit(new, old, None)  # of 50 pairs, 20 of them twice
    for a, b in zip(maps.query.anchors, maps.gallery.anchors, strict=True):
        row = (new == a).all(dim=1).nonzero().item()
        assert torch.equal(old[row], b)
    assert len(maps.query.anchors.unique(dim=0)) == 50


@pytest.mark.parametrize("dim", [4])
def test_a_rotated_space_has_the_same_description(adapter, pairs, dim):
    _, old, _ = pairs(dim, dim)
    rotation = torch.from_numpy(ortho_group.rvs(dim, random_state=0)).float()
    method = adapter("relative", anchors=5)
    maps = method.fit(old @ rotation, old, None)
    assert torch.allclose(maps.query(old @ rotation), maps.gallery(old), atol=1e-5)
    assert method.needs == {Need.OLD_FEATURES, Need.GALLERY_REWRITE}
