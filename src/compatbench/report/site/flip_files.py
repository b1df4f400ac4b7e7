"""The files of a scenario's flips: a list for each row and, if the images are at hand, a sheet of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compatbench.records.store import row_name
from compatbench.report.plots.flip_sheet import Pictures, flip_sheet
from compatbench.report.render.to_csv import neutral
from compatbench.report.rows.flips import FlipList, SampleLookup
from compatbench.report.site.scenario_report import ScenarioReport


@dataclass(frozen=True)
class FlipFiles:
    """Paths of one row's files below the report's folder, and their contents."""

    label: str
    list: str
    sheet: str | None
    """None where no images are at hand or no query flips from right to wrong."""
    contents: Mapping[str, str]
    """By path."""


def flip_files(report: ScenarioReport, samples: SampleLookup | None) -> Sequence[FlipFiles]:
    """The files of every row, `flips/<scenario>/<label>.csv` and `.html`."""
    pictures = None if samples is None else Pictures(samples)
    found = []
    for flips in report.flip_lists:
        label = flips.row.label
        stem = f"flips/{report.scores.name}/{row_name(label)}"
        csv, html = f"{stem}.csv", f"{stem}.html"
        contents = {csv: flip_csv(flips, samples)}
        if flips.worst and pictures is not None:
            title = f"{label}, {report.title}: the worst negative flips"
            contents[html] = flip_sheet(flips, title, pictures)
        found.append(FlipFiles(label, csv, html if html in contents else None, contents))
    return found


def flip_csv(flips: FlipList, samples: SampleLookup | None) -> str:
    """The list as CSV; class and name of each query as far as `samples` know them."""
    frame = flips.flips
    if samples is not None:
        queries = frame["query"].unique().tolist()
        columns = {
            "label": {sample: neutral(samples.label(sample)) for sample in queries},
            "name": {sample: neutral(name) for sample in queries if (name := samples.name(sample))},
        }
        frame = frame.assign(**{key: frame["query"].map(known) for key, known in columns.items() if known})
    text: str = frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    return text
