"""A table as an HTML fragment; every text is escaped by the template engine."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compatbench.report.render.table import Table, interval, value


@cache
def templates() -> Environment:
    """The package's templates; they escape everything not marked as safe."""
    environment = Environment(
        loader=PackageLoader("compatbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(value=value, interval=interval, to_html=to_html)
    return environment


def to_html(table: Table) -> Markup:
    """`table` with caption, footnotes and column descriptions.

    Cells carry `data-sort` (a plain number, or text; absent where undefined) and rows `data-tags` (JSON), for
    the page's script. Without the script it is an ordinary table.
    """
    return Markup(templates().get_template("table.html.j2").render(table=table))
