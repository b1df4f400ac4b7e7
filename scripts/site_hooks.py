"""What differs on the site: the folder that mkdocs reads is the repository's, and the board is a page of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHOWN = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "docs", "methods", "results",
    "benchmarks", "scripts",
)  # fmt: skip


def on_config(config: Any) -> Any:
    """Link what the pages link into one folder, with the repository's paths, so that every link can be checked."""
    folder = Path(config.docs_dir)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in SHOWN:
        (folder / name).symlink_to(ROOT / name)
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The board's page takes the place of the board's tables in Markdown."""
    shown = re.sub(r"\]\(((?:\.\./)*)results/README\.md\)", r"](\1results/index.html)", markdown)
    return shown.replace("](../../README.md)", "](../../index.html)").replace("(download and open)", "")


def on_post_build(config: Any) -> None:
    """The board's page links the documentation by its names in the repository."""
    page = Path(config.site_dir) / "results/index.html"
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r'href="(\.\./docs/[\w-]+)\.md"', r'href="\1.html"', text), encoding="utf-8")
