"""The hand-written pages: every link leads somewhere, and every path, name and option in them exists."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

from compatbench.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
EXAMPLES = ("mine/", "stripes", "shapes")
"""Where the pages put the files that they show."""

PATH = r"(?<![\w./-])(\w[\w.-]*(?:/[\w.-]+)*\.(?:py|yaml|sh|lock|toml)\b|(?:src|tests)/[\w/-]+\b(?!<))"

ROOTS = (ROOT, ROOT / "src/compatbench", ROOT / "src/compatbench/data", ROOT / "src/compatbench/data/families")


def text_of(page: Path) -> str:
    """The page without the tables that a command wrote into it, which their own tests cover."""
    return re.sub(r"<!-- begin: .*?<!-- end -->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names that a repository host gives to headings, and those written as `<a name=…>`."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a (?:name|id)="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = {link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in link}
    broken = []
    for link in links:
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    named = set(re.findall(PATH, text_of(page)))
    folders = [ROOT / name for name in ("src", "tests", "scripts", "methods", "docs")]
    alone = {path.name for folder in folders for path in folder.rglob("*")} | {"_name.py"}
    wanted = {path for path in named if "/" in path or path not in alone}
    wanted = {path for path in wanted if not path.startswith(EXAMPLES) and "my_method" not in path and path[-1] != "_"}
    assert {path for path in wanted if not any((root / path).exists() for root in ROOTS)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_of_the_package_can_be_imported(page: Path) -> None:
    names = set(re.findall(r"(?<![\w./])compatbench(?:\.\w+)+", text_of(page)))
    names -= {"compatbench.methods", "compatbench.datasets"}  # entry-point groups
    for name in names:
        pkgutil.resolve_name(name)
    for module, imported in re.findall(r"^from (compatbench[\w.]*) import (.+)$", text_of(page), flags=re.MULTILINE):
        for name in imported.split(","):
            pkgutil.resolve_name(f"{module}:{name.strip()}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_has_the_options_that_the_page_gives_it(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    unknown = []
    for name, rest in re.findall(r"compatbench ([a-z]+)((?: [^\n`|#]*)?)", text_of(page)):
        words = rest.split()
        if name not in commands:
            if any(word.startswith("-") for word in words):
                unknown.append(name)
            continue
        command = commands[name]
        if name == "data" and words:
            command = command.commands.get(words[0], command)
        options = {option for parameter in command.params for option in parameter.opts}
        unknown += [f"{name} {word}" for word in words if word.startswith("--") and word.split("=")[0] not in options]
    assert unknown == []


def test_the_readme_begins_with_the_way_into_the_documentation() -> None:
    assert "](docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")[:3000]
