import pytest
import torch
import torch.nn.functional as F
from scipy.stats import ortho_group

from compatbench.generations.adapters import fit
from compatbench.method import Need

FEW = {"rounds": 3, "restarts": 10, "clusters": 6, "neighbours": 10, "refinements": 10}


@pytest.fixture(scope="module")
def bunches():
    """Six bunches of unlike distances from one another, 60 vectors each, (360, 8)."""
    generator = torch.Generator().manual_seed(5)
    centres = torch.randn(6, 8, generator=generator) * torch.tensor([3.0, 2.0, 1.5, 1.0, 1.0, 0.5, 0.5, 0.5])
    return F.normalize(centres.repeat_interleave(60, dim=0) + 0.1 * torch.randn(360, 8, generator=generator))


def test_a_rotation_is_found_without_pairs(bunches):
    rotation = torch.from_numpy(ortho_group.rvs(8, random_state=0)).float()
    new = bunches @ rotation.T
    adapter = fit("unpaired", bunches, new, params=FEW)
    centred = bunches - bunches.mean(dim=0)
    assert F.cosine_similarity(adapter.query(new) - bunches.mean(dim=0), centred).min() > 0.8
    assert F.cosine_similarity(new - new.mean(dim=0), centred).mean() < 0.5
    assert adapter.needs == {Need.OLD_FEATURES, Need.UNPAIRED}


def test_it_is_given_no_pair_and_no_label(catalogue, bunches, monkeypatch):
    given = []
    cls = catalogue.get("unpaired").cls
    monkeypatch.setattr(cls, "fit", lambda self, *sides: given.append(sides) or self.build(8, 8))
    from compatbench.generations.adapters import PairedVectors, fit_plugin

    plugin = catalogue.get("unpaired")
    pairs = PairedVectors(bunches, bunches, torch.arange(360))
    fit_plugin(plugin, plugin.resolve({}), pairs.task, pairs, 0, "fit")
    new, old, labels = given[0]
    assert labels is None
    similarity = torch.cat([new, old]) @ bunches.T
    items = similarity.argmax(dim=1)
    assert similarity.amax(dim=1).min() > 1 - 1e-6
    assert sorted(items.tolist()) == list(range(360)), "each item is on one side"


def test_the_map_takes_off_one_mean_and_puts_on_the_other(adapter, pairs):
    new, old, _ = pairs(6, 4, count=60)
    maps = adapter("unpaired", dim=6, **FEW).fit(new, old, None)
    direction = F.normalize(new - new.mean(dim=0))
    turned = maps.query(new) - old.mean(dim=0)
    assert torch.allclose(turned, direction @ maps.query.linear.weight.T, atol=1e-5)
    assert maps.query.mean.tolist() == pytest.approx(new.mean(dim=0).tolist())
