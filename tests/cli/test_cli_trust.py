"""The commands verify, submit, tables and reproduce: exit codes and what they say."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from compatbench import cli
from compatbench.execution.cell import RunContext
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.trust import reproduce as reproducing
from compatbench.trust.reproduce import Reproduction

HISTORIC = Path(__file__).parents[1] / "historic" / "version_1"


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["compatbench", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(HISTORIC, Path("results/runs")))


def test_verify_says_what_it_checked(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "verify", "--runs", "none") == 0
    assert "no records in results/leaderboard or none" in capsys.readouterr().out
    assert command(monkeypatch, "verify") == 0
    assert "results/runs: 2 records, 0 problems, " in capsys.readouterr().out
    assert command(monkeypatch, "verify", "--methods", "bct") == 0
    assert "results/runs: 1 records, 0 problems, " in capsys.readouterr().out
    assert command(monkeypatch, "verify", str(runs.resolve())) == 0, "a folder, too"
    assert "results/runs: 2 records, 0 problems, " in capsys.readouterr().out
    assert command(monkeypatch, "verify", "histroic") == 2
    assert "no records of 'histroic' in results/leaderboard or results/runs" in capsys.readouterr().err
    [path] = runs.rglob("bct--*.json")
    path.write_text(path.read_text().replace('"epochs": 1', '"epochs": 2', 1))
    assert command(monkeypatch, "verify", "historic") == 1
    assert f"FAIL  {path.relative_to(runs)}: its spec_hash is not" in capsys.readouterr().out


def test_a_new_run_of_a_frozen_trunk_takes_and_leaves_this_machines_features(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[list[str]] = []

    def again(record: Record, context: RunContext, *rest: object, **others: object) -> Reproduction:
        features = Store(context.runs).features
        seen.append(sorted(path.name for path in features.iterdir()))
        (features / f"{len(seen)}.npy").touch()
        return Reproduction(record, "", 0.0, [])

    def frozen(records: Sequence[Record], count: int, seed: int) -> list[Record]:
        chain = tuple(one.model_copy(update={"frozen": True}) for one in records[0].spec.generations)
        spec = records[0].spec.model_copy(update={"generations": chain})
        return count * [records[0].model_copy(update={"spec": spec})]

    monkeypatch.setattr(reproducing, "reproduce", again)
    monkeypatch.setattr(reproducing, "drawn", frozen)
    (runs / "features").mkdir()
    (runs / "features" / "0.npy").touch()
    command(monkeypatch, "verify", "--retrain", "2")
    assert capsys.readouterr().out.count("reproduced to the last bit") == 2
    assert seen == [["0.npy"], ["0.npy", "1.npy"]]
    assert (runs / "features" / "2.npy").is_file()


def test_wrong_requests_are_one_line(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "submit", "digits") == 2
    assert "suite 'digits' has no records to submit; run it first" in capsys.readouterr().err
    assert command(monkeypatch, "reproduce", "none.json") == 2
    assert "none.json: not a readable record" in capsys.readouterr().err
    [path] = runs.rglob("bct--*.json")
    path.write_text(re.sub('"source_hash": "[0-9a-f]{64}"', f'"source_hash": "{"0" * 64}"', path.read_text()))
    assert command(monkeypatch, "reproduce", str(path)) == 2
    assert "its source changed; check out the commit" in capsys.readouterr().err


def test_tables_writes_the_pages_of_a_leaderboard_again(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "tables") == 2
    assert "results/leaderboard: contains no records; put some there with" in capsys.readouterr().err
    runs.rename("results/leaderboard")
    assert command(monkeypatch, "tables") == 2
    told = "historic: 2 records are left out, measured under protocol 1; tables are of protocol 2"
    assert told in capsys.readouterr().err
    for path in Path("results/leaderboard").rglob("*.json"):
        text = path.read_text().replace('"protocol_version": 1', '"protocol_version": 2')
        path.write_text(text.replace('"protocol": 1', '"protocol": 2'))
    Path("README.md").write_text("<!-- begin: compatbench leaderboard historic -->\n<!-- end -->\n")
    assert command(monkeypatch, "tables") == 0
    assert " files written from the records in results/leaderboard" in capsys.readouterr().out
    for page in (Path("results/README.md"), Path("README.md")):
        assert "> - historic: 2 records are outdated, run before a change: there is no suite" in page.read_text()
    assert command(monkeypatch, "verify") == 1
    told = capsys.readouterr().out
    assert "outdated: there is no suite 'historic' any more" in told
    assert "is not what the records give" not in told
