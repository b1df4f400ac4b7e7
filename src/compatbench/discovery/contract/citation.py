"""Checks that a docstring cites its source."""

from __future__ import annotations

import re

from compatbench.discovery.contract.report import Finding

SOURCE = re.compile(
    r"\d{4}\.\d{4,5}"  # arXiv
    r"|arXiv:? ?[a-z-]+/\d{7}"  # arXiv before 2007
    r"|\b10\.\d{4,9}/\S+"  # DOI
    r"|\b[A-Z][A-Za-z-]*(?: [A-Z][A-Za-z-]*)* (?:19|20)\d{2}\b"  # venue and year
    r"|\bours\b"
)


def check_citation(text: str, content: str) -> None:
    """Raise Finding if the docstring `text` is empty, with the missing `content`, or cites no source."""
    if not text.strip():
        raise Finding(f"the class has no docstring: give {content}, and the paper")
    if not SOURCE.search(text):
        raise Finding("the docstring cites no source: name an arXiv id, a DOI, venue and year, or say '(ours)'")
