"""A run's report in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from compatbench.report.render.table import Place, Table
from compatbench.report.render.terminal import print_table
from compatbench.report.rows.controls import ScenarioRows

EXPENDABLE = ("time", "nn", "phi", "oo")
"""Columns that a narrow terminal leaves out, the first one first."""


def print_report(overview: Table | None, scenarios: Iterable[tuple[Table, ScenarioRows]], console: Console) -> None:
    """Print all scenarios side by side, then the main columns of each one's scores with its banner."""
    if overview:
        print_table(overview.narrow(Place.COMPACT), console, expendable=("time", "tax"))
        console.print()
    for scores, found in scenarios:
        print_table(scores.narrow(Place.COMPACT), console, expendable=EXPENDABLE)
        banner = found.banner
        sign, style = ("✗", "bold red") if banner.problems else ("✓", "green")
        console.print(Text(f"{sign} {banner.headline}", style=style), soft_wrap=True)
        for problem in banner.problems:
            console.print(Text(f"  {problem}", style="red"), soft_wrap=True)
        for line in found.limits:
            console.print(Text(f"○ {line}"), soft_wrap=True)
        console.print()
