"""Writes the generated files of the leaderboard from all of its records, or compares them with the files there."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from compatbench.errors import RequestError
from compatbench.records.store import Store
from compatbench.report.site.board import GENERATED, Board, BoardSuite
from compatbench.report.site.claims_page import CLAIMS_FILE, CLAIMS_PAGE, claims_page, read_claims
from compatbench.report.site.insert import unknown_suite, with_section
from compatbench.report.site.leaderboard_page import leaderboard_page
from compatbench.report.site.leaderboard_readme import leaderboard_readme
from compatbench.report.site.page_data.packing import unpacked
from compatbench.report.site.write import write_suite
from compatbench.storage.files import write_whole
from compatbench.trust.problems import Problem
from compatbench.trust.record_files import suites_in
from compatbench.trust.thumbnails import thumbnails

REMEDY = "`compatbench tables` writes it again"
_HEAD = 300
"""Characters of a file that say whether it was generated."""


def write_board(board: Board, store: Store) -> list[Path]:
    """Write every generated file of the leaderboard in `store`, and remove those of no record.

    They are those of each suite, results/README.md, results/index.html, the leaderboard's part of the project's
    README.md, and docs/claims.md where docs/claims.yaml is there. Raises RequestError, before anything is written,
    where one of the two in results/ is not a generated one.
    """
    refuse_foreign(store)
    written = [path for suite in board.suites for path in write_suite(suite, store.suite(suite.name))]
    for suite in board.suites:
        for path in _generated(store, suite.name):
            if path not in written:
                path.unlink()
    for path, content in _pages(board, store).items():
        write_whole(path, content)
        written.append(path)
    return written


def refuse_foreign(store: Store) -> None:
    """Raise RequestError if the leaderboard's README.md or page would replace a hand-written one."""
    for name in ("README.md", "index.html"):
        path = store.root.absolute().parent / name
        if path.exists() and GENERATED not in path.read_text(encoding="utf-8", errors="replace")[:_HEAD]:
            raise RequestError(
                f"{path} was not written by CompatBench and would be replaced; give the leaderboard a folder of its "
                "own, such as results/leaderboard"
            )


def suite_problems(suite: BoardSuite, store: Store) -> list[Problem]:
    """Differences of one suite's generated files from its records, byte for byte."""
    folder = store.suite(suite.name)
    with tempfile.TemporaryDirectory() as scratch:
        written = write_suite(suite, Path(scratch))
        expected = {path.relative_to(scratch): path.read_bytes() for path in written}
    there = {path.relative_to(folder) for path in _generated(store, suite.name)}
    problems = [
        Problem(f"{suite.name}/{path}", "no record needs this file; remove it")
        for path in sorted(there - set(expected))
    ]
    for path, content in sorted(expected.items()):
        problems += _difference(f"{suite.name}/{path}", folder / path, content)
    return problems


def page_problems(board: Board, store: Store) -> list[Problem]:
    """Differences of results/README.md, results/index.html and the project's README.md from the records."""
    try:
        pages = _pages(board, store)
    except RequestError as error:
        return [Problem("index.html", str(error))]
    problems = []
    for path, content in pages.items():
        problems += _difference(path.relative_to(_project(store)).as_posix(), path, content.encode())
    readme = _project(store) / "README.md"
    if readme.is_file() and (name := unknown_suite(readme.read_text(encoding="utf-8"), board)):
        told = f"is to show {name}, which is not on the leaderboard; name a suite that is"
        problems.append(Problem("README.md", told, serious=False))
    return problems + _foreign_entries(store)


def _foreign_entries(store: Store) -> list[Problem]:
    known = {name for name in suites_in(store) if any(store.records(name).rglob("*.*"))}
    known |= {store.arrays.name, store.thumbnails.name}
    return [
        Problem(path.name, "no record needs what is here; remove it")
        for path in sorted(store.root.iterdir())
        if path.name not in known
    ]


def _difference(name: str, path: Path, content: bytes) -> list[Problem]:
    if not path.is_file():
        return [Problem(name, f"is missing; {REMEDY}")]
    there = path.read_bytes()
    if there == content or _equal_unpacked(there, content):
        return []
    return [Problem(name, f"is not what the records give; {REMEDY}")]


def _equal_unpacked(there: bytes, content: bytes) -> bool:
    """Whether two pages differ in nothing but the version of zlib that packed their parts."""
    try:
        return unpacked(there.decode()) == unpacked(content.decode())
    except ValueError:
        return False


def _generated(store: Store, suite: str) -> list[Path]:
    """Everything in a suite's folder beside its records."""
    files = (path for path in store.suite(suite).rglob("*") if path.is_file())
    return [path for path in files if store.records(suite) not in path.parents]


def _pages(board: Board, store: Store) -> dict[Path, str]:
    """Content of the files that show all suites."""
    if not board.suites:
        return {}
    results = store.root.absolute().parent
    pages = {
        results / "README.md": leaderboard_readme(board, store.root.name),
        results / "index.html": leaderboard_page(board, thumbnails(store), store.root.name),
    }
    if (claims := _project(store) / "docs" / CLAIMS_FILE).is_file():
        pages[claims.with_name(CLAIMS_PAGE)] = claims_page(read_claims(claims), board)
    readme = _project(store) / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        shown = with_section(text, board, PurePosixPath(results.name, store.root.name))
        if shown != text or not unknown_suite(text, board):
            pages[readme] = shown
    return pages


def _project(store: Store) -> Path:
    """The folder that holds `results/`."""
    return store.root.absolute().parent.parent
