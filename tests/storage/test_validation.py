"""Pydantic's errors in one line."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from compatbench.errors import RequestError
from compatbench.storage.validation import did_you_mean, validated


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    epochs: int
    names: tuple[str, ...] = ()


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    many: dict[str, list[Inner]] = {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"iner": 1}, "iner: unknown key; did you mean 'inner'?"),
        ({"inner": {"epoch": 1}}, "inner.epoch: unknown key; did you mean 'epochs'?"),
        ({"inner": {}}, "inner.epochs: is required"),
        (
            {"many": {"a": [{"epochs": 1}, {"epochs": 2, "name": "x"}]}},
            "many.a.1.name: unknown key; did you mean 'names'?",
        ),
        ({"zzz": 1}, "zzz: unknown key; known: inner, many"),
        (
            {"inner": {"epochs": "x" * 1000}},
            "inner.epochs: input should be a valid integer, unable to parse string as an integer "
            "(got 'xxxxxxxxxxxx...xxxxxxxxxxxxx')",
        ),
        ({"inner": {"epochs": [1]}}, "inner.epochs: input should be a valid integer"),
    ],
)
def test_key_problem_and_remedy(data: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        validated(Outer, data, "my.yaml: ")
    assert str(caught.value) == f"my.yaml: {said}"


def test_valid_data_are_the_model() -> None:
    assert validated(Outer, {"inner": {"epochs": 3}}, "") == Outer(inner=Inner(epochs=3))


def test_the_nearest_name_or_all_of_them() -> None:
    assert did_you_mean("bct2", ["bct", "l2"]) == "; did you mean 'bct'?"
    assert did_you_mean("apples", ["l2", "bct"]) == "; known: bct, l2"
