"""One self-contained HTML page a suite: it opens from a file and needs no network."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.plots import pareto_svg, plot_caption
from compatbench.report.render_html import templates, to_html
from compatbench.report.scenario_report import ScenarioReport
from compatbench.report.tables import Table


def render_page(title: str, introduction: str, reports: Sequence[ScenarioReport], speed: Table | None = None) -> str:
    """The page: a banner, the leaderboard, the Pareto plot and the costs of each scenario, then speed measurements."""
    sections = [
        {
            "name": report.scores.name,
            "title": report.title,
            "headline": report.banner.headline,
            "problems": report.banner.problems,
            "scores": to_html(report.scores),
            "plot": pareto_svg(report.points, f"plot-{report.scores.name}"),
            "plot_caption": plot_caption(report.points),
            "costs": to_html(report.costs),
        }
        for report in reports
    ]
    needs = {tag for report in reports for group in report.scores.groups for row in group.rows for tag in row.tags}
    return (
        templates()
        .get_template("page.html.j2")
        .render(
            title=title,
            introduction=introduction,
            sections=sections,
            needs=sorted(needs),
            speed=to_html(speed) if speed else None,
        )
    )
