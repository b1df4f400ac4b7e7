import pytest

from compatbench.errors import one_line
from compatbench.report.render.table import Column, Group, Place, Row, Table, TableCell, Unit, interval, number, value


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (75.84, Unit.POINTS, "75.8"),
        (-1.25, Unit.POINTS, "−1.2"),  # half to even
        (-0.04, Unit.POINTS, "0.0"),
        (-0.05001, Unit.POINTS, "−0.1"),
        (0.477, Unit.SHARE, "0.48"),
        (-5.4, Unit.SHARE, "−5.40"),
        (-0.004, Unit.SHARE, "0.00"),
        (1.3, Unit.TIMES, "×1.30"),
        (1234567, Unit.COUNT, "1,234,567"),
        (0, Unit.COUNT, "0"),
        (0.012345, Unit.AMOUNT, "0.0123"),
        (50.0, Unit.AMOUNT, "50"),
        (12345.6, Unit.AMOUNT, "12,346"),
    ],
)
def test_numbers_are_written_in_their_unit(amount, unit, text):
    assert number(amount, unit) == text


def test_values_and_intervals():
    assert value(TableCell(), Unit.POINTS) == "–"
    assert value(TableCell("bct"), Unit.TEXT) == "bct"
    assert value(TableCell(0.0), Unit.POINTS) == "0.0"
    assert interval(TableCell(75.84, 75.06, 76.4), Unit.POINTS) == "[75.1, 76.4]"
    assert interval(TableCell(1.0, None, 2.0), Unit.POINTS) == ""


def test_one_line_drops_line_breaks_and_control_characters():
    assert one_line(" a\n b\tc\x07d\u202ee ") == "a b c d e"


def test_a_narrow_place_shows_its_columns_and_the_page_puts_some_first():
    columns = (
        Column("a", "a", "a", places=(Place.COMPACT,)),
        Column("b", "b", "b", order=2),
        Column("c", "c", "c", places=(Place.README, Place.COMPACT), order=1),
    )
    table = Table("t", "t", "c", columns, (Group("g", (Row({"a": TableCell(1), "c": TableCell(3)}),)),))
    narrow = table.narrow(Place.COMPACT)
    assert [column.key for column in narrow.columns] == ["a", "c"]
    assert [narrow.groups[0].rows[0].cell(column).value for column in narrow.columns] == [1, 3]
    assert [column.key for column in table.narrow(Place.README).columns] == ["c"]
    assert [column.key for column in table.in_page_order().columns] == ["c", "b", "a"]
    assert table.groups[0].rows[0].cell(columns[1]) == TableCell()
