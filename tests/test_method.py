"""Ranges of parameters: declared beside them, checked, and read where they have an effect."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, ValidationError

from compatbench.errors import ContractError
from compatbench.method import Params, ranges, tunable


class Example(Params):
    variant: Literal["plain", "wide"] = "plain"
    weight: float = tunable(1.0, low=0.1, high=10, log=True, ge=0)
    margin: float = tunable(0.5, low=0, high=1, variants=("wide",))
    start: int = tunable(2, low=0, high=20)
    fixed: float = Field(3.0, ge=0)


def test_ranges_are_those_that_have_an_effect() -> None:
    assert list(ranges(Example())) == ["weight", "start"]
    assert list(ranges(Example(variant="wide"))) == ["weight", "margin", "start"]


def test_places_are_even_in_the_logarithm_or_in_the_value() -> None:
    found = ranges(Example(variant="wide"))
    assert [found["weight"].at(place) for place in (0, 0.25, 0.5, 1)] == [0.1, 0.316, 1.0, 10.0]
    assert [found["margin"].at(place) for place in (0, 1 / 3, 1)] == [0.0, 0.333, 1.0]
    values = [found["start"].at(place) for place in (0, 0.49, 1)]
    assert values == [0, 10, 20]
    assert all(type(value) is int for value in values)


def test_a_tunable_parameter_is_an_ordinary_one() -> None:
    assert Example().model_dump() == {"variant": "plain", "weight": 1.0, "margin": 0.5, "start": 2, "fixed": 3.0}
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Example(weight=-1)
    assert Example(weight=100).weight == 100, "a range is where to look, not a bound"


@pytest.mark.parametrize("wrong", [(3, 0, 2, False), (0, 0, 2, True), (1, 1, 1, False), (0, 1, 2, False)])
def test_a_default_outside_of_its_range_is_refused(wrong: tuple[float, float, float, bool]) -> None:
    default, low, high, log = wrong
    with pytest.raises(ContractError, match="take low <= default <= high"):
        tunable(default, low=low, high=high, log=log)
