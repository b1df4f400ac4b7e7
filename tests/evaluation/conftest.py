"""Both ways to count: compiled, and with numpy as where there was no C compiler."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compatbench.evaluation import backfill, counting, intervals
from compatbench.evaluation.compiled import compiled


@pytest.fixture(scope="module", params=["compiled", "numpy"])
def way_to_count(request: pytest.FixtureRequest) -> Iterator[str]:
    """The way that counting, intervals and backfill curves take."""
    if request.param == "compiled" and compiled() is None:
        pytest.skip("counting.c was not compiled here")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            for module in (backfill, counting, intervals):
                patch.setattr(module, "compiled", lambda: None)
        yield request.param
