"""The training loop of maps that have no closed form: Adam on shuffled mini-batches of pairs."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def minimise(
    loss: Callable[[Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
    pairs: int,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float = 0.0,
    warmup: int = 0,
    start_epoch: Callable[[int], None] = lambda epoch: None,
) -> list[float]:
    """Minimise `loss`, of the pairs at rows (B,), and return its mean over each epoch.

    The rate rises linearly over the first `warmup` epochs and falls to 0 along a cosine, epoch by epoch. Batches of
    an epoch differ in size by at most one pair, so that none is left with a single one.
    """
    optimizer = torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay)
    means = []
    for epoch in range(epochs):
        start_epoch(epoch)
        for group in optimizer.param_groups:
            group["lr"] = lr * _rate(epoch, epochs, warmup)
        total = 0.0
        for rows in torch.randperm(pairs).tensor_split(math.ceil(pairs / batch_size)):
            value = loss(rows)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(rows) / pairs
        means.append(total)
    return means


def _rate(epoch: int, epochs: int, warmup: int) -> float:
    if epoch < warmup:
        return (epoch + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))
