"""A run's report in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from compatbench.report.render.table import Place
from compatbench.report.render.terminal import print_table
from compatbench.report.site.scenario_report import ScenarioReport


def print_report(reports: Iterable[ScenarioReport], console: Console) -> None:
    """Print the main columns of every scenario, and whether its controls did what they must."""
    for report in reports:
        print_table(report.scores.narrow(Place.COMPACT), console)
        problems = report.banner.problems
        sign, style = ("✗", "bold red") if problems else ("✓", "green")
        console.print(Text(f"{sign} {report.banner.headline}", style=style), soft_wrap=True)
        for problem in problems:
            console.print(Text(f"  {problem}", style="red"), soft_wrap=True)
        console.print()
