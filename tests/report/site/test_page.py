import json
from html.parser import HTMLParser

import pytest
from golden_case import EVIL, QUERIES, golden_records
from synthetic import add_curves

from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.site.write import render_page
from compatbench.vocabulary import Status

SCRIPT = "<script>alert(1)</script>"


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(golden):
    return render_page(SCRIPT, "Introduction & more", [golden])


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_names_from_outside_are_shown_as_text(page):
    assert len(page.all("script")) == 1  # the page's own
    assert page.text.count(SCRIPT) == 2  # title and heading
    assert EVIL in page.text
    assert "Introduction & more" in page.text


def test_the_page_loads_nothing(html, page):
    for tag in ("link", "img", "iframe", "object", "embed", "base"):
        assert not page.all(tag)
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name == "src" or name.endswith("href"):
                assert value.startswith("#"), (tag, name, value)
    assert "src" not in page.all("script")[0]
    assert "@import" not in html
    assert "url(http" not in html


def test_links_lead_to_sections_and_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        assert attributes["href"].removeprefix("#") in ids


def test_the_filter_offers_every_need_and_rows_carry_theirs(page):
    offered = [box["value"] for box in page.all("input") if box.get("name") == "need"]
    assert offered == ["old encoder", "old features", "own first generation"]
    tags = [json.loads(row["data-tags"]) for row in page.all("tr") if "data-tags" in row]
    assert {need for needs in tags for need in needs} == set(offered)


def test_the_banner_is_green_only_when_controls_behave(bench, html):
    assert 'class="banner green"' in html
    assert "controls as expected: independent, relational" in html
    records = [record for record in golden_records(bench) if record.spec.method.name != "independent"]
    red = render_page("t", "", scenario_reports(records, bench.folder))
    assert 'class="banner red"' in red
    assert "<li>independent: not among the records" in red


def test_all_tables_and_the_plot_are_there(page):
    assert len(page.all("table")) == 3
    assert len(page.all("svg")) == 1
    assert any(text.startswith("Update gain Γ against tax") for text in page.text)
    assert "extended_data on toy: flips" in page.text


def test_backfill_curves_are_there_where_records_hold_them(bench):
    records = golden_records(bench)
    for record in records:
        if record.status is Status.OK:
            add_curves(bench, record, "random", [[0.25, 0.5]] * QUERIES)
    page = Page(render_page("t", "", scenario_reports(records, bench.folder)))
    assert len(page.all("table")) == 4
    assert len(page.all("svg")) == 3, "a frame inside one of two clips its curves"
    assert "extended_data on toy: the course of the backfill" in page.text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_two_scenarios_do_not_share_ids(bench):
    records = golden_records(bench)
    for record in records[:]:
        other = record.model_copy(deep=True)
        other.spec.scenario = "other"
        records.append(other)
    page = Page(render_page("t", "", scenario_reports(records, bench.folder)))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(page.all("svg")) == 2
