"""The leaderboard as a whole: all suites of a folder, their planned cells, and warnings for its readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compatbench import PROTOCOL_VERSION
from compatbench.records.record import Record
from compatbench.report.rows.gaps import SuiteRows
from compatbench.report.rows.runs import file_of
from compatbench.report.site.scenario_report import ScenarioReport


@dataclass(frozen=True)
class BoardSuite(SuiteRows):
    """One suite of the leaderboard."""

    reports: tuple[ScenarioReport, ...]
    title: str
    outdated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What changed since, by the file of the record below the leaderboard's folder; such records are shown."""
    left_out: tuple[Record, ...] = ()
    """Outdated records that must not share a table with newer ones of the suite; they are in no table."""
    older: Mapping[int, int] = field(default_factory=dict)
    """Records of other versions of the protocol, by version; they are in no table."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons not to trust its tables, one line each."""
        lines = [
            f"{self.name}, {one.scores.name}: {problem}" for one in self.reports for problem in one.banner.problems
        ]
        reasons = Counter(reason for several in self.outdated.values() for reason in several)
        lines += [
            f"{self.name}: {_count(number)} outdated, run before a change: {reason}"
            for reason, number in sorted(reasons.items())
        ]
        if self.left_out:
            files = ", ".join(file_of(record) for record in self.left_out[:3])
            more = f" and {len(self.left_out) - 3} more" if len(self.left_out) > 3 else ""
            lines.append(
                f"{self.name}: {_count(len(self.left_out))} left out, of other code or settings than the "
                f"newer ones beside them: {files}{more}"
            )
        lines += _other_protocols(self.name, self.older)
        return tuple(lines)


@dataclass(frozen=True)
class Board:
    """All suites in a leaderboard's folder."""

    suites: tuple[BoardSuite, ...]
    """By name; each has at least one report."""
    untold: tuple[BoardSuite, ...] = ()
    """Suites all of whose records are of other versions of the protocol."""

    @classmethod
    def of(cls, suites: Iterable[BoardSuite]) -> Board:
        """The board of `suites`, with or without reports."""
        everything = tuple(suites)
        return cls(tuple(one for one in everything if one.reports), tuple(one for one in everything if not one.reports))

    @property
    def reports(self) -> tuple[ScenarioReport, ...]:
        """All scenarios of all suites."""
        return tuple(report for suite in self.suites for report in suite.reports)

    @property
    def records(self) -> list[Record]:
        """All records in tables."""
        return [record for report in self.reports for row in report.rows for record in row.runs.records]

    @property
    def checked(self) -> list[str]:
        """Rows with a tested expectation in some scenario."""
        return sorted({label for report in self.reports for label in report.banner.checked})

    @property
    def protocol(self) -> int:
        """The version of the protocol of all tables."""
        return PROTOCOL_VERSION

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of all suites; empty if controls behave as expected and every record is of this protocol and up to date."""
        return tuple(line for suite in (*self.suites, *self.untold) for line in suite.warnings)


def _other_protocols(suite: str, records: Mapping[int, int]) -> list[str]:
    """How many records of each other version of the protocol are in no table, one line each."""
    return [
        f"{suite}: {_count(number)} left out, measured under protocol {version}; tables are of protocol "
        f"{PROTOCOL_VERSION}"
        for version, number in sorted(records.items())
    ]


def _count(records: int) -> str:
    return "1 record is" if records == 1 else f"{records} records are"
