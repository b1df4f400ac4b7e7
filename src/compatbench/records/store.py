"""The folder of runs: records, models, embeddings, per-query arrays, logs, and the names they go by.

runs/<suite>/records/<scenario>/<method>--seed<s>--<hash>.json     one a cell
runs/<suite>/tuning/<scenario>/…                                  one a trial of parameters
runs/<suite>/logs/…                                               one a cell
runs/<suite>/{README.md,index.html,tables/}                        the report
runs/{features,models,embeddings,indexes,evaluations,arrays}/               shared by all suites, named by content
"""

from __future__ import annotations

import re
from pathlib import Path

from compatbench.records.record import CellSpec
from compatbench.storage.canonical import digest

SHORT_HASH = 12
PACKED = ".zip"
"""Ends the name of a file of the leaderboard with all records of a scenario."""


class Store:
    """Paths below one runs folder; makes no files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models = root / "models"
        self.features = root / "features"
        self.embeddings = root / "embeddings"
        self.indexes = root / "indexes"
        self.evaluations = root / "evaluations"
        self.arrays = root / "arrays"
        self.thumbnails = root / "thumbnails"
        """On the leaderboard alone: pictures of the samples that its page shows, one file a dataset."""
        self.speed = root / "speed.json"
        """Results of `make speed`, shown in every report."""

    def suite(self, suite: str) -> Path:
        """Folder of one suite's records, logs and report."""
        return self.root / suite

    def records(self, suite: str) -> Path:
        """Folder of one suite's records."""
        return self.suite(suite) / "records"

    def record_files(self, suite: str) -> list[Path]:
        """The files of one suite's records, in a fixed order."""
        return sorted(self.records(suite).rglob("*.json"))

    def record(self, spec: CellSpec) -> Path:
        """The file of one cell's record: readable, and unique by the hash of the spec."""
        trial = spec.test_classes == "held_out"
        folder = self.suite(spec.suite) / "tuning" if trial else self.records(spec.suite)
        return folder / spec.scenario / f"{_cell_name(spec)}.json"

    def packed(self, spec: CellSpec) -> Path:
        """The file with the record of one cell, and all others of its scenario, on the leaderboard."""
        return self.records(spec.suite) / f"{spec.scenario}{PACKED}"

    def log(self, spec: CellSpec) -> Path:
        """The file for the prints of one cell."""
        return self.suite(spec.suite) / "logs" / spec.scenario / f"{_cell_name(spec)}.log"


def spec_hash(spec: CellSpec) -> str:
    """Canonical hash of a cell: the same for the same comparison, whatever the order of keys."""
    return digest(spec.model_dump(mode="json"))


def row_name(label: str) -> str:
    """What a row's label is in the names of its files; the rows of a suite differ in it."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "_", label).strip("_.")[:80]


def _cell_name(spec: CellSpec) -> str:
    return f"{row_name(spec.method.label)}--seed{spec.seed}--{spec_hash(spec)[:SHORT_HASH]}"
