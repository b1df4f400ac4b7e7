"""The overview of methods: complete, current, and readable as Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from compatbench.cli.method_page import docstring_markdown, link_arxiv, methods_page
from compatbench.report.site.claims_page import read_claims
from compatbench.storage.builtin import builtin_folder

DOCS = Path(__file__).parents[2] / "docs"
NAMES = sorted(path.stem for path in builtin_folder("methods").glob("[a-z]*.py"))


@pytest.fixture(scope="module")
def page() -> str:
    return methods_page()


def test_every_method_has_an_entry_about_its_published_behaviour() -> None:
    assert sorted(read_claims(DOCS / "claims.yaml")) == NAMES


def test_the_page_is_current(page: str) -> None:
    written = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert written == page, "docs/methods.md is out of date: run `make docs` (compatbench docs) and commit it"


def test_every_method_has_a_row_and_a_section(page: str) -> None:
    for name in NAMES:
        rows = [line for line in page.splitlines() if line.startswith(f"| [{name}](#{name}) |")]
        assert [line.count(" | ") for line in rows] == [6], name
        assert page.count(f"\n### {name}\n") == 1


def test_a_table_row_says_what_its_method_costs(page: str) -> None:
    row = next(line for line in page.splitlines() if line.startswith("| [bt2]"))
    assert "[2211.03989](https://arxiv.org/abs/2211.03989)" in row
    assert row.endswith("| old encoder, old features, independent model | 40,992 | 40,992 | 256 | 160 |")


def test_indented_blocks_become_code_and_keep_their_characters() -> None:
    docstring = """Name (Who, Where 2020).

        L = a * b_i
            + |c|

        second <line>

    Text after.
    """
    assert docstring_markdown(docstring) == (
        "Name (Who, Where 2020).\n\n```text\nL = a * b_i\n    + |c|\n\nsecond <line>\n```\n\nText after."
    )


def test_a_docstring_may_end_in_code() -> None:
    assert docstring_markdown("Name.\n\n    Text:\n\n        x = 1\n").endswith("Text:\n\n```text\nx = 1\n```")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("M(*,*) and f_n < 3", r"M(\*,\*) and f_n \< 3"),
        ("- `a_b*c` is kept", "- `a_b*c` is kept"),
        ("with `W[:, :D]` and W[:, :D]", r"with `W[:, :D]` and W\[:, :D\]"),
        ("see arXiv 2003.11942", "see arXiv [2003.11942](https://arxiv.org/abs/2003.11942)"),
    ],
)
def test_text_shows_as_it_is_written(line: str, expected: str) -> None:
    assert docstring_markdown(line) == expected


def test_old_and_new_arxiv_numbers_are_linked_and_other_numbers_are_not() -> None:
    assert link_arxiv("math-ph/0609050") == "[math-ph/0609050](https://arxiv.org/abs/math-ph/0609050)"
    assert link_arxiv("0.0001 and 2020 and 1.5") == "0.0001 and 2020 and 1.5"
