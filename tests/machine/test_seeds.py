"""Seed streams: pinned, independent of each other, and without a trace in torch's global state."""

from __future__ import annotations

import hashlib

import pytest
import torch

from compatbench.machine.seeds import global_stream, stream, stream_seed

# int(sha256(b"0/order/1").hexdigest()[:16], 16) >> 1, and so on: a change here changes every result there is
PINNED = {
    (0, "order", 1): 4489457307835839548,
    (7, "encoder", 0): 554807131046038618,
    (0,): 3456079177858693020,
    (12, "split", 3): 4682834173281423251,
}


@pytest.mark.parametrize(("names", "seed"), PINNED.items())
def test_a_streams_seed_is_the_front_of_a_sha256(names: tuple[int, ...], seed: int) -> None:
    assert stream_seed(*names) == seed
    text = "/".join(map(str, names))
    assert int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) >> 1 == seed
    assert 0 <= seed < 2**63


def test_streams_differ_by_seed_by_name_and_by_position() -> None:
    names = [(seed, name, place) for seed in range(20) for name in ("order", "augmentation") for place in range(20)]
    assert len({stream_seed(*each) for each in names}) == len(names)


def test_a_stream_starts_anew_each_time_and_ignores_the_others() -> None:
    first = torch.rand(5, generator=stream(3, "order"))
    torch.rand(100, generator=stream(3, "augmentation"))
    torch.manual_seed(99)
    assert torch.equal(first, torch.rand(5, generator=stream(3, "order")))
    assert not torch.equal(first, torch.rand(5, generator=stream(4, "order")))
    assert not torch.equal(first, torch.rand(5, generator=stream(3, "augmentation")))


def test_the_global_stream_draws_the_named_numbers_and_restores_the_state() -> None:
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    with global_stream(3, "encoder"):
        inside = torch.rand(5)
        torch.manual_seed(0)
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(inside, torch.rand(5, generator=stream(3, "encoder")))


def test_the_global_stream_restores_the_state_after_an_error_too() -> None:
    before = torch.get_rng_state()

    def fail() -> None:
        with global_stream(3, "setup"):
            torch.rand(5)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised three lines above
        fail()
    assert torch.equal(torch.get_rng_state(), before)
