"""Canonical JSON: one text for equal values."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatbench.storage.canonical import canonical_json, digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def reversed_keys(value: Any) -> Any:
    """The same value with the keys of every mapping in reverse order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_text_and_hash_of_a_small_value_by_hand() -> None:
    value = {"b": [1, 2.5, None], "a": {"é": True}}
    text = '{"a":{"\\u00e9":true},"b":[1,2.5,null]}'
    assert canonical_json(value) == text
    assert digest(value) == hashlib.sha256(text.encode("ascii")).hexdigest()


@given(JSON)
def test_the_order_of_keys_does_not_matter_and_nothing_is_lost(value: Any) -> None:
    assert canonical_json(reversed_keys(value)) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_hold_has_no_hash(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"value": value})
