"""The result of a comparison in Python: a table, the verdict, and a page in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from compatbench.comparison.api.keywords import by_keywords
from compatbench.comparison.backfill_tables import sentences
from compatbench.comparison.comparison import Comparison
from compatbench.comparison.plot import CAPTION, gains_svg
from compatbench.comparison.tables import scores_table
from compatbench.comparison.write import prepare_folder, write_comparison
from compatbench.evaluation.arrays import QueryResults
from compatbench.report.render.table import Place
from compatbench.report.render.to_csv import to_csv
from compatbench.report.render.to_html import to_html
from compatbench.report.render.to_markdown import to_markdown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What `compatbench.compare` returns; a notebook shows it as verdict, plot and table."""

    comparison: Comparison
    """Every number with its interval."""
    results: Mapping[str, QueryResults]
    """Per query, by system."""

    @property
    def verdict(self) -> str:
        """The verdict and its remarks, a line each; the first line answers the question."""
        return "\n".join((*self.comparison.verdict, *sentences(self.comparison)))

    @property
    def notices(self) -> list[str]:
        """What was left out or decided, and warnings about the index."""
        return [by_keywords(notice.text) for notice in self.comparison.notices]

    def table(self) -> pd.DataFrame:
        """The references and adapters, best gain first, with intervals as `…_low` and `…_high`; scores in points."""
        import pandas as pd

        return pd.read_csv(StringIO(to_csv(scores_table(self.comparison))), index_col="name")

    def to_dict(self) -> dict[str, Any]:
        """Everything, as in `compare.json`."""
        return self.comparison.model_dump(mode="json")

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write `compare.json`, `index.html`, `README.md` and the tables into `folder`, and return it.

        Raises RequestError where a comparison is there and `force` does not replace it.
        """
        place = prepare_folder(Path(folder), force=force)
        write_comparison(self.comparison, self.results, place)
        return place

    def __repr__(self) -> str:
        return f"{to_markdown(scores_table(self.comparison).narrow(Place.COMPACT))}\n{self.verdict}"

    def _repr_html_(self) -> str:
        verdict, *remarks = self.verdict.splitlines()
        lines = Markup().join(Markup("<li>{}</li>").format(line) for line in (*remarks, *self.notices))
        return Markup("<div><p><b>{}</b></p>{}<p><small>{}</small></p>{}<ul>{}</ul></div>").format(
            verdict,
            gains_svg(self.comparison),
            CAPTION.format(self.comparison.metric),
            to_html(scores_table(self.comparison).narrow(Place.COMPACT)),
            lines,
        )
