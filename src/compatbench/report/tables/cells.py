"""Cells of estimates."""

from __future__ import annotations

from compatbench.evaluation.estimate import Estimate
from compatbench.report.render.table import Cell


def points(estimate: Estimate, marks: tuple[str, ...] = ()) -> Cell:
    """A fraction with its interval, in points."""
    return plain(estimate.in_points(), marks)


def plain(estimate: Estimate, marks: tuple[str, ...] = ()) -> Cell:
    """A number with its interval, as it is."""
    return Cell(estimate.value, estimate.low, estimate.high, marks=marks)
