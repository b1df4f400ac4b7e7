"""A run's report in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from compatbench.report.render.table import Place, Table
from compatbench.report.render.terminal import print_table
from compatbench.report.rows.controls import Banner


def print_report(scenarios: Iterable[tuple[Table, Banner]], console: Console) -> None:
    """Print the main columns of every scenario's scores, and whether its controls behaved."""
    for scores, banner in scenarios:
        print_table(scores.narrow(Place.COMPACT), console)
        problems = banner.problems
        sign, style = ("✗", "bold red") if problems else ("✓", "green")
        console.print(Text(f"{sign} {banner.headline}", style=style), soft_wrap=True)
        for problem in problems:
            console.print(Text(f"  {problem}", style="red"), soft_wrap=True)
        console.print()
