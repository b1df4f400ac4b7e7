"""Mean of each loss term by epoch, and the first non-finite term."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from compatbench.errors import InvalidResultError


class LossLog:
    """Collects the terms of every step on the device; reading each one at once would wait for the device."""

    def __init__(self) -> None:
        self.curves: dict[str, list[float]] = {}
        """Mean of each term over the steps of each epoch; a step without the term counts as 0."""
        self._unseen: list[dict[str, Tensor]] = []
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._epochs = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """The scalar terms of one step."""
        self._unseen.append({name: value.detach() for name, value in terms.items()})

    def look(self) -> None:
        """Read the steps since the last call. Raises InvalidResultError at the first term that is not finite."""
        names = [(step, name) for step, terms in enumerate(self._unseen, self._steps + 1) for name in terms]
        values = torch.stack([value for terms in self._unseen for value in terms.values()]).tolist()
        for (step, name), value in zip(names, values, strict=True):
            if not math.isfinite(value):
                raise InvalidResultError(f"loss term '{name}' is {value} in epoch {self._epochs + 1}, step {step}")
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += len(self._unseen)
        self._unseen.clear()

    def end_epoch(self) -> None:
        """Close the curves' points of this epoch; every step has been looked at."""
        for name in [*self.curves, *(new for new in self._sums if new not in self.curves)]:
            curve = self.curves.setdefault(name, [0.0] * self._epochs)
            curve.append(self._sums.get(name, 0.0) / self._steps)
        self._sums.clear()
        self._steps = 0
        self._epochs += 1
