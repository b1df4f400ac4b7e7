"""Named seed streams: one cell seed gives independent streams for initialisation, order, augmentation …

Two streams never share numbers, so a method that draws from its own stream leaves the order of the data and
the augmentation of every other method untouched (protocol §5).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream_seed(seed: int, *names: str | int) -> int:
    """63-bit seed of the stream `names` under the cell's `seed`."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator on `device` for the stream `names` under the cell's `seed`."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))


@contextmanager
def global_stream(seed: int, *names: str | int) -> Iterator[None]:
    """Draw torch's global random numbers from the stream `names`, and restore the global state afterwards.

    For code that takes no generator, such as the initialisers of `torch.nn` layers.
    """
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, *names))
        yield
