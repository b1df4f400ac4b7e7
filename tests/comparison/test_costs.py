"""What a backfill costs: products of what is said of the index."""

from __future__ import annotations

import pytest

from compatbench.comparison.costs import backfill_costs
from compatbench.errors import RequestError


@pytest.mark.parametrize(
    ("text", "items"), [("200M", 2e8), ("0.2b", 2e8), ("200,000,000", 2e8), ("1_500", 1500), ("2.5k", 2500)]
)
def test_numbers_of_items_as_people_write_them(text: str, items: float) -> None:
    found = backfill_costs(text, None, None, 500)
    assert found is not None
    assert (found.items, found.money) == (items, None)
    assert found.hours == items / 500 / 3600


def test_the_price_is_of_tokens() -> None:
    found = backfill_costs("200M", 300, 0.02, None)
    assert found is not None
    assert found.money == pytest.approx(200e6 * 300 / 1e6 * 0.02)
    assert found.hours is None
    assert backfill_costs(None, None, None, None) is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((None, 300, 0.02, None), "costs need the number of items"),
        (("2M", 300, None, 5), "takes both --tokens-per-item and --price-per-million"),
        (("2M", None, None, None), "--items needs --tokens-per-item with --price-per-million, or --items-per-second"),
        (("many", None, None, 5), "--items many: give a number, such as"),
        (("0", None, None, 5), "--items 0: give a number"),
        (("2T", None, None, 5), "--items 2T: give a number"),
        (("9" * 400, None, None, 5), "items: input should be a finite number"),
        (("2M", 300, -2, None), "price_per_million: input should be greater than or equal to 0"),
        (("2M", -300, 2, None), "tokens_per_item: input should be greater than or equal to 0"),
        (("2M", None, None, 0), "items_per_second: input should be greater than 0"),
        (("2M", None, None, float("nan")), "items_per_second: input should be a finite number"),
    ],
)
def test_what_tells_no_costs_is_refused(words: tuple[str | None, float, float, float], complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        backfill_costs(*words)
