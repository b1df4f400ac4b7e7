"""Parts of a page in little room: deflated, in base64, and unpacked by the page's own script.

The numbers and drawings of a leaderboard take a third of their size so.
"""

from __future__ import annotations

import base64
import re
import zlib

MOST_BYTES = 2**26
"""Of one part, unpacked: a few bytes may ask for any amount of memory."""
_PART = re.compile(r'(<script type="text/plain" id="\w+">)([\w+/=]+)(</script>)')


def packed(text: str) -> str:
    """`text`, for a script element of type text/plain. Another version of zlib gives other characters."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(page: str) -> str:
    """The page with its packed parts as text, by which pages are compared. Raises ValueError for damaged ones."""
    return _PART.sub(lambda part: f"{part[1]}{_inflated(part[2])}{part[3]}", page)


def _inflated(text: str) -> str:
    try:
        inflater = zlib.decompressobj()
        content = inflater.decompress(base64.b64decode(text), MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not inflater.eof:
        raise ValueError(f"a packed part is cut off, or has more than {MOST_BYTES:,} bytes")
    return content.decode()
