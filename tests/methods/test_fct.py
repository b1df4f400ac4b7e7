import math

import pytest
import torch
from torch import nn

from compatbench.errors import RequestError
from compatbench.method import Need

SMALL = {"inner": 12, "epochs": 6, "batch_size": 20, "warmup": 2}


def layers(adapter, dim, old_dim, inner):
    transformation = adapter("fct", inner=inner).build(dim, old_dim).gallery
    return [
        (module.in_features, module.out_features) if isinstance(module, nn.Linear) else type(module).__name__
        for module in transformation.modules()
        if not list(module.children())
    ]


def test_the_network_is_the_published_one(adapter):
    """D → 256 → 256 twice, 512 → 2048 → 2048 → D at D = 128; BatchNorm and ReLU after all but the last."""
    after = ["BatchNorm1d", "ReLU"]
    branch = [(128, 256), *after, (256, 256), *after]
    assert layers(adapter, 128, 128, 2048) == [
        *branch, *branch, (512, 2048), *after, (2048, 2048), *after, (2048, 128),
    ]  # fmt: skip


def test_widths_follow_both_dimensions(adapter):
    widths = [layer for layer in layers(adapter, 6, 4, 10) if isinstance(layer, tuple)]
    assert widths == [(4, 8), (8, 12), (4, 8), (8, 12), (24, 10), (10, 10), (10, 6)]


def test_both_branches_see_the_stored_vector(adapter, pairs):
    _, old, _ = pairs()
    transformation = adapter("fct", inner=10).build(4, 4).gallery.eval()
    joined = torch.cat([transformation.stored(old), transformation.side(old)], dim=1)
    assert torch.equal(transformation(old), transformation.mixer(joined))


def test_it_is_trained_as_published(adapter, pairs):
    """Against a loop of its own: mean squared error, Adam, warm-up and cosine, BatchNorm frozen after half."""
    new, old, labels = pairs(6, 4)
    method = adapter("fct", **SMALL)
    torch.manual_seed(4)
    found = method.fit(new, old, labels).gallery

    torch.manual_seed(4)
    expected = method.build(6, 4).gallery
    optimizer = torch.optim.Adam(expected.parameters(), weight_decay=3.0517578125e-05)
    for epoch in range(6):
        expected.train(epoch < 3)
        cosine = 0.5 * (1 + math.cos(math.pi * (epoch - 2) / 4))
        optimizer.param_groups[0]["lr"] = 5e-4 * ((epoch + 1) / 2 if epoch < 2 else cosine)
        order = torch.randperm(50)
        for batch in (order[:17], order[17:34], order[34:]):
            difference = expected(old[batch]) - new[batch]
            optimizer.zero_grad()
            (difference.square().sum() / difference.numel()).backward()
            optimizer.step()
    for (name, value), other in zip(found.state_dict().items(), expected.state_dict().values(), strict=True):
        assert torch.allclose(value, other, atol=1e-6), name
    assert not found.training


def test_rewritten_vectors_come_near_the_new_ones(adapter, pairs):
    new, old, labels = pairs(6, 4, count=200)
    torch.manual_seed(0)
    rewritten = adapter("fct", inner=32, epochs=40, batch_size=50, lr=0.01).fit(new, old, labels).gallery(old)
    assert (rewritten - new).square().mean() < 0.3 * (new - new.mean(0)).square().mean()


def test_the_new_model_is_free_and_the_gallery_rewritten(adapter):
    method = adapter("fct", **SMALL)
    maps = method.build(4, 4)
    assert (maps.new, maps.query, maps.order) == (None, None, None)
    assert method.needs == {Need.OLD_FEATURES, Need.GALLERY_REWRITE}
    with pytest.raises(RequestError, match="batch_size"):
        adapter("fct", batch_size=1)
