import json
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.render.to_html import to_html

COLUMNS = (
    Column("name", "name", 'Its "name" <b>.', Unit.TEXT),
    Column("x", "x", "A number.", interval=True),
)


def table(label: str, cell: TableCell = TableCell(), tags: tuple[str, ...] = ()) -> Table:  # noqa: B008 - cells are immutable
    return Table(
        "t", "T", "C", COLUMNS, (Group("G", (Row({"name": TableCell(label), "x": cell}, tags),)),), {"†": "<own>"}
    )


class Page(HTMLParser):
    """Tags with their attributes, and the text of each table cell."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("<>&\"'/=` abscript{}%"), min_size=1, max_size=30))
def test_any_text_is_shown_as_text(label):
    page = Page(to_html(table(label, tags=(label,))))
    assert page.cells[0].rstrip("\n") == label.rstrip("\n")
    assert page.attributes("td")[0]["data-sort"] == label
    assert json.loads(page.attributes("tr")[-1]["data-tags"]) == [label]
    assert {tag for tag, _ in page.tags} <= {
        "div", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "b", "details", "summary", "dl",
        "dt", "dd", "span",
    }  # fmt: skip


def test_numbers_carry_their_sort_value_interval_and_marks():
    html = str(to_html(table("a", TableCell(75.84, 75.1, 76.4, bold=True, marks=("n.s.",)))))
    assert 'data-sort="75.84"><b>75.8</b><sup>n.s.</sup> <small>[75.1, 76.4]</small></td>' in html
    assert "<li><b>†</b> &lt;own&gt;</li>" in html


def test_undefined_numbers_have_no_sort_value():
    undefined = Page(to_html(table("a"))).attributes("td")[1]
    assert "data-sort" not in undefined


def test_headers_say_what_they_are():
    headers = Page(to_html(table("a"))).attributes("th")
    assert headers[0] == {"scope": "col", "class": "left name", "title": 'Its "name" <b>.'}
    assert headers[1]["class"] == "right"
    assert headers[2] == {"scope": "rowgroup", "colspan": "2"}
