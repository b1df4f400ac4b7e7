"""Rounds numbers for the page by the rules of the tables, so that every place says the same."""

from __future__ import annotations

from compatbench.report.render.table import Unit

DECIMALS = {Unit.COUNT: 0, Unit.POINTS: 1, Unit.SHARE: 2, Unit.TIMES: 2}
_GROUPED_FROM = 100
"""Amounts from here on are written without decimals; below, with three significant digits."""

Number = float | int
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def shown(value: float | int | None, unit: Unit) -> Number | None:
    """`value` with the digits of `compatbench.report.render.table.number`, and no negative zero."""
    if value is None:
        return None
    if unit in DECIMALS:
        return rounded(value, DECIMALS[unit])
    return rounded(value, 0) if abs(value) >= _GROUPED_FROM else _whole(float(f"{value:.3g}"))


def rounded(value: float, decimals: int) -> Number:
    """`value` with that many decimals; an integer if there are none left."""
    return _whole(float(f"{value:.{decimals}f}"))


def _whole(value: float) -> Number:
    return int(value) if value.is_integer() else value
