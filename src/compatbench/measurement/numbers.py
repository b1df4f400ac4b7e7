"""Estimates as metrics of a record."""

from __future__ import annotations

from typing import Any

from compatbench.evaluation.estimate import Estimate
from compatbench.records.parts import Metric


def metric(name: str, at: tuple[str, str], number: Estimate, n: int, **details: Any) -> Metric:
    """`number` of the matrix entry `at`, over `n` queries; `details` are further fields of a metric."""
    return Metric(
        name=name,
        query_generation=at[0],
        gallery_generation=at[1],
        value=number.value,
        ci_low=number.low,
        ci_high=number.high,
        n=n,
        **details,
    )
