"""The training loop that adapters share."""

import math
from itertools import chain

import pytest
import torch


@pytest.fixture
def minimise(catalogue):
    catalogue.get("mlp")
    from compatbench_methods._adam import minimise

    return minimise


def run(minimise, loss=lambda rows, weight: weight.square().sum(), pairs=10, **settings):
    """(loss means, batches by epoch, learning rates by epoch) of a run on one weight."""
    torch.manual_seed(0)
    weight, batches = torch.nn.Parameter(torch.ones(3)), []

    def counted(rows):
        batches[-1].append(rows.tolist())
        return loss(rows, weight)

    def start_epoch(epoch):
        assert epoch == len(batches)
        batches.append([])

    means = minimise(counted, [weight], pairs, start_epoch=start_epoch, **{"lr": 0.1, "epochs": 4, **settings})
    return means, batches, weight.detach()


@pytest.mark.parametrize(
    ("pairs", "size", "sizes"), [(10, 4, [4, 3, 3]), (9, 4, [3, 3, 3]), (5, 8, [5]), (9, 8, [5, 4])]
)
def test_an_epoch_takes_every_pair_once_in_batches_of_like_size(minimise, pairs, size, sizes):
    _, batches, _ = run(minimise, pairs=pairs, batch_size=size)
    for epoch in batches:
        assert [len(rows) for rows in epoch] == sizes
        assert sorted(chain.from_iterable(epoch)) == list(range(pairs))
    assert batches[0] != batches[1]


def test_the_rate_rises_linearly_and_falls_along_a_cosine(minimise, monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def recorded(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", recorded)
    run(minimise, epochs=6, warmup=2, batch_size=100)
    expected = [0.05, 0.1, *(0.1 * (1 + math.cos(math.pi * done / 4)) / 2 for done in range(4))]
    assert rates == pytest.approx(expected)


def test_it_returns_the_mean_over_the_pairs_of_each_epoch(minimise):
    values = torch.arange(10.0)
    means, _, _ = run(minimise, lambda rows, weight: values[rows].mean() + 0 * weight.sum(), batch_size=4)
    assert means == pytest.approx([4.5] * 4)


def test_it_is_adam(minimise):
    """One full batch an epoch, without decay of the rate, against torch's own loop."""
    _, _, weight = run(minimise, epochs=1, batch_size=100, weight_decay=0.5)
    other = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([other], lr=0.1, weight_decay=0.5)
    other.square().sum().backward()
    optimizer.step()
    assert torch.equal(weight, other.detach())
