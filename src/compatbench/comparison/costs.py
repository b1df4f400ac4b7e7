"""What a backfill costs, in money and hours, and what it brings. Knows nothing of torch."""

from __future__ import annotations

import re

from pydantic import ConfigDict, Field

from compatbench.errors import RequestError
from compatbench.storage.validation import NoTruthValues, validated

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([kmb]?)", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}


class Backfill(NoTruthValues):
    """The items of an index, and what re-embedding them takes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    items: float = Field(gt=0)
    tokens_per_item: float | None = Field(None, ge=0)
    price_per_million: float | None = Field(None, ge=0)
    """Of tokens."""
    items_per_second: float | None = Field(None, gt=0)

    @property
    def money(self) -> float | None:
        """Of a full backfill, in the currency of the price."""
        if self.tokens_per_item is None or self.price_per_million is None:
            return None
        return self.items * self.tokens_per_item * self.price_per_million / 1e6

    @property
    def hours(self) -> float | None:
        """Of a full backfill."""
        return None if self.items_per_second is None else self.items / self.items_per_second / 3600


def backfill_costs(
    items: str | None, tokens_per_item: float | None, price_per_million: float | None, items_per_second: float | None
) -> Backfill | None:
    """What the options say; None where there are none. Raises RequestError where they tell neither money nor hours."""
    asked = (tokens_per_item, price_per_million, items_per_second)
    if items is None:
        if any(one is not None for one in asked):
            raise RequestError("costs need the number of items in the index: --items, e.g. --items 200M")
        return None
    if (tokens_per_item is None) != (price_per_million is None):
        raise RequestError("a price takes both --tokens-per-item and --price-per-million")
    if tokens_per_item is None and items_per_second is None:
        raise RequestError("--items needs --tokens-per-item with --price-per-million, or --items-per-second, or both")
    given = {
        "items": _number(items),
        "tokens_per_item": tokens_per_item,
        "price_per_million": price_per_million,
        "items_per_second": items_per_second,
    }
    return validated(Backfill, given, "")


def _number(text: str) -> float:
    match = _NUMBER.fullmatch(text.replace(",", "").replace("_", "").strip())
    if match is None or float(match[1]) <= 0:
        raise RequestError(f"--items {text}: give a number, such as 2000000, 2M or 0.2B")
    return float(match[1]) * _FACTORS[match[2].lower()]
