"""Oracle: markdown-it, an independent implementation of GitHub's tables."""

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from compatbench.errors import one_line
from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.render.to_markdown import escape, to_legend, to_markdown

ODD_TEXT = st.text(alphabet=st.sampled_from("ab1_*`[]()<>|~\\&#!\"'=+-@.:/ \n"), min_size=1, max_size=30)


class Cells(HTMLParser):
    """Texts of the table cells, and every tag that was seen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


def read(markdown: str) -> Cells:
    return Cells(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def table(label: str, cell: TableCell = TableCell(1.0)) -> Table:  # noqa: B008 - cells are immutable
    columns = (Column("name", "name", "Its name.", Unit.TEXT), Column("x", "x", "A number.", interval=True))
    return Table("t", "T", "C", columns, (Group("G", (Row({"name": TableCell(label), "x": cell}),)),), {"†": "its own"})


@settings(deadline=None)
@given(ODD_TEXT)
def test_any_label_is_read_back_as_plain_text(label):
    parsed = read(to_markdown(table(label)))
    assert parsed.cells == ["name", "x", "G", "", one_line(label) or "", "1.0"]
    assert {"a", "em", "code", "del", "b", "script", "img"}.isdisjoint(parsed.tags)


def test_cells_carry_bold_interval_and_marks():
    parsed = to_markdown(table("bct", TableCell(75.84, 75.1, 76.4, bold=True, marks=("n.s.",))))
    assert "| bct | **75.8** [75.1, 76.4] n.s. |" in parsed
    assert "† its own" in parsed


def test_words_with_inner_underscores_stay_readable():
    assert escape("bct_variant_1") == "bct_variant_1"
    assert escape("_x_") == r"\_x\_"


def test_legend_is_optional_and_explains_every_column():
    assert "A number." not in to_markdown(table("a"), legend=False)
    assert to_legend(table("a").columns) == "- **name**: Its name.\n- **x**: A number."
