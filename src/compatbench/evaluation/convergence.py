"""Whether a training has converged, from its curves by epoch (protocol §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ACCURACY = 0.9
"""A model that classifies more than this share of its training images right has converged."""
CHANGE = 0.02
"""So has one whose accuracy, over the last third of the epochs, rose by less than this share of its end.

A schedule that ends at a rate of zero flattens every curve at its end, converged or not; a third is before that.
"""
THIRD, TENTH = 1 / 3, 0.1


def is_converged(losses: Mapping[str, Sequence[float]], accuracy: Sequence[float]) -> bool:
    """The gate: nearly all training images are classified right, or there is hardly any progress any more.

    `losses` are the mean of each term by epoch. They count for a method without a classifier, whose `accuracy`, the
    share of training images by epoch, is empty.
    """
    if accuracy:
        before, last = _ends(accuracy)
        return accuracy[-1] > ACCURACY or (before is not None and last - before < CHANGE * last)
    fall = loss_fall(losses)
    return fall is not None and fall < CHANGE


def verdicts(accuracy: Sequence[float], rounding: float) -> set[bool]:
    """What `is_converged` may say of the accuracy that these are rounded from, by up to `rounding`."""
    before_third = len(accuracy) * (1 - THIRD)
    courses = (
        [value + (before if epoch < before_third else last) for epoch, value in enumerate(accuracy)]
        for before in (-rounding, rounding)
        for last in (-rounding, rounding)
    )
    return {is_converged({}, course) for course in courses}


def loss_fall(losses: Mapping[str, Sequence[float]]) -> float | None:
    """By which share the sum of all terms fell over the last third of the epochs; None of fewer than three epochs."""
    total = [sum(terms) for terms in zip(*losses.values(), strict=True)]
    before, last = _ends(total)
    if before is None:
        return None
    return (before - last) / abs(before) if before else 0.0


def _ends(curve: Sequence[float]) -> tuple[float | None, float]:
    """Means of the tenths of the epochs that end before the last third, and at the end; of one epoch at least."""
    count = len(curve)
    if count < 3:
        return None, 0.0
    width = max(1.0, TENTH * count)
    return _mean(curve, count * (1 - THIRD) - width, count * (1 - THIRD)), _mean(curve, count - width, count)


def _mean(by_epoch: Sequence[float], start: float, end: float) -> float:
    """Mean from `start` to `end` in epochs, with parts of epochs at both ends."""
    weights = [max(0.0, min(end, epoch + 1) - max(start, epoch)) for epoch in range(len(by_epoch))]
    return sum(weight * value for weight, value in zip(weights, by_epoch, strict=True)) / (end - start)
