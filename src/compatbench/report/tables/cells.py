"""Cells of estimates and of repeated measurements."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from compatbench.evaluation.estimate import Estimate
from compatbench.report.render.table import Column, TableCell


def points(estimate: Estimate, marks: tuple[str, ...] = ()) -> TableCell:
    """A fraction with its interval, in points."""
    return plain(estimate.in_points(), marks)


def plain(estimate: Estimate, marks: tuple[str, ...] = ()) -> TableCell:
    """A number with its interval, unscaled."""
    return TableCell(estimate.value, estimate.low, estimate.high, marks=marks)


def median_cell(values: Sequence[float], column: Column) -> TableCell:
    """The median of `values` and, if the column has intervals, the lowest and the highest."""
    if len(values) < 2 or not column.interval:
        return TableCell(median(values) if values else None)
    return TableCell(median(values), min(values), max(values))
