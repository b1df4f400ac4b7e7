"""Files made from a grammar: sound in most places, odd in some, so that they come far into a reader."""

from __future__ import annotations

import codecs
import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from mutations import node

from compatbench.suite.suite import Suite

SCHEMA: dict[str, Any] = Suite.model_json_schema()
ODD = 0.02
"""Share of the places of a document with a value of any kind."""

WORDS = (
    "softmax", "bct", "digits", "a", "é", "A.b-c_d", "previous", "", "a b", "a,b", "../x", "null", "1", "yes", "Γ" * 99,
    "test_vit", "resnet18.a1_in1k", "mean=1", "a\nb", "\u202e", "'", '"', "#x", "- x", "{a}", "*a", "&a", "%", "@",
    "0x1f",
)  # fmt: skip
NUMBERS = (
    0,
    1,
    2,
    3,
    0.5,
    0.1,
    1e-9,
    64,
    255,
    10**6,
    2**31,
    2**63,
    10**30,
    -1,
    -0.5,
    1e308,
    float("inf"),
    float("nan"),
)
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1")
LINE_ENDS = ("\n", "\n", "\n", "\n", "\r\n", "\r\n", "\r", "\n\n", "\u2028", "\x0b")


def value_of(schema: Mapping[str, Any], chance: random.Random, depth: int = 0) -> Any:
    """A value that a JSON schema describes, with its bounds as the likeliest numbers; anything now and then."""
    if chance.random() < ODD or depth > 12:
        return node(chance)
    if "$ref" in schema:
        return value_of(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], chance, depth + 1)
    if "default" in schema and chance.random() < 0.5:
        return schema["default"]
    if "anyOf" in schema:
        return value_of(chance.choice(schema["anyOf"]), chance, depth + 1)
    if "const" in schema or "enum" in schema:
        return chance.choice(schema.get("enum", [schema.get("const")]))
    return _of_type(schema, chance, depth)


def _of_type(schema: Mapping[str, Any], chance: random.Random, depth: int) -> Any:
    made: Any = node(chance)
    match schema.get("type"):
        case "object":
            made = _mapping(schema, chance, depth)
        case "array":
            items = schema.get("items", {})
            made = [value_of(items, chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 2, 3]))]
        case "integer" | "number" as kind:
            bounds = [schema[name] for name in schema if name.lower().endswith("imum")]
            number = chance.choice([*bounds, *bounds, *(bound + 1 for bound in bounds), *NUMBERS[:9], *NUMBERS])
            made = int(number) if kind == "integer" and abs(number) < 1e300 else number
        case "string":
            made = chance.choice(WORDS)
        case "boolean":
            made = chance.random() < 0.5
        case "null":
            made = None
    return made


def _mapping(schema: Mapping[str, Any], chance: random.Random, depth: int) -> dict[str, Any]:
    known = schema.get("properties", {})
    required = schema.get("required", ())
    names = [name for name in known if name in required or chance.random() < 0.3]
    made = {name: value_of(known[name], chance, depth + 1) for name in names}
    others = next((schema[key] for key in ("additionalProperties", "patternProperties") if schema.get(key)), None)
    if isinstance(others, dict):
        others = next(iter(others.values())) if "patternProperties" in schema else others
        made |= {chance.choice(WORDS): value_of(others, chance, depth + 1) for _ in range(chance.randint(0, 3))}
    if chance.random() < ODD:
        made[chance.choice(WORDS)] = node(chance)
    return made


def suite(chance: random.Random) -> bytes:
    """A suite in one of the ways to write YAML."""
    document = value_of(SCHEMA, chance)
    if isinstance(document, dict):
        for name, one in (("title", "t"), ("dataset", "digits"), ("recipe", {"epochs": 1}), ("methods", ["bct"])):
            if chance.random() < 0.8 or name not in document:
                document[name] = one
        if chance.random() < 0.8:
            step = SCHEMA["$defs"]["GenerationSpec"]
            document["scenarios"] = {"one": [value_of(step, chance), value_of(step, chance)]}
    try:
        style = chance.choice(["json", "block", "flow", "folded"])
        if style == "json":
            return json.dumps(document).encode()
        options: dict[str, Any] = {"default_flow_style": style == "flow", "width": 30, "allow_unicode": True}
        text = yaml.safe_dump(document, default_style=">" if style == "folded" else None, **options)
    except (yaml.YAMLError, ValueError, RecursionError):
        return b"title: ["
    if chance.random() < 0.1:
        text = text.replace(
            "one:", chance.choice(["one: &a", "? one\n:", "<<: *a\none:", "!!map one:", "1: 2\none:"]), 1
        )
    return text.encode("utf-8", "surrogatepass")


