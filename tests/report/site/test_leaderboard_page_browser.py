"""The leaderboard's page in a real browser: what a reader can do with it, and what it must never do."""

from __future__ import annotations

import csv
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from page_case import EVIL, METHODS, page_board, pictures
from synthetic import Bench

from compatbench.report.render.table import interval, value
from compatbench.report.site.board import Board
from compatbench.report.site.leaderboard_page import leaderboard_page, script_json
from compatbench.report.site.page_data.packing import packed, unpacked

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no playwright: `make setup` installs it with the group dev"
)
BY_LEAGUE = ["strong", EVIL, "weak", "broken", "narrow", "rewriter", "twice", "own"]
NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Board:
    return page_board(Bench(tmp_path_factory.mktemp("arrays")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, board) -> Path:
    results = tmp_path_factory.mktemp("results")
    (results / "index.html").write_text(leaderboard_page(board, pictures()), encoding="utf-8")
    return results


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium` brings one")
    with playwright.sync_playwright() as driver:
        # without the sandbox, which a browser that root starts in a container does not get
        chromium = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, browser, address: str, **options) -> None:
        self.context = browser.new_context(**{"viewport": DESK, **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("#overview-table")

    def requests(self) -> list[str]:
        return [address for address in self.asked if not address.startswith("data:")]


@pytest.fixture
def opened(browser, folder) -> Iterator[object]:
    """Opens the page from its file; at the end no test has left an error or a request behind."""
    address = (folder / "index.html").as_uri()
    pages: list[Opened] = []

    def open_page(part: str = "", **options) -> Opened:
        pages.append(Opened(browser, address + part, **options))
        return pages[-1]

    yield open_page
    for one in pages:
        assert one.said == []
        assert {url.partition("#")[0] for url in one.requests()} == {address}
        one.context.close()


def names(page, group: str = "method") -> list[str]:
    return page.locator(f"#table tbody.{group} tr.row:visible th.name").all_inner_texts()


def to_scenario(page, name: str) -> None:
    page.locator("#picker button", has_text=name.replace("_", " ")).click()


def show_all(page, table: str) -> None:
    chooser = page.locator(f'details.columns[data-of="{table}"]')
    chooser.locator("summary").click()
    for key in page.locator(f'details.columns[data-of="{table}"] input:not(:checked)').evaluate_all(
        "boxes => boxes.map((one) => one.value)"
    ):
        chooser.locator(f'input[value="{key}"]').check()


def overview(page) -> dict[str, list[str]]:
    """The cells of each line by its name, without marks."""
    return {
        name.rstrip("†"): cells
        for name, cells in page.locator("#overview-table tbody tr:not(.group)").evaluate_all(
            "all => all.map((one) => [one.querySelector('th').innerText, [...one.cells].map((cell) => cell.innerText)])"
        )
    }


def test_every_cell_is_written_as_in_the_other_tables(opened, board):
    page = opened("#/synthetic/extended_data").page
    report = next(one for one in board.suites[1].reports if one.runs.scenario == "extended_data")
    for name, table in (
        ("Compatibility", report.scores),
        ("Flips", report.tables["flips"]),
        ("Costs", report.tables["costs"]),
    ):
        page.locator("#table-choice button", has_text=name).first.click()
        show_all(page, name)
        heads = [text.replace("\u200b", "") for text in page.locator("#table thead button.sort").all_inner_texts()]
        columns = {column.title: column for column in table.columns if not column.key.startswith("rank_")}
        assert sorted(heads) == sorted(columns), "one column has the rank by the reader's choice"
        shown = page.locator("#table tbody tr:not(.group)").evaluate_all(
            "lines => lines.map((line) => [...line.cells].map((cell) => cell.innerText))"
        )
        rows = [row for group in table.groups for row in group.rows]
        assert len(shown) == len(rows)
        compared = 0
        for cells, row in zip(shown, rows, strict=True):
            if len(cells) < len(heads):  # a row that has a reason in place of numbers
                assert value(row.cell(columns["verdict"]), columns["verdict"].unit) in cells[-1]
                continue
            for text, head in zip(cells, heads, strict=True):
                column = columns[head]
                if head in ("verdict", "ordered"):
                    continue  # said with signs
                assert value(row.cell(column), column.unit) in text
                assert interval(row.cell(column), column.unit) in text
                compared += 1
    assert compared > 20


def test_rows_are_sorted_by_the_column_that_is_clicked(opened):
    page = opened("#/synthetic/extended_data").page
    assert [name.rstrip("†") for name in names(page)] == BY_LEAGUE
    cross = page.locator("#table thead th", has_text="M(n,o)").first
    head = page.locator("#table thead th").nth(
        page.locator("#table thead th").all_inner_texts().index(cross.inner_text())
    )
    head.locator("button.sort").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.textContent") == "M(n,o)"
    assert [name.rstrip("†") for name in names(page)] == BY_LEAGUE
    head.locator("button.sort").click()
    assert head.get_attribute("aria-sort") == "ascending"
    turned = ["weak", EVIL, "strong", *BY_LEAGUE[3:]]  # within the leagues; undefined stays last
    assert [name.rstrip("†") for name in names(page)] == turned
    assert names(page, "reference") == ["independent"]  # in groups of their own, whatever the order
    assert names(page, "control") == ["relational"]


def test_the_reader_chooses_the_number_that_ranks(opened):
    """The last one by A and Γ has Φ = 1, the others 0.75, and Γ decides between them."""
    page = opened("#/synthetic/extended_data").page

    def ranks(first: int = 3) -> list[tuple[str, str]]:
        cells = page.locator("#table tbody.method tr.row").evaluate_all(
            "lines => lines.map((line) => [line.cells[0].innerText, line.querySelector('th').innerText])"
        )
        return [(rank, name) for rank, name in cells][:first]

    assert ranks() == [("1", "strong"), ("2", EVIL), ("3", "weak")]
    assert "25.0\n[25.0, 25.0]" in page.locator("#table tr.fixed td").all_inner_texts(), "M(o,o) of the status quo"
    assert page.locator("#answers .caption").first.inner_text().startswith("By A, over all rows")
    page.select_option("#rank-by", "Φ")
    assert ranks() == [("1", "weak"), ("2", "strong"), ("3", EVIL)]
    assert "mean Φ" in page.locator("#overview-table thead").inner_text()
    assert "0.75\n[0.75, 0.75]" in [cell.replace(" n.s.", "") for cell in overview(page)["strong"]]
    page.select_option("#rank-by", "Γ")
    assert ranks() == [("1", "strong"), ("2", EVIL), ("3", "weak")]


@pytest.mark.parametrize(
    ("filter_name", "needs"),
    [
        ("no old model at training time", {"old encoder", "old classifier", "old features", "old weights"}),
        ("no second encoder online", {"both encoders online"}),
        ("gallery untouched", {"gallery rewrite"}),
    ],
)
def test_filters_keep_the_methods_that_do_without(opened, filter_name, needs):
    page = opened("#/synthetic/extended_data").page
    page.get_by_role("checkbox", name=filter_name).check()
    kept = [label for label, (_, own) in METHODS.items() if not needs & set(own)]
    assert 0 < len(kept) < len(METHODS)
    assert [name.rstrip("†") for name in names(page)] == [
        name for name in BY_LEAGUE if name in kept or name in ("broken", "narrow")
    ]
    gone = set(METHODS) - set(kept)
    drawn = set(
        page.locator("#pareto-body g[data-label]:visible").evaluate_all("all => all.map((one) => one.dataset.label)")
    )
    assert drawn
    assert not drawn & gone
    assert not set(overview(page)) & gone, "the search and the filters reach the overview"
    assert {"status quo", "full backfill"} <= set(overview(page))


def test_ranks_and_bold_are_those_of_the_rows_shown(opened):
    page = opened("#/synthetic/extended_data").page
    assert [overview(page)[name][0] for name in ("strong", EVIL, "weak")] == ["1", "2", "3"], "weak is in all counted"
    page.get_by_label("Find rows").fill("ALERT(1)")
    assert list(overview(page)) == ["status quo", "full backfill", EVIL]
    assert overview(page)[EVIL][0] == "1"
    assert names(page) == [EVIL, "broken"], "its reason has the word too"
    assert page.locator("#table tbody.method tr.row td").first.inner_text() == "1"
    assert "3 of 12 rows shown" in page.locator("#overview-body .tools").inner_text()
    assert not page.locator("p.none").count()
    page.get_by_label("Find rows").fill("nobody")
    assert page.locator("#overview-body p.none").inner_text() == "No row matches what you chose above."


def test_leagues_are_tabs(opened):
    page = opened("#/synthetic/extended_data").page
    page.locator("#leagues button", has_text="Two encoders").click()
    assert [name for name in overview(page) if name in METHODS] == ["twice"]
    assert names(page) == ["twice"]
    assert page.locator("#answers li").first.inner_text() == "twice"
    assert "league=two+encoders" in page.evaluate("location.hash")


def test_the_reason_of_a_row_that_did_not_run_covers_no_other_cell(browser, folder):
    """Where a suite was timed, such a row has a training time too."""
    text = unpacked((folder / "index.html").read_text())
    before, rest = text.split('<script type="text/plain" id="data">')
    raw, after = rest.split("</script>", 1)
    data = json.loads(raw)
    columns, groups = (data["scenarios"][0]["tables"][0][1][key] for key in ("columns", "groups"))
    place = next(at for at, number in enumerate(columns) if data["columns"][number][0] == "time")
    (cells,) = (one for _, lines in groups for _, one in lines if "narrow" in (one[0], one[1]))
    cells[place] = 1.5
    address = folder / "timed.html"
    plots = re.search(r'id="plots">(.*?)</script>', after, re.DOTALL)[1]
    after = after.replace(plots, packed(plots))
    address.write_text(f'{before}<script type="text/plain" id="data">{packed(script_json(data))}</script>{after}')
    one = Opened(
        browser, address.as_uri() + "#/" + "/".join(data["scenarios"][0][key] for key in ("suite", "scenario"))
    )
    line = one.page.locator("#table tr.row", has_text="narrow")
    assert line.locator("td.why").inner_text() == "skipped: needs 9 dimensions, not 8"
    assert line.locator("td").count() == 2, "the rank, and the reason across all else"
    assert one.said == []
    one.context.close()


def test_the_address_has_all_choices(opened):
    """Tab, league, search, filters, ranking, sorting and columns: another reader sees the same."""
    first = opened("#/synthetic/backbone").page
    first.select_option("#rank-by", "Γ")
    first.get_by_label("Find rows").fill("old")
    first.get_by_role("checkbox", name="no second encoder online").check()
    first.locator("#leagues button", has_text="Index untouched").click()
    first.locator("#table-choice button", has_text="Costs").click()
    first.locator("#overview-table th[data-key=tax] button.sort").click()
    first.locator('details.columns[data-of="overview"] summary').click()
    first.locator('details.columns[data-of="overview"] input[value="needs"]').uncheck()
    shown = (
        "['answers', 'leagues', 'overview-body', 'tables'].map((id) => document.getElementById(id).innerText).join('')"
    )
    hide = "document.querySelectorAll('details.columns').forEach((one) => { one.open = false; })"
    first.evaluate(hide)
    second = opened(first.evaluate("location.hash")).page
    assert second.evaluate(shown) == first.evaluate(shown)
    assert second.get_by_label("Find rows").input_value() == "old"
    assert "needs" not in second.locator("#overview-table thead").inner_text()
    assert second.locator("#overview-table th[data-key=tax]").get_attribute("aria-sort") == "descending"


def test_a_table_can_be_taken_away(opened, browser):
    page = opened("#/synthetic/extended_data").page
    with page.expect_download() as found:
        page.locator("#overview-body .exports button", has_text="CSV").click()
    lines = list(csv.DictReader(Path(found.value.path()).read_text().splitlines()))
    strong = next(line for line in lines if line["method"] == "strong")
    assert (strong["group"], strong["rank"], strong["mean"], strong["extended_data"]) == (
        "Index untouched", "1", "0.75", "37.5",
    )  # fmt: skip
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for name, parts in {
        "LaTeX": [r"\toprule", r"\multicolumn", "strong"],
        "BibTeX": ["@software{compatbench", "eprint = {2003.11942}"],
        "Copy link": ["#/synthetic/extended_data"],
    }.items():
        page.locator("#tables .exports button", has_text=name).click()
        page.locator("#tables .exports output", has_text="copied").wait_for()
        text = page.evaluate("navigator.clipboard.readText()")
        assert all(one in text for one in parts), text


def test_two_rows_stand_side_by_side(opened):
    page = opened("#/synthetic/extended_data/strong").page
    page.get_by_label("Compare with").select_option("weak")
    table = page.get_by_role("region", name="Two rows side by side")
    assert table.locator("thead th").all_inner_texts() == ["number", "strong", "weak"]
    cross = table.locator("tbody tr", has_text="M(n,o)").first.locator("td").all_inner_texts()
    assert [cell.split("\n")[0] for cell in cross] == ["62.5", "12.5"]
    assert "beside=weak" in page.evaluate("location.hash")


def test_a_question_mark_opens_the_definition(opened):
    page = opened().page
    page.get_by_role("button", name="what mean tax means").click()
    tip = page.locator("#tip")
    assert "M(n,n) − M(*,*)" in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_an_upgrade_is_told_in_plain_words(opened):
    page = opened("#/synthetic/backbone").page
    assert "another encoder (small → large)" in page.locator("#scenario-head").inner_text()


def test_the_picker_leads_to_every_scenario(opened):
    page = opened().page
    seen = set()
    for title, suite in (("Plain numbers", "synthetic"), ("The zoo", "other")):
        page.locator("#suites button", has_text=title).click()
        for scenario in ("extended_data", "backbone"):
            to_scenario(page, scenario)
            assert page.evaluate("location.hash") == f"#/{suite}/{scenario}"
            assert f"{scenario} on" in page.locator("#table caption").inner_text()
            seen.add(page.evaluate("location.hash"))
    assert len(seen) == 4


def test_the_name_of_a_suite_is_an_address(opened, board):
    for suite in board.suites:
        page = opened(f"#/{suite.name}").page
        assert page.locator("#suites [aria-pressed=true]").inner_text() == suite.title
        assert f"{suite.reports[0].runs.scenario} on" in page.locator("#table caption").inner_text()


def test_a_row_opens_with_everything_about_it(opened, board):
    one = opened("#/synthetic/extended_data")
    page = one.page
    page.locator("#table tr.row", has_text="strong").locator("td").nth(2).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name="strong").wait_for()
    assert page.evaluate("location.hash") == "#/synthetic/extended_data/strong"
    text = dialog.inner_text()
    record = next(row for row in board.suites[1].reports[0].rows if row.label == "strong").runs.records[0]
    assert record.command in text
    assert 'variant = "a<b>"' in text
    links = dialog.locator("a").evaluate_all("ones => ones.map((one) => one.getAttribute('href'))")
    assert "https://arxiv.org/abs/2003.11942" in links
    assert sum(link.startswith("leaderboard/synthetic/records/extended_data.zip") for link in links) >= 7
    seeds = dialog.locator("table", has_text="M(*,*)").last
    numbers = seeds.locator("tbody tr").first.locator("td").all_inner_texts()
    assert numbers == ["25.0", "62.5", "62.5", "75.0", "0.75", "−12.5"]
    assert dialog.locator(".legend li").all_inner_texts() == ["classification", "influence"]
    assert dialog.locator("svg path.line").count() == 6  # two terms, three seeds
    dialog.locator("img").evaluate_all(
        "ones => Promise.all(ones.map((one) => { one.loading = 'eager'; return one.decode(); }))"
    )
    images = dialog.locator("img").evaluate_all(
        "ones => ones.map((one) => [one.alt, one.complete && one.naturalWidth])"
    )
    assert images[0] == ["class 7, sample 7", 8]
    assert [width for _, width in images] == [8] * 13  # the query, and four of five items in three systems
    assert dialog.locator(".no-picture").count() == 3
    assert dialog.locator(".sheet .line small").all_inner_texts() == [" M(o,o)", " M(n,o)", " M(n,n)"]


def test_rows_without_numbers_say_why(opened):
    page = opened("#/synthetic/extended_data").page
    assert "skipped: needs 9 dimensions, not 8" in page.locator("#table tr.row", has_text="narrow").inner_text()
    assert f"✗ failed: ValueError: {EVIL}" in page.locator("#table tr.row", has_text="broken").inner_text()
    page.locator("#table tr.row", has_text="narrow").locator("th a").click()
    assert "needs 9 dimensions, not 8" in page.get_by_role("dialog").inner_text()


def test_the_keyboard_opens_and_closes_a_row(opened):
    page = opened("#/synthetic/extended_data").page
    link = page.locator("#table tbody th.name a").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.textContent") == link.inner_text()
    page.wait_for_function("location.hash == '#/synthetic/extended_data'")


def test_numbers_lead_to_their_records(opened):
    page = opened("#/synthetic/extended_data").page
    loose = page.locator("#table tr.row td.right").evaluate_all(
        "all => all.filter((one) => /\\d/.test(one.textContent) && !one.querySelector('a') && one.cellIndex > 0).length"
    )
    assert loose == 0
    page.locator("#table td a.number").first.click()
    assert page.evaluate("location.hash").endswith("/records")
    assert page.get_by_role("dialog").locator("#details-numbers").is_visible()


def test_a_method_named_like_a_script_shows_as_text(opened):
    one = opened(f"#/synthetic/extended_data/{EVIL.replace('/', '%2F')}")
    assert one.page.get_by_role("dialog").get_by_role("heading").first.inner_text() == EVIL
    one.page.keyboard.press("Escape")
    for place in ("#overview-body", "#table", "#pareto-body"):
        assert one.page.locator(place).get_by_text(EVIL).count() > 0
    assert one.page.locator("script").count() == 3  # data, plots, and the page's own
    assert one.said == []


def test_the_first_screen_answers(opened):
    page = opened(viewport={"width": 1400, "height": 900}).page
    for question in ("Which method?", "What does it gain?", "What does it cost?", "Can I believe it?"):
        assert page.get_by_role("heading", name=question).bounding_box()["y"] < 400
    assert page.locator("#overview-table").bounding_box()["y"] < 700
    page.locator("#facts summary").click()
    facts = page.locator("#facts").inner_text()
    assert "backbone: another encoder (small → large)" in facts
    for fact in ("zoo", "4 queries", "10 rows × 2 upgrades × 3 seeds", "run on ", "commit", "protocol"):
        assert fact in facts
    gained = page.locator("#answers > div").nth(1).inner_text()
    assert "+37.5 ↑ (extended_data)" in gained
    lines = overview(page)
    assert list(lines)[:2] == ["status quo", "full backfill"]
    assert lines["strong"][3:5] == ["37.5 ↑", "37.5 ↑"]
    page.locator("details.missing summary").click()
    gaps = page.locator("details.missing").inner_text()
    assert "narrow skipped: needs 9 dimensions, not 8 (backbone, extended_data)" in gaps


def test_what_is_wrong_is_told_first_and_in_full(opened):
    page = opened("#/synthetic/extended_data").page
    assert "Not before this is explained" in page.locator("#answers").inner_text()
    assert "relational" in page.locator("#answers").inner_text()
    assert "relational" in page.locator("#banner").inner_text()
    assert "green" in page.locator("#scenario-head .banner").get_attribute("class")
    assert "null" not in page.locator("#scenario-head").inner_text(), "a part that is left out leaves no word"
    to_scenario(page, "backbone")
    assert "red" in page.locator("#scenario-head .banner").get_attribute("class")


def test_the_reader_chooses_the_curves(opened):
    page = opened("#/synthetic/extended_data").page
    page.locator("#backfill > summary").click()
    page.locator("#backfill .curves summary").click()
    chip = page.locator("#backfill-body .chips button")
    assert chip.all_inner_texts() == ["strong"]
    curve = page.locator("#backfill-body g.curve:visible")
    assert curve.get_attribute("class") == "curve s0"
    chip.click()
    assert curve.get_attribute("class") == "curve"
    assert page.evaluate("document.activeElement.textContent") == "strong"


def test_one_order_is_drawn_at_a_time_and_its_colours_have_names(opened):
    page = opened("#/synthetic/extended_data").page
    page.locator("#backfill > summary").click()
    shown = "all => all.filter((one) => getComputedStyle(one).display !== 'none').map((one) => one.dataset.order)"
    orders = page.locator("#backfill-body .choice button").all_inner_texts()
    assert len(orders) == 2
    for order in reversed(orders):
        page.locator("#backfill-body .choice button", has_text=order).click()
        assert page.locator("#backfill-body svg.plot").evaluate_all(shown) == [order]
        colours = page.locator(
            "#backfill-body .curve.s0:visible .line, #backfill-body .legend li i:visible"
        ).evaluate_all(
            "all => all.map((one) => getComputedStyle(one)[one.matches('i') ? 'backgroundColor' : 'stroke'])"
        )
        assert len(colours) == 2
        assert colours[0] == colours[1]
        assert page.locator("#backfill-body .legend").inner_text() == "strong"


def test_a_point_tells_its_numbers_and_opens_its_row(opened):
    page = opened("#/synthetic/extended_data", has_touch=True).page
    point = page.locator('#pareto-body g.mark[data-label="strong"]:visible circle')
    point.hover()
    assert page.locator("#tip").inner_text() == "strong: Γ 0.75 [0.75, 0.75], tax −12.5 [−12.5, −12.5]"
    page.keyboard.press("Escape")
    point.tap()
    page.locator("#tip a").tap()
    page.get_by_role("dialog").get_by_role("heading", name="strong").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(opened, scheme):
    page = opened(color_scheme=scheme).page
    pairs = [("ink", "paper"), ("muted", "paper"), ("muted", "raised"), ("accent", "paper"), ("accent", "raised")]
    pairs += [
        ("good", "good-paper"),
        ("bad", "bad-paper"),
        ("warn", "warn-paper"),
        ("bad", "raised"),
        ("ink", "raised"),
    ]
    colours = page.evaluate(
        """names => names.map((name) => {
          const one = document.body.appendChild(document.createElement("i"));
          one.style.color = `var(--${name})`;
          return getComputedStyle(one).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
        })""",
        [name for pair in pairs for name in pair],
    )
    for pair, text, ground in zip(pairs, colours[::2], colours[1::2], strict=True):
        assert contrast(text, ground) >= 4.5, pair
    background = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(background[:3]) < 150) == (scheme == "dark")


def test_the_reader_may_choose_light_or_dark(opened):
    page = opened(color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("#theme")
    while button.inner_text() != "Theme: dark":
        button.click()
    assert page.evaluate(ground) != light
    page.reload()
    assert button.inner_text() == "Theme: dark"


@pytest.mark.parametrize("viewport", [PHONE, DESK])
def test_only_tables_scroll_sideways(opened, viewport):
    page = opened("#/synthetic/extended_data", viewport=viewport).page
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    region = page.locator("#tables .scroll")
    if viewport is PHONE:
        assert region.evaluate("one => one.scrollWidth > one.clientWidth")
        region.evaluate("one => { one.scrollLeft = 300; }")
        name, frame = page.locator("#table th.name").nth(2).bounding_box(), region.bounding_box()
        assert abs(name["x"] - frame["x"]) < 3  # the name stays
    page.goto(page.url + "/strong")
    page.get_by_role("dialog").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_the_whole_board_is_short_on_a_phone_and_its_first_table_soon_passed(browser):
    """The page of the committed records, as long as it gets."""
    one = Opened(browser, (Path(__file__).parents[3] / "results/index.html").as_uri(), viewport=PHONE)
    assert one.page.evaluate("document.documentElement.scrollHeight") < 6000
    stops = one.page.evaluate(
        """() => {
          const stops = "a[href], button, input, select, summary, [tabindex]";
          const table = document.querySelector("#overview-table");
          const before = (one) => one.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_FOLLOWING;
          return [...document.querySelectorAll(stops)].filter(
            (one) => one.tabIndex >= 0 && one.checkVisibility() && (table.contains(one) || before(one))).length;
        }"""
    )
    assert 50 < stops < 150
    one.page.set_viewport_size(DESK)
    room, width = one.page.locator("#overview-table").evaluate("it => [it.parentElement.clientWidth, it.scrollWidth]")
    assert width <= room, "on a desk every column is there without scrolling"
    one.context.close()


def test_everything_has_a_name_for_those_who_cannot_see_it(opened):
    page = opened("#/synthetic/extended_data/strong").page
    unnamed = page.evaluate(
        """() => {
          const named = "a, button, input, select, img, svg[role=img], [role=region], [role=group]";
          const text = (one) => one.getAttribute("aria-label") || one.textContent.trim() || one.alt;
          const silent = (one) => !text(one) && !one.labels?.length;
          return [...document.querySelectorAll(named)].filter(silent).map((one) => one.outerHTML);
        }"""
    )
    assert unnamed == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("#table caption").count() == 1
    assert page.locator("#table thead th:not([scope=col])").count() == 0
    assert page.locator("#table thead th:not([aria-sort])").count() == 0
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("place", ["", "#/synthetic/extended_data/strong"])
def test_axe_finds_nothing(opened, place):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python")
    page = opened(place, bypass_csp=True).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = axe.Axe().run(page).response
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20


def test_it_works_from_a_static_host_too(browser, folder):
    handler = partial(_Silent, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/index.html"
        one = Opened(browser, address)
        assert names(one.page)
        assert one.said == []
        assert one.requests() == [address]
        one.context.close()
        server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def contrast(first, second) -> float:
    """WCAG 2's ratio of two colours."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour) -> float:
    linear = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in (part / 255 for part in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
