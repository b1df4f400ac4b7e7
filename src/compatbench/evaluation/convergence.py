"""Whether a training has converged, from its curves by epoch (protocol §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FALL = 0.05
"""A loss that falls by less than this share over the last tenth of the steps has converged."""
ACCURACY = 0.9
"""So has a model that classifies more than this share of its training images right."""
TENTH = 0.1


def is_converged(losses: Mapping[str, Sequence[float]], accuracy: Sequence[float]) -> bool:
    """The gate: the loss hardly falls any more, or nearly all training images are classified right.

    `losses` are the mean of each term by epoch, `accuracy` the share of training images by epoch, empty for a method
    without a classifier.
    """
    fall = loss_fall(losses)
    return bool(accuracy and accuracy[-1] > ACCURACY) or (fall is not None and fall < FALL)


def loss_fall(losses: Mapping[str, Sequence[float]]) -> float | None:
    """By which share the sum of all terms fell over the last tenth of the steps; None for a single epoch.

    From the tenth before to the last one, as means over their epochs. Of fewer than ten epochs, the fall from the last
    but one to the last counts in proportion to a tenth of the steps.
    """
    total = [sum(terms) for terms in zip(*losses.values(), strict=True)]
    if len(total) < 2:
        return None
    tenth = TENTH * len(total)
    width = max(tenth, 1.0)
    end = float(len(total))
    before, last = _mean(total, end - 2 * width, end - width), _mean(total, end - width, end)
    return (before - last) / abs(before) * tenth / width if before else 0.0


def _mean(by_epoch: Sequence[float], start: float, end: float) -> float:
    """Mean from `start` to `end` in epochs, with parts of epochs at both ends."""
    weights = [max(0.0, min(end, epoch + 1) - max(start, epoch)) for epoch in range(len(by_epoch))]
    return sum(weight * value for weight, value in zip(weights, by_epoch, strict=True)) / (end - start)