def jsonl(chance: random.Random) -> bytes:
    """Objects of an id, a vector and a label, a line each."""
    width, kind = chance.choice([0, 1, 3, 3, 3, 200]), chance.choice(["list", "list", "text", "nested", "bytes"])
    names = chance.choice(
        [("id", "embedding", "label"), ("ids", "vectors", "labels"), ("id", "e", "id"), ("", "v", "x")]
    )
    lines = []
    for row in range(chance.choice([0, 1, 2, 5, 5, 40])):
        vector = _vector(width, chance)
        shown: Any = {"text": str(vector), "nested": [vector], "bytes": {"0": vector}}.get(kind, vector)
        label = chance.choice([row % 2, f"c{row % 2}", f"c{row % 2}"])
        one: Any = dict(zip(names, (chance.choice([row, f"d{row}"]), shown, label), strict=True))
        if chance.random() < ODD:
            one[chance.choice(names)] = node(chance)
        if chance.random() < ODD:
            one = node(chance)
        lines.append(json.dumps(one, ensure_ascii=chance.random() < 0.5))
    return _written(lines, chance)


def _vector(width: int, chance: random.Random) -> list[Any]:
    numbers: list[Any] = [chance.choice([chance.uniform(-1, 1), 1, 0.0]) for _ in range(width)]
    if numbers and chance.random() < ODD:
        numbers[chance.randrange(width)] = node(chance, NUMBERS)
    return numbers + [1.0] * (chance.random() < ODD)


def delimited(chance: random.Random) -> bytes:
    """Rows with their vector in one column, or a column a dimension."""
    stream, width = io.StringIO(), chance.choice([1, 3, 3, 200])
    quoting = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    end = chance.choice(LINE_ENDS[:7])
    writer = csv.writer(stream, delimiter=chance.choice(",,\t;| "), quoting=quoting, lineterminator=end)
    together = chance.random() < 0.5
    form = chance.choice(["[{}]", "({})", "{}", "[{} ]", "{{{}}}"])
    heading = (
        ["id", "embedding"] if together else ["id", *(f"{chance.choice(['x_', '', 'x'])}{n}" for n in range(width))]
    )
    label = chance.random() < 0.5
    if chance.random() < 0.8:
        writer.writerow([*heading, *["label"] * label])
    for row in range(chance.choice([0, 1, 2, 5, 5, 40])):
        vector = _vector(width, chance)
        cells: Sequence[Any] = (
            [form.format(chance.choice([", ", ",", " "]).join(map(str, vector)))] if together else vector
        )
        line = [chance.choice([row, f"d{row}", f"d{row}", ""]), *cells, *[f"c{row % 2}"] * label]
        writer.writerow(line[: chance.randint(1, len(line))] if chance.random() < ODD else line)
    return _written([stream.getvalue()], chance)


def qrels(chance: random.Random) -> bytes:
    """Judgements in three or four columns, with a heading or without."""
    separator = chance.choice(["\t", "\t", " ", "  ", ",", "\u00a0"])
    columns = chance.choice(
        [["query-id", "corpus-id", "score"], ["score", "docid", "qid"], ["topic", "iter", "docno", "rel"]]
    )
    lines = [separator.join(columns)] if chance.random() < 0.6 else []
    for row in range(chance.choice([0, 1, 2, 5, 40])):
        grade = chance.choice([0, 1, 2, -1, 1.5, "1e400", "nan", "1_0", "٣", "", "x", 10**400])
        cells = {"s": chance.choice([1, 1, grade]), "i": 0, "r": chance.choice([1, 0, grade])}
        words = [str(cells.get(name[0], f"{name[0]}{row % 7}")) for name in columns]
        if chance.random() < ODD:
            words = words[: chance.randint(0, 3)] + ["x"] * chance.randint(0, 2)
        lines.append(separator.join(words))
    return _written(lines, chance)


def _written(lines: Sequence[str], chance: random.Random) -> bytes:
    text = chance.choice(LINE_ENDS).join(lines) + chance.choice(["", "\n", "\x1a", "\x00"])
    mark = chance.choice([b"", b"", b"", codecs.BOM_UTF16_BE, codecs.BOM_UTF8])
    return mark + text.encode(chance.choice(ENCODINGS), "replace")
