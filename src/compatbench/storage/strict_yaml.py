"""Reads YAML safely and strictly: no key twice, no unbounded aliases."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from compatbench.errors import RequestError

NODE_LIMIT = 100_000
"""Values of a file with all aliases written out."""

NUMBER_LENGTH = 400
"""Characters of a number: `1:59:59…` takes a time that grows with their square."""

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML would silently keep the last."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"key '{key}' is given twice", problem_mark=key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_mapping(path: Path) -> dict[Any, Any]:
    """The mapping in the YAML file at `path`. Raises RequestError if it contains none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: not valid YAML: {error}") from error
    data = read_value(text, str(path))
    if not isinstance(data, dict):
        raise RequestError(f"{path}: must be a mapping, with lines such as `key: value`")
    return data


def read_value(text: str, source: str) -> Any:
    """The value of some YAML. Raises RequestError, beginning with `source`, if it is not valid."""
    try:
        return _parse(text)
    except Exception as error:  # for some input PyYAML raises what Python does: KeyError, IndexError, RecursionError …
        raise RequestError(f"{source}: not valid YAML: {_problem(error)}") from error


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is too deep: lists and mappings in each other"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error) or type(error).__name__


def _parse(text: str) -> Any:
    loader = _UniqueKeyLoader(text)
    node = loader.get_single_node()
    if node is None:
        return None
    if _unfolded_size(node, {}) > NODE_LIMIT:
        raise yaml.YAMLError(f"its aliases unfold to more than {NODE_LIMIT} values; write out what they stand for")
    return loader.construct_document(node)


def _unfolded_size(node: yaml.Node, sizes: dict[yaml.Node, float]) -> float:
    """Values in `node` with every alias counted where it stands; infinite where one holds itself."""
    if node not in sizes:
        sizes[node] = math.inf
        if node.tag in NUMBERS and len(node.value) > NUMBER_LENGTH:
            raise yaml.MarkedYAMLError(
                problem=f"a number of more than {NUMBER_LENGTH} characters", problem_mark=node.start_mark
            )
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = (part for child in children for part in (child if isinstance(child, tuple) else (child,)))
        sizes[node] = 1 + sum(_unfolded_size(part, sizes) for part in parts)
    return sizes[node]
