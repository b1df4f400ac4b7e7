"""arXiv numbers in running text."""

from __future__ import annotations

import re

ARXIV = re.compile(r"\b(\d{4}\.\d{4,5}|[a-z-]+/\d{7})\b")


def abstract(number: str) -> str:
    """The address of a paper's abstract."""
    return f"https://arxiv.org/abs/{number}"
