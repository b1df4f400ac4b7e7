import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from page_case import EVIL, ITEMS, QUERY, page_board, page_records, picture, pictures
from synthetic import Bench

from compatbench.errors import RequestError
from compatbench.report.rows.runs import file_of, packed_file_of
from compatbench.report.site import leaderboard_page as page_module
from compatbench.report.site.board import Board
from compatbench.report.site.leaderboard_page import MOST_BYTES, leaderboard_page, script_json
from compatbench.report.site.page_data import packing
from compatbench.report.site.page_data.packing import packed, unpacked
from compatbench.report.site.page_data.pictures import ChosenExamples
from compatbench.report.site.page_data.terms import Terms


class Page(HTMLParser):
    """Tags with their attributes, and the text of every script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[str, str]] = []
        self.inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag in ("script", "style")
        if self.inside:
            self.blocks.append((tag, ""))

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.blocks[-1] = (self.blocks[-1][0], self.blocks[-1][1] + data)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    return Bench(tmp_path_factory.mktemp("arrays"))


@pytest.fixture(scope="module")
def board(bench) -> Board:
    return page_board(bench)


@pytest.fixture(scope="module")
def html(board) -> str:
    """The page with its packed parts as text."""
    return unpacked(leaderboard_page(board, pictures()))


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def data(page) -> dict:
    return json.loads(page.blocks[1][1])


@pytest.fixture(scope="module")
def scenario(data) -> dict:
    return next(one for one in data["scenarios"] if (one["suite"], one["scenario"]) == ("synthetic", "extended_data"))


def test_the_page_may_load_and_run_nothing_but_itself(html, page):
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    (_, style), _, (_, plots), (_, script) = page.blocks
    assert rules["style-src"] == _hash(style)
    assert rules["script-src"] == _hash(script)
    for tag, attributes in (*page.tags, *Page(plots).tags):
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        if tag not in ("a", "link"):
            assert not {"src", "href", "action", "srcset"} & set(attributes)
    assert [attributes["href"] for tag, attributes in page.tags if tag == "link"] == ["data:,"]
    assert "@import" not in html
    assert "url(" not in style


def test_texts_of_records_stay_data(html, page, data):
    assert [tag for tag, _ in page.blocks] == ["style", "script", "script", "script"]
    assert EVIL not in html
    assert EVIL in json.dumps(data, ensure_ascii=False)
    hostile = {"a": "</script><!--<script>&\u2028", "b": [float("nan"), float("inf"), 1.5]}
    text = script_json(hostile)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": hostile["a"], "b": [None, None, 1.5]}


def test_equal_records_give_equal_bytes(board, html):
    again = leaderboard_page(board, pictures())
    assert again == leaderboard_page(board, pictures())
    assert unpacked(again) == html
    assert len(again) < len(html) / 2


def test_no_number_has_the_last_bits_in_which_processors_differ(data):
    floats = _floats({name: data[name] for name in ("scenarios", "suites")})
    long = [one for one in floats if one != round(one, 6)]
    assert len(floats) > 100
    assert not long


def test_a_packed_part_takes_no_more_memory_than_a_page_needs() -> None:
    page = '<script type="text/plain" id="data">{}</script>'
    assert unpacked(page.format(packed("<b>"))) == page.format("<b>")
    for part in (packed("x" * (packing.MOST_BYTES + 1)), packed("some text")[:-8], "eA=="):
        with pytest.raises(ValueError, match=r"cut off|incorrect|incomplete"):
            unpacked(page.format(part))


def test_every_record_is_linked_from_its_row(board, data):
    for suite in board.suites:
        for report in suite.reports:
            (shown,) = (
                one
                for one in data["scenarios"]
                if (one["suite"], one["scenario"]) == (suite.name, report.runs.scenario)
            )
            for row, told in zip(report.rows, shown["rows"], strict=True):
                assert told["label"] == row.label
                assert [one[2] for one in told["records"]] == [packed_file_of(record) for record in row.runs.records]
                assert [one[3] for one in told["records"]] == [record.command for record in row.runs.records]


def test_numbers_of_a_row_are_those_of_the_formulas(scenario):
    row = next(one for one in scenario["rows"] if one["label"] == "strong")
    assert row["seeds"] == [[seed, 25, 62.5, 62.5, 75, 0.75, -12.5] for seed in range(3)]
    assert row["papers"] == [["2003.11942", "https://arxiv.org/abs/2003.11942"]]
    assert row["losses"][0] == {
        "1": {"classification": [2.0, 1.0], "influence": [1.5, None]}
    }  # the old model is shared


def test_backbones_are_told_oldest_first(data):
    told = {(one["scenario"], one["backbones"]) for one in data["scenarios"]}
    assert told == {("extended_data", "small"), ("backbone", "small → large")}


def test_every_column_has_a_definition(data, page):
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert len(data["columns"]) > 20
    assert {anchor for *_, anchor in data["columns"]} <= anchors
    assert set(data["terms"].values()) <= anchors


def test_terms_of_one_name_and_two_meanings_are_two():
    terms = Terms()
    first, again, second = terms.define("ΔΓ", "one"), terms.define("ΔΓ", "one"), terms.define("ΔΓ", "two")
    assert first == again == "term-deltagamma"
    assert second == "term-deltagamma-2"


@pytest.mark.parametrize("warning", ["controls", "outdated", "left out", "protocol"])
def test_the_banner_is_red(board, warning):
    sound = board.suites[1]
    quiet = _quiet(sound)
    assert Board((quiet,)).warnings == ()
    assert 'id="banner"' not in leaderboard_page(Board((quiet,)), {})
    records = quiet.reports[0].rows[0].runs.records
    changed = {
        "controls": Board((sound,)),
        "outdated": Board((replace(quiet, outdated={file_of(records[0]): ("the source of method 'x' changed",)}),)),
        "left out": Board((replace(quiet, left_out=(records[0],)),)),
        "protocol": Board((replace(quiet, older={1: 2}),)),
    }[warning]
    html = _banner(changed)
    assert changed.warnings
    for line in changed.warnings:
        assert re.sub(r"[^\w ]", "", line)[:40] in re.sub(r"&#?\w+;|[^\w ]", "", html)


def test_a_page_that_would_be_too_large_is_refused(board, monkeypatch):
    monkeypatch.setattr(page_module, "MOST_BYTES", 50_000)
    with pytest.raises(RequestError, match=r"the page would have [\d,]+ bytes, more than 50,000"):
        leaderboard_page(board, {})


def test_pictures_take_what_room_there_is(bench, html):
    assert len(html.encode()) < MOST_BYTES
    records = page_records(bench)
    whole = ChosenExamples(records, pictures(), 10_000)
    strong = [record for record in records if record.spec.method.label == "strong"]
    (sheet,) = whole.sheets([one for one in strong if one.spec.scenario == "extended_data"])
    *generations, query, old, _, new = sheet
    assert generations == ["1", "0"]
    assert [whole.pictures[number][1] for number in (query, *old[0][:-1])] == [QUERY, *ITEMS[:-1]]
    assert old[0][-1] is None  # of the last item there is no picture
    assert new[1] == [1, 0, 1, 1, 0]
    assert whole.left_out == 0
    assert len(whole.pictures) == 5  # each once, though two scenarios show them
    address = whole.pictures[query][2]
    assert base64.b64decode(address.removeprefix("data:image/webp;base64,")) == picture(QUERY)
    small = ChosenExamples(records, pictures(), 200)
    assert (small.pictures, small.left_out) == ([], 2)
    assert small.sheets(strong) == []


def _floats(value: object) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for one in value for found in _floats(one)]
    return [value] if isinstance(value, float) else []


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _banner(board: Board) -> str:
    html = leaderboard_page(board, {})
    return html[html.index('<ul class="banner red" id="banner"') : html.index('<section id="terms"')]


def _quiet(suite):
    """The suite without the scenario whose control misbehaves."""
    return replace(suite, reports=tuple(one for one in suite.reports if not one.banner.problems))
