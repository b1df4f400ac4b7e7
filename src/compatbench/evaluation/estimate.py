"""A number with its interval. Knows nothing of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval; None if it is undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def in_points(self) -> Estimate:
        """The same in percent points."""
        return Estimate(*(None if value is None else 100 * value for value in (self.value, self.low, self.high)))

    def within(self, lowest: float, highest: float) -> Estimate:
        """The same with an interval cut to what the number can be."""
        if self.low is None or self.high is None:
            return self
        return Estimate(self.value, max(self.low, lowest), min(self.high, highest))

    @property
    def margin(self) -> float:
        """Half the interval; 0 if there is none."""
        return 0.0 if self.low is None or self.high is None else (self.high - self.low) / 2
