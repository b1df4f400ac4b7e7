import io

import pytest
from golden_case import EVIL
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from compatbench.report.site.terminal import print_report

NAMES = ["status quo", "independent", "good", "own †", "varied", "weak", "short ‡", "narrow", EVIL, "relational"]


def printed(golden, *, terminal: bool, width: int) -> str:
    file = io.StringIO()
    print_report(None, [(golden.scores, golden)], Console(file=file, force_terminal=terminal, width=width))
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_terminal_shows_every_row_within_its_width(golden, width):
    text = printed(golden, terminal=True, width=width)
    lines = Text.from_ansi(text).plain.splitlines()
    for name in NAMES:
        assert any(line[5:].strip().startswith(name) for line in lines), name
    assert all(cell_len(line) <= width for line in lines)
    good = next(line for line in lines if " good " in line).split()
    numbers = ["1", "good", "0.60", "0.50", "0.75", "−12.5", "25.0", "50.0", "62.5", "compatible", "×2.00"]
    if width >= 100:
        assert good == numbers
    else:
        assert good == [one for one in numbers if one not in ("×2.00", "62.5")], "left out where they do not fit"


def test_reasons_become_footnotes(golden):
    lines = printed(golden, terminal=False, width=100).splitlines()
    assert next(line for line in lines if " narrow " in line).split()[-3:] == ["skipped", "²", "–"]
    assert "² needs 9 dimensions, not 8" in lines


def test_elsewhere_the_text_is_plain_and_no_row_is_broken(golden):
    text = printed(golden, terminal=False, width=60)
    assert "\x1b" not in text
    lines = text.splitlines()
    for name in NAMES:
        assert sum(line.lstrip(" –123").startswith(f"{name} ") for line in lines) == 1, name
    assert "varied" in next(line for line in lines if "undecided" in line)
    assert "✓ controls as expected: independent, relational" in lines
    assert any(line.startswith("‡ fewer seeds") for line in lines)


def test_a_pipe_gets_no_line_of_a_table_beyond_a_hundred_columns(golden):
    lines = printed(golden, terminal=False, width=300).splitlines()
    rows = [line for line in lines if any(f" {name} " in line for name in NAMES)]
    assert len(rows) >= len(NAMES)
    assert max(map(cell_len, rows)) <= 100
    good = next(line for line in lines if " good " in line)
    assert "62.5 *" in good or "**" not in good
    assert "* not significantly below the best of its column (*)." in lines


def test_markup_in_names_is_text(golden):
    from dataclasses import replace

    from compatbench.report.render.table import Group, Row, TableCell

    row = Row({"method": TableCell("[bold red]x[/]")})
    named = replace(golden, tables={"scores": replace(golden.scores, groups=(Group("[red]", (row,)),))})
    for terminal in (True, False):
        text = printed(named, terminal=terminal, width=120)
        assert "[bold red]x[/]" in text
        assert "[red]" in text
