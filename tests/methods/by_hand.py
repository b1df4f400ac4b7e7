"""The formulas of the field on plain Python lists, for tests: slow, and written apart from torch."""

from __future__ import annotations

import math

from torch import Tensor

Vector = list[float]


def rows(matrix: Tensor) -> list[Vector]:
    return matrix.detach().double().tolist()


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def norm(a: Vector) -> float:
    return math.sqrt(dot(a, a))


def unit(a: Vector) -> Vector:
    return [x / norm(a) for x in a]


def cosine(a: Vector, b: Vector) -> float:
    return dot(a, b) / (norm(a) * norm(b))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def mean_vector(vectors: list[Vector]) -> Vector:
    return [mean(list(column)) for column in zip(*vectors, strict=True)]


def log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def cross_entropy(logits: Vector, target: int) -> float:
    return log_sum_exp(logits) - logits[target]


def posterior(logits: Vector, temperature: float = 1.0) -> Vector:
    exponentials = [math.exp(z / temperature) for z in logits]
    return [value / sum(exponentials) for value in exponentials]


def arcface(features: list[Vector], class_rows: list[Vector], labels: list[int], scale: float, margin: float) -> float:
    """Mean cross-entropy with the margin on the target's angle, and its continuation past π."""
    losses = []
    for f, y in zip(features, labels, strict=True):
        cosines = [cosine(f, row) for row in class_rows]
        angle = math.acos(cosines[y]) + margin
        shifted = math.cos(angle) if angle < math.pi else cosines[y] - margin * math.sin(margin)
        losses.append(cross_entropy([scale * (shifted if c == y else s) for c, s in enumerate(cosines)], y))
    return mean(losses)
