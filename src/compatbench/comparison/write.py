"""Writes a comparison: a JSON record, a self-contained page, and its tables as Markdown and CSV."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

from compatbench.comparison.backfill_tables import backfill_table, costs_table, sentences
from compatbench.comparison.comparison import Comparison, to_json
from compatbench.comparison.headline import headline
from compatbench.comparison.plot import CAPTION, gains_svg
from compatbench.comparison.tables import numbers_table, scores_table, thresholds_table
from compatbench.data.vectors.stores.address import Address
from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.report.render.table import Table
from compatbench.report.render.to_csv import to_csv
from compatbench.report.render.to_html import templates, to_html
from compatbench.report.render.to_markdown import escape, to_markdown
from compatbench.storage.files import write_files

TABLES: tuple[Callable[[Comparison], Table | None], ...] = (
    scores_table,
    costs_table,
    backfill_table,
    numbers_table,
    thresholds_table,
)
DEFAULT = Path("results/compare")


def new_folder(old: Path | Address, new: Path | Address) -> Path:
    """A folder of its own for a comparison, named by its files and the time."""
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    name = f"{old.stem}-{new.stem}-{now}"
    used = (DEFAULT / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(folder for folder in used if not folder.exists())


def prepare_folder(folder: Path, *, force: bool) -> Path:
    """The folder, without the comparison that was there.

    Raises RequestError where one is there and may not be replaced.
    """
    record = folder / "compare.json"
    if record.exists():
        if not force:
            raise RequestError(f"{folder} has a comparison already: name another folder by --output, or give --force")
        for path in (record, *(folder / "arrays").glob("*.parquet")):
            path.unlink()
    return folder


def write_comparison(comparison: Comparison, results: Mapping[str, QueryResults], folder: Path) -> list[Path]:
    """Write `compare.json`, `index.html`, `README.md` and the tables into `folder`, and return these files.

    Per-query results go to `arrays/`, under the hashes that the record names them by.
    """
    for outcome in comparison.outcomes:
        if outcome.name in results:
            outcome.arrays = results[outcome.name].write(folder / "arrays")
    made = [make(comparison) for make in TABLES]
    tables = [table for table in made if table is not None]
    title = f"Keep the index? {comparison.inputs.old} → {comparison.inputs.new}"
    contents = {
        "compare.json": to_json(comparison),
        "index.html": templates()
        .get_template("compare.html.j2")
        .render(
            title=title,
            comparison=comparison,
            tables=[to_html(table) for table in tables],
            names=[table.title for table in tables[1:]],
            figures=headline(comparison),
            remarks=[*comparison.verdict[1:], *sentences(comparison)],
            warnings=[notice for notice in comparison.notices if notice.kind == "index"],
            notices=[notice for notice in comparison.notices if notice.kind != "index"],
            plot=gains_svg(comparison),
            plot_caption=CAPTION.format(comparison.metric),
        ),
        "README.md": "\n\n".join(
            [
                f"# {escape(title)}",
                "\n".join(f"- {escape(line)}" for line in _lines(comparison)),
                *(to_markdown(table, heading="##").strip() for table in tables),
                f"Made by `{comparison.command}`",
            ]
        )
        + "\n",
        **{f"{table.name}.csv": to_csv(table) for table in tables},
    }
    return write_files(folder, contents)


def _lines(comparison: Comparison) -> list[str]:
    gates = [f"{'✓' if gate.met else '✗'} required: {gate.requirement}" for gate in comparison.gates]
    return [
        *comparison.verdict,
        *sentences(comparison),
        *gates,
        *(f"Note: {notice.text}" for notice in comparison.notices),
    ]
