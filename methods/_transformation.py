"""The network that rewrites old gallery vectors for the new model, and how it is trained."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from compatbench.method import Field, Params, tunable

from ._adam import minimise


class TransformationParams(Params):
    """The published setting of FCT and FastFill."""

    inner: int = Field(2048, ge=1)
    epochs: int = tunable(80, low=10, high=200, log=True, ge=1)
    batch_size: int = Field(1024, ge=2)
    lr: float = tunable(5e-4, low=1e-4, high=5e-3, log=True, gt=0)
    weight_decay: float = Field(2**-15, ge=0)
    warmup: int = Field(5, ge=0)


class Transformation(nn.Module):
    """h(f_o, s) for old embeddings (B, D_o) and side information s, which is f_o itself: (B, D_n).

    Two branches D_o → 2 D_o → 2 D_n, one for f_o and one for s, side by side into 4 D_n → inner → inner → D_n. Each
    layer but the last is linear, BatchNorm and ReLU.
    """

    def __init__(self, old_dim: int, dim: int, inner: int) -> None:
        super().__init__()
        self.stored = nn.Sequential(*_layer(old_dim, 2 * old_dim), *_layer(2 * old_dim, 2 * dim))
        self.side = nn.Sequential(*_layer(old_dim, 2 * old_dim), *_layer(2 * old_dim, 2 * dim))
        self.mixer = nn.Sequential(*_layer(4 * dim, inner), *_layer(inner, inner), nn.Linear(inner, dim))

    def forward(self, old: Tensor) -> Tensor:
        return self.mixer(torch.cat([self.stored(old), self.side(old)], dim=1))


def train_transformation(
    transformation: Transformation,
    loss: Callable[[Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
    pairs: int,
    params: TransformationParams,
) -> list[float]:
    """Minimise `loss`, of the pairs at rows (B,), as the authors' code does; the mean of each epoch.

    BatchNorm's statistics are those of the batch in the first half of the epochs, and stay as they are then.
    """

    def start_epoch(epoch: int) -> None:
        transformation.train(2 * epoch < params.epochs)

    settings = params.model_dump(include={"epochs", "batch_size", "lr", "weight_decay", "warmup"})
    means = minimise(loss, parameters, pairs, start_epoch=start_epoch, **settings)
    transformation.eval()
    return means


def _layer(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
