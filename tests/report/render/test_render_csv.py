import csv
import io

import pandas as pd
import pytest

from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.render.to_csv import neutral, to_csv

COLUMNS = (Column("name", "name", "", Unit.TEXT), Column("x", "x", "", interval=True), Column("n", "n", "", Unit.COUNT))


def table(*rows: Row) -> Table:
    return Table("t", "T", "C", COLUMNS, (Group("G", rows),), {"†": "its own.", "‡": "short."})


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(A1)", "\t=1", "\n=1", "\r+1", " =1", "\x00=1"])
def test_formulas_are_neutralised(text):
    first = next(csv.reader(io.StringIO(to_csv(table(Row({"name": TableCell(text)}))).splitlines()[1])))[1]
    assert first.startswith("'")
    assert first[0] not in "=+-@\t\r"


def test_ordinary_text_and_negative_numbers_are_left_alone():
    assert neutral("bct(weight=2)") == "bct(weight=2)"
    assert next(csv.reader([to_csv(table(Row({"x": TableCell(-1.5)}))).splitlines()[1]]))[2] == "-1.5"


def test_pandas_reads_numbers_intervals_and_gaps():
    text = to_csv(
        table(
            Row(
                {
                    "name": TableCell('a,"b"\nc', marks=("†",)),
                    "x": TableCell(-0.0, -1.25, 1 / 3, bold=True),
                    "n": TableCell(7),
                }
            ),
            Row({"name": TableCell("d", marks=("‡", "†"))}),
        )
    )
    frame = pd.read_csv(io.StringIO(text))
    assert list(frame) == ["group", "name", "x", "x_low", "x_high", "n", "best", "notes"]
    assert frame.loc[0, ["name", "x", "x_low", "x_high", "n", "best"]].tolist() == [
        'a,"b" c',
        0,
        -1.25,
        0.333333,
        7,
        "x",
    ]
    assert frame.loc[1, ["x", "x_low", "x_high", "n", "best"]].isna().all()
    assert frame["notes"].tolist() == ["its own.", "short. its own."]
    assert "-0.0" not in text
