"""Broken and hostile inputs, made from sound ones by seeded changes of bytes, of words and of structure."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

NUMBERS = (
    "0", "-1", "1e999", "NaN", "Infinity", "9" * 400, "9" * 5000, "2147483648", "9223372036854775808", "1.5",
    "0x" + "f" * 400,
)  # fmt: skip
WORDS = (
    "null", "true", "[]", "{}", '""', '"' + "a" * 500 + '"', '"\\u0000"', '"../../x"', '"/etc/passwd"', '"\\ud800"',
    '"<script>alert(1)</script>"', '"=1+1"', "!!python/object/apply:os.system [echo]", "&a [*a]", "*a", "<<", "? x",
    "[" * 300, "{a: " * 300, "---", "...", "\t", "\x00", "\ufeff", "\u2028", "%YAML 9.9", "!!binary", "!!set {a}",
    "2026-01-01",
)  # fmt: skip
NODES = (None, True, -1, 0, 2**63, 10**400, 1e308, "", "x", "../../x", "\u0000", [], {}, [[]], {"": {}}, ["x"] * 100)
LENGTHS = (0, 1, 2**7, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)

Mutation = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, chance: random.Random) -> bytes:
    """Some bits."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(content: bytes, chance: random.Random) -> bytes:
    """What comes after some place, or a piece in the midst."""
    begin = chance.randrange(len(content))
    end = len(content) if chance.random() < 0.5 else min(len(content), begin + chance.randint(1, 64))
    return content[:begin] + content[end:]


def repeat(content: bytes, chance: random.Random) -> bytes:
    """A piece twice, or elsewhere."""
    begin = chance.randrange(len(content))
    piece = content[begin : begin + chance.randint(1, 64)]
    place = chance.randrange(len(content))
    return content[:place] + piece * chance.choice([1, 1, 50]) + content[place:]


def lengths(content: bytes, chance: random.Random) -> bytes:
    """A number that may be a length or an offset, at some place, in 4 or 8 bytes."""
    code = chance.choice(["<I", "<Q", ">I"])
    size = struct.calcsize(code)
    if len(content) < size:
        return content
    place = chance.choice([0, 8, chance.randrange(len(content) - size + 1)]) % (len(content) - size + 1)
    value = chance.choice(LENGTHS) % 2 ** (8 * size)
    return content[:place] + struct.pack(code, value) + content[place + size :]


def digits(content: bytes, chance: random.Random) -> bytes:
    """Another number where one is written out."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[:20_000]))
    if not found:
        return flip(content, chance)
    match = chance.choice(found)
    return content[: match.start()] + chance.choice(NUMBERS).encode() + content[match.end() :]


def words(content: bytes, chance: random.Random) -> bytes:
    """Another word where one stands, or a hostile one between two."""
    found = list(re.finditer(rb'"[^"]*"|[A-Za-z_]+', content[:20_000]))
    if not found:
        return flip(content, chance)
    match = chance.choice(found)
    end = match.end() if chance.random() < 0.7 else match.start()
    other = chance.choice(found)[0] if chance.random() < 0.3 else chance.choice(WORDS).encode("utf-8", "replace")
    return content[: match.start()] + other + content[end:]


MUTATIONS: tuple[Mutation, ...] = (flip, cut, repeat, lengths, digits, words)


def mutate(content: bytes, chance: random.Random) -> bytes:
    """One to four changes."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        content = chance.choice(MUTATIONS)(content, chance) or b"\x00"
    return content


def restructure(value: Any, chance: random.Random) -> Any:
    """A parsed document with some of its nodes replaced, removed, moved or given another name."""
    value = json.loads(json.dumps(value))
    for _ in range(chance.choice([1, 1, 2, 5])):
        known = list(places(value))
        if not known:
            break
        parent, key = chance.choice(known)
        match chance.randrange(5):
            case 0:
                del parent[key]
            case 1:
                other, at = chance.choice(known)
                parent[key] = json.loads(json.dumps(_get(other, at)))
            case 2 if isinstance(parent, dict):
                parent[chance.choice(["", "x", "../x", "__class__", str(key) + "s", "\u0000"])] = parent.pop(key)
            case _:
                parent[key] = node(chance)
    return value


def node(chance: random.Random, others: Sequence[Any] = ()) -> Any:
    """One of NODES or `others`, of its own: what is put into it must not be in all later ones."""
    return copy.deepcopy(chance.choice([*others, *NODES]))


def _get(parent: Any, key: Any) -> Any:
    try:
        return parent[key]
    except (KeyError, IndexError):
        return None


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every node of a parsed document, as what holds it and its key there."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(children):
        yield value, key
        yield from places(child)
