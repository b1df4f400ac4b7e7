"""Several processes train one model together: each encodes its share of every batch, and all see the whole of it.

So a method's loss is the one that a single process would take, also where it couples the samples of a batch. In a
process on its own each function here does nothing, or what its name says of one process.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm

from compatbench.errors import LostProcessError

PATIENCE = datetime.timedelta(days=7)
"""For the others. A cell that hangs is ended from outside; one that waits for another run's model is right to."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one cell, seen from one of them."""

    rank: int
    """Which of them it is, from 0."""
    size: int
    """World size."""
    address: str
    """Host of the key-value store at which they meet, which the launcher keeps."""
    port: int
    name: str
    """Theirs alone in that store."""


def join(group: ProcessGroup) -> None:
    """Wait for the other processes. Raises LostProcessError if they do not come."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _others():
        store = dist.TCPStore(group.address, group.port, is_master=False)  # type: ignore[attr-defined]
        meeting = dist.PrefixStore(group.name, store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=meeting, rank=group.rank, world_size=group.size, timeout=PATIENCE)


def size() -> int:
    """World size: 1 in a process on its own."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Rank of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this process writes the common result."""
    return rank() == 0


def share(rows: int) -> slice:
    """This process's part of `rows` rows: consecutive rows, or all of them if there are fewer than processes."""
    return slice(rank() * rows // size(), (rank() + 1) * rows // size()) if rows >= size() else slice(0, rows)


def gather(rows: Tensor, count: int) -> Tensor:
    """The `count` rows (B, …) of all processes, from their shares (b, …), in order, each row once.

    The gradient of a loss that every process takes of all rows is right once `average_gradients` has been called.
    """
    return rows if count < size() else _whole(rows)[0]


def in_shares(compute: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """`compute(rows)` (B, …) in every process, with each share computed once; see `gather`."""
    return gather(compute(rows[share(len(rows))]), len(rows))


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients, after `backward`."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if size() == 1 or not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    with _others():
        dist.all_reduce(flat)
    parts = torch.split(flat / size(), [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite `tensors` with those of the first process."""
    if size() == 1:
        return
    for tensor in tensors:
        dense = tensor.contiguous()
        with _others():
            dist.broadcast(dense, 0)
        tensor.copy_(dense)


def agree(answer: bool) -> bool:
    """The first process's answer, whatever the others would say."""
    said = torch.tensor([answer])
    if size() > 1:
        with _others():
            dist.broadcast(said, 0)
    return bool(said)


def share_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let the batch normalisations in `module` use the statistics of whole batches, from their shares."""
    if size() == 1:
        return
    if device.type == "cuda":
        import timm

        timm.layers.convert_sync_batchnorm(module)  # type: ignore[attr-defined, no-untyped-call]
        return
    for layer in module.modules():  # torch's SyncBatchNorm is for GPUs alone
        if isinstance(layer, _BatchNorm):
            _WholeBatch(layer)


@contextmanager
def _others() -> Iterator[None]:
    """Around what needs all processes: it fails where one of them is gone."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # which names addresses, as no record may
        raise LostProcessError("another process of this cell is gone") from error


def _whole(rows: Tensor) -> tuple[Tensor, slice]:
    """The rows (B, …) of all processes, one after the other, and which of them are this one's (b, …)."""
    if size() == 1:
        return rows, slice(None)
    lengths = torch.zeros(size(), dtype=torch.int64)
    lengths[rank()] = len(rows)
    with _others():
        dist.all_reduce(lengths)
    counts: list[int] = lengths.tolist()
    first = sum(counts[: rank()])
    own = slice(first, first + len(rows))
    return _Concatenate.apply(rows, counts, own), own


class _Concatenate(Function):
    """Rows of all processes, `counts` of each. Each process's rows get the sum of the gradients that all of them have.

    Where each takes the same loss of the whole, that is its own gradient once for each process, so that the mean over
    them is the sum over the shares for parameters that made the rows, and what it was for those that only came after.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], own: slice) -> Tensor:
        ctx.own = own
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        received = [torch.empty_like(padded) for _ in counts]
        with _others():
            dist.all_gather(received, padded)
        return torch.cat([part[:count] for part, count in zip(received, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        with _others():
            dist.all_reduce(total)
        return total[ctx.own], None, None


class _WholeBatch:
    """Gives the batch norm `layer` the rows of all processes in training, and each process its own of the result."""

    def __init__(self, layer: nn.Module) -> None:
        self.own = slice(None)
        layer.register_forward_pre_hook(self.join)
        layer.register_forward_hook(self.part)

    def join(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if not layer.training:
            return None
        whole, self.own = _whole(*inputs)
        return (whole,)

    def part(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        return output[self.own] if layer.training else None
