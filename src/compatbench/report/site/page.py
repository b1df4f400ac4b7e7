"""One self-contained HTML page a suite: it opens from a file and needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compatbench.report.plots.backfill_plot import backfill_caption
from compatbench.report.plots.heat_map import heat_map_caption
from compatbench.report.plots.pareto import plot_caption
from compatbench.report.render.table import Table
from compatbench.report.render.to_html import templates, to_html
from compatbench.report.site.chain_report import ChainReport
from compatbench.report.site.flip_files import FlipFiles
from compatbench.report.site.scenario_report import ScenarioReport


def render_page(
    title: str,
    introduction: str,
    reports: Sequence[ScenarioReport],
    overview: Table | None = None,
    speed: Table | None = None,
    flip_files: Mapping[str, Sequence[FlipFiles]] = {},
) -> str:
    """The page: all scenarios; of each a banner, the leaderboard with its plot, and all other tables; then speed.

    `flip_files`, by name of the scenario, are linked from the page and lie beside it.
    """
    sections = [
        {
            "name": report.scores.name,
            "title": report.title,
            "headline": report.banner.headline,
            "problems": report.banner.problems,
            "scores": to_html(report.scores),
            "plot": report.pareto_plot,
            "plot_caption": plot_caption(report.points),
            "chain": _chain(report.chain) if report.chain else None,
            "flips": to_html(report.flips),
            "flip_files": flip_files.get(report.scores.name, ()),
            "backfill": to_html(report.backfill) if report.backfill else None,
            "backfill_plot": report.backfill_plot,
            "backfill_caption": backfill_caption(),
            "thresholds": to_html(report.thresholds) if report.thresholds else None,
            "search": [to_html(table) for table in (report.recall, report.indexes) if table],
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
            overview=to_html(overview) if overview else None,
            sections=sections,
            needs=sorted(needs),
            speed=to_html(speed) if speed else None,
        )
    )


def _chain(chain: ChainReport) -> dict[str, str]:
    return {
        "numbers": to_html(chain.numbers),
        "matrix": to_html(chain.matrix),
        "steps": to_html(chain.steps),
        "heat_map": chain.heat_map,
        "caption": heat_map_caption(),
    }
