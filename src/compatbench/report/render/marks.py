"""The marks in hand-written Markdown between which generated tables stand."""

from __future__ import annotations

import re


def marked(what: str) -> re.Pattern[str]:
    """What stands between `<!-- begin: compatbench WHAT-->` and the next `<!-- end -->`, with `what` a pattern.

    Groups `begin` and `end` are the marks. Where an end is lost nothing matches, lest the text up to the end of the
    tables after it be taken for old ones.
    """
    return re.compile(
        rf"(?P<begin><!-- begin: compatbench {what}-->\n)(?:(?!<!-- begin:).)*?(?P<end><!-- end -->)", re.DOTALL
    )
