"""Rounds numbers for the page by the rules of the tables."""

from __future__ import annotations

from compatbench.report.render.table import Unit, number
from compatbench.report.render.to_csv import DECIMALS

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def shown(value: float | int | None, unit: Unit) -> float | int | None:
    """`value` with the digits of the tables."""
    if value is None:
        return None
    return _whole(float(number(value, unit).replace("−", "-").replace(",", "").lstrip("×")))


def sortable(value: float | None) -> float | int | None:
    """`value` as exactly as in CSV files, for rows to be sorted by."""
    return None if value is None else rounded(value, DECIMALS)


def rounded(value: float, decimals: int) -> float | int:
    """`value` with that many decimals; an integer if there are none left."""
    return _whole(float(f"{value:.{decimals}f}"))


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value
