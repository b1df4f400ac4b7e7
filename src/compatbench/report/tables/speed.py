"""Speed measurements of a pytest-benchmark run, as a table."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from compatbench.errors import RequestError
from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit

_COLUMNS = (
    Column("name", "measurement", "The benchmark, with its parameters.", Unit.TEXT),
    Column("median_ms", "median ms", "Median time of one call, in milliseconds.", Unit.AMOUNT),
    Column("iqr_ms", "spread ms", "Interquartile range over the rounds, in milliseconds.", Unit.AMOUNT),
    Column("rounds", "rounds", "How often it was measured.", Unit.COUNT),
    Column("ratio", "ratio", "The ratio that the benchmark itself reports (`extra_info`).", Unit.TIMES),
    Column("details", "details", "What else the benchmark reports about itself.", Unit.TEXT),
)


def speed_table(path: Path) -> Table:
    """The table of the JSON of `pytest --benchmark-json`.

    Raises RequestError where the file is none. Nothing that names the machine is taken from it.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        entries = sorted(entries, key=lambda entry: entry["group"] or "")
        groups = tuple(
            Group(name or "speed", tuple(_row(entry) for entry in members))
            for name, members in groupby(entries, key=lambda entry: entry["group"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{path}: no pytest-benchmark JSON ({error!r}); write it with pytest --benchmark-json"
        ) from error
    return Table(
        name="speed",
        title="Speed",
        caption="Measured by pytest-benchmark in one run on one machine; compare times only within this table.",
        columns=_COLUMNS,
        groups=groups,
    )


def _row(entry: dict[str, Any]) -> Row:
    stats, extra = entry["stats"], dict(entry["extra_info"])
    ratio = extra.pop("ratio", None)
    details = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in extra.items()}
    return Row(
        {
            "name": TableCell(entry["name"]),
            "median_ms": TableCell(1000 * float(stats["median"])),
            "iqr_ms": TableCell(1000 * float(stats["iqr"])),
            "rounds": TableCell(int(stats["rounds"])),
            "ratio": TableCell(None if ratio is None else float(ratio)),
            "details": TableCell(", ".join(f"{key} {value}" for key, value in sorted(details.items())) or None),
        }
    )
