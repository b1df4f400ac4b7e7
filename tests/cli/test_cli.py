"""The command line as a user meets it: exit codes, one-line errors, and a whole run."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer
from rich.console import Console

from compatbench import cli
from compatbench.cli import bench
from compatbench.cli.bench import prepare
from compatbench.cli.console import plain_console
from compatbench.errors import RequestError
from compatbench.execution import choice
from compatbench.execution.executor import Watcher
from compatbench.plan.cells import Cell
from compatbench.plan.selection import Selection
from compatbench.records.record import Record, read_record
from compatbench.records.store import Store
from compatbench.report.site.page_data.packing import unpacked
from compatbench.suite.times import times_file, write_times

VARIANT = "bct(variant=prototypes)"
TINY = (
    "title: tiny\ndataset: digits\nimage_size: 16\ntrain_limit: 50\nquery_limit: 30\nindex_search: []\n"
    "recipe: {epochs: 1}\ndefaults: {backbone: test_vit, dim: 4}\nscenarios: {one: [{share: 0.2}, {}]}\n"
    "methods: [own, etf, {name: bct, params: {variant: prototypes}}]\n"
)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs `compatbench …` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["compatbench", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


def real(folder: Path, *words: str) -> Outcome:
    """Runs `compatbench …` as a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "compatbench", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


OWN = """
from compatbench.method import TrainingMethod

class Own(TrainingMethod):
    \"""Trains as without it.\"""

    name = "own"

    def loss(self, batch, new, old):
        return {}
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A run of one's own suite and method as a process of its own, and its folder."""
    root = tmp_path_factory.mktemp("first")
    (root / "suites").mkdir()
    (root / "suites" / "tiny.yaml").write_text(TINY)
    (root / "mine").mkdir()
    (root / "mine" / "own.py").write_text(OWN)
    return root, real(root, "run", str(root / "suites" / "tiny.yaml"), "--methods", str(root / "mine"))


@pytest.fixture
def ran(first: tuple[Path, Outcome], tmp_path: Path) -> Outcome:
    """That run, in this test's folder."""
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    return first[1]


def test_a_run_writes_records_and_tables_and_the_next_finds_nothing_to_do(
    tmp_path: Path, ran: Outcome, command: Command
) -> None:
    assert ran.code == 0, ran.err
    assert "tiny: 4 of 4 cells to run, " in ran.out
    for line in ("[1/4] skipped one · etf · seed 0", "[2/4] ok      one · independent · seed 0"):
        assert line in ran.out
    assert f" ok      one · {VARIANT} · seed 0" in ran.out
    folder = tmp_path / "results" / "runs" / "tiny"
    records = sorted((folder / "records" / "one").glob("*.json"))
    assert [path.name.partition("--")[0] for path in records] == ["bct_variant=prototypes", "etf", "independent", "own"]
    row = next(line for line in ran.out.splitlines() if line.startswith(VARIANT))
    record = read_record(records[0])
    values = {ref.at: record.metric("mAP", *ref.at).value for ref in record.arrays}
    shown = " ".join(f"{100 * values[at]:.1f}" for at in (("0", "0"), ("1", "0"), ("1", "1")))
    assert f" {shown} " in " ".join(row.split())
    assert "○ not ranked: 10 classes, fewer than 50, and no judgements" in ran.out.splitlines()
    assert "○ one seed: no verdicts" in ran.out.splitlines()
    for name in ("README.md", "index.html"):
        assert VARIANT in unpacked((folder / name).read_text())

    words = ["run", "suites/tiny.yaml", "--methods", "mine"]
    second = command(*words)
    assert second.code == 0
    assert second.out.startswith("all 4 cells up to date\n")
    assert row in second.out
    done, page = second.out.splitlines()[-2:]
    assert done.startswith("up to date: ")
    assert page.endswith("index.html"), "the path of the page is last"
    page = folder / "index.html"
    whole = page.read_bytes()
    page.write_bytes(whole[:1000])
    assert command(*words).out.splitlines()[-2].startswith("written: ")
    assert page.read_bytes() == whole
    assert "Time not measured: compatbench time tiny." in unpacked(whole.decode())
    write_times(times_file(tmp_path / "suites" / "tiny.yaml"), "a processor", 48, {VARIANT: (2.5, 2.5)})
    assert command(*words).out.splitlines()[-2].startswith("written: ")
    assert "median of 2 repeats of 48 steps" in unpacked(page.read_text())
    assert "2.5" in (folder / "tables" / "one-costs.csv").read_text().split(VARIANT)[1].split(",")[1:4]
    (tmp_path / "suites" / "tiny.yaml").write_text(TINY.replace("}}]", "}}, l2]"))
    planned = command("plan", "suites/tiny.yaml", "--methods", f"{VARIANT},l2,mine")
    assert planned.code == 0
    assert planned.out.splitlines()[2:5] == [
        "ok       one · independent · seed 0",
        f"ok       one · {VARIANT} · seed 0  ← independent 0, independent 1",
        "to run   one · l2 · seed 0  ← independent 0, independent 1",
    ]
    assert "1 of 3 cells to run" in planned.out

    failed = json.loads(records[0].read_text()) | {"status": "failed", "reason": "apples", "metrics": [], "arrays": []}
    records[0].write_text(json.dumps(failed))
    third = command("run", "suites/tiny.yaml", "--methods", f"{VARIANT},mine")
    assert third.code == 1
    assert third.out.startswith("all 2 cells up to date\n")
    assert "1 cells did not succeed; --retry (make bench RETRY=1) runs them again" in third.out


def test_recorded_commands_run_their_cells_of_ones_own_suite_and_methods(
    tmp_path: Path, ran: Outcome, command: Command
) -> None:
    assert ran.code == 0, ran.err
    records = [json.loads(path.read_text()) for path in (tmp_path / "results" / "runs").rglob("*--seed0--*.json")]
    assert sorted(record["status"] for record in records) == ["ok", "ok", "ok", "skipped"]
    for record in records:
        words = shlex.split(record["command"])
        assert words[:3] == ["compatbench", "run", "suites/tiny.yaml"]
        again = command(*words[1:])
        assert (again.code, again.err) == (0, "")
        cells = 1 if record["spec"]["method"]["name"] == "independent" else 2
        assert again.out.startswith(f"all {cells} cells up to date\n"), again.out
    assert command("verify").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "digts"], "no suite 'digts'; did you mean 'digits'?"),
        (["plan", "none.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["run", "digits", "--methods", "bctt"], "no method 'bctt'; did you mean 'bct'?"),
        (["run", "digits", "--scenarios", "backbone"], "the suite has no scenario 'backbone'"),
        (["run", "digits", "--seeds", "0,one"], "--seeds 0,one: give whole numbers, e.g. --seeds 0,1,2"),
        (
            ["run", "digits", "--methods", "l2", "--runs", "file/runs"],
            "--runs file/runs: cannot be written: Not a directory",
        ),
        (["check", "nobody"], "no method or dataset nobody"),
        (["data", "get", "digit"], "no dataset 'digit'; did you mean 'digits'?"),
        (["plan", "wrong.yaml"], "wrong.yaml: recipe.epoch: unknown key; did you mean 'epochs'?"),
        (["plan", "unknown.yaml"], "suite unknown.yaml, methods: no method 'bctt'; did you mean 'bct'?"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    command: Command, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    suite = "title: t\ndataset: digits\nimage_size: 16\ndefaults: {backbone: test_vit}\nscenarios: {one: [{}, {}]}\n"
    (tmp_path / "wrong.yaml").write_text(suite + "recipe: {epoch: 1}\nmethods: [bct]\n")
    (tmp_path / "unknown.yaml").write_text(suite + "recipe: {epochs: 1}\nmethods: [bctt]\n")
    outcome = command(*words)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {message}")
    assert len(outcome.err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.json")), "something ran"


def test_too_little_memory_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda: np.empty(2**58))
    ended = command("compare")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert ended.err.startswith("error: not enough memory (Unable to allocate 2.00 EiB")


def test_exit_codes_of_real_processes(tmp_path: Path) -> None:
    wrong = real(tmp_path, "run", "digts")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "error: no suite 'digts'; did you mean 'digits'?; or give a path to a .yaml file\n"
    assert real(tmp_path, "--help").code == 0
    misspelt = real(tmp_path, "runn")
    assert misspelt.code == 2
    assert "runn" in misspelt.err


def test_what_there_is(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken.py").write_text("import torch\nx: list[int] = [0][1]\n")
    listed = command("list", "--methods", "mine")
    assert listed.code == 0
    lines = listed.out.splitlines()
    assert "  digits                  Digits (smoke)" in lines
    assert any(line.startswith("  bct                     Backward-compatible training, BCT (Shen") for line in lines)
    broken = next(line for line in lines if line.startswith("  broken"))
    assert "does not load: " in broken
    assert broken.endswith("mine/broken.py: IndexError: list index out of range")


def test_a_plan_gives_the_reasons_to_skip(command: Command, tmp_path: Path) -> None:
    (tmp_path / "narrow.yaml").write_text(
        "title: narrow\ndataset: digits\nimage_size: 16\ntrain_limit: 50\nrecipe: {epochs: 1}\n"
        "defaults: {backbone: test_vit, dim: 4}\nscenarios: {one: [{}, {}]}\nmethods: [etf]\n"
    )
    planned = command("plan", "narrow.yaml")
    assert planned.code == 0
    reason = "its frame of 10 classes needs 9 dimensions, not 4"
    assert planned.out.splitlines()[3] == f"skip     one · etf · seed 0  ({reason})"


def test_without_records_no_data_are_fetched_for_a_report(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "prepare", lambda *arguments, **options: pytest.fail("it reads the data"))
    assert command("report", "fashion") == Outcome(0, "no records yet: run the suite first\n", "")
    assert command("report", "fashon").code == 2


def test_a_report_says_which_records_it_leaves_out_and_why(command: Command, tmp_path: Path) -> None:
    text = (
        "title: narrow\ndataset: digits\nimage_size: 16\ntrain_limit: 50\nrecipe: {epochs: 1}\n"
        "defaults: {backbone: test_vit, dim: 4}\nscenarios: {one: [{}, {}]}\nmethods: [etf]\n"
    )
    (tmp_path / "narrow.yaml").write_text(text)
    bench = prepare("narrow.yaml", Selection(), Store(Path("results/runs")), Path("data"), (), print)
    path = bench.store.record(bench.cells[0].spec)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema_version": 99}')
    path.with_name("etf--seed0--000000000000.json").write_text("{}")
    lines = command("report", "narrow.yaml").out.splitlines()
    assert lines[0].startswith(f"left out: {path}: schema version 99, where this CompatBench reads 1 to ")
    assert lines[1].startswith(
        "left out: records of seeds, methods, settings or data that this command does not have (1): "
    )
    assert lines[1].endswith("etf--seed0--000000000000.json")
    assert lines[-1] == "no records yet: run the suite first"


class Interrupted(io.StringIO):
    """Ctrl-C comes when the first line of a cell is written, before whoever writes it notes that."""

    def flush(self) -> None:
        if self.getvalue().count("[1/") == 1 and "interrupted" not in self.getvalue():
            raise KeyboardInterrupt


def test_an_interrupted_run_numbers_no_two_cells_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    class Executor:
        def run(self, cells: Sequence[Cell], watcher: Watcher) -> None:
            watcher.finished(cells[0], record)

    monkeypatch.setattr(choice, "make_executor", lambda *words: Executor())
    (tmp_path / "tiny.yaml").write_text(TINY.replace("own, etf, ", ""))
    ready = prepare(str(tmp_path / "tiny.yaml"), Selection(), Store(tmp_path), tmp_path, (), print)
    output = Interrupted()
    with pytest.raises(typer.Exit):
        bench.run(ready, ready.cells, 1, Console(file=output))
    first, last = output.getvalue().splitlines()
    assert first.startswith("[1/2] ok")
    assert last == "interrupted: 1 of 2 cells are done and kept; the same command goes on with the rest"


def test_a_run_that_is_interrupted_before_its_first_cell_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "fetch_weights", stop)
    (tmp_path / "tiny.yaml").write_text(TINY.replace("own, etf, ", ""))
    ready = prepare(str(tmp_path / "tiny.yaml"), Selection(), Store(tmp_path), tmp_path, (), print)
    output = io.StringIO()
    with pytest.raises(typer.Exit):
        bench.run(ready, ready.cells, 1, Console(file=output))
    assert output.getvalue().startswith("interrupted: 0 of 2 cells are done and kept")


def test_options_of_another_executor_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.replace("own, etf, ", ""))
    ready = prepare(str(tmp_path / "tiny.yaml"), Selection(), Store(tmp_path), tmp_path, (), print)
    with pytest.raises(RequestError, match=r"^--option gpus is of --executor slurm, not of local$"):
        bench.run(ready, ready.cells, 1, Console(file=io.StringIO()), choice.Choice(options={"gpus": 1}))


def test_brackets_and_colons_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    plain_console().print("[bold]list[int] [/x] :smile:")
    assert capsys.readouterr().out == "[bold]list[int] [/x] :smile:\n"


def test_datasets_are_listed_found_and_checked(command: Command) -> None:
    assert "digits: " in command("data", "list").out
    assert command("data", "get", "digits").code == 0
    checked = command("data", "check", "digits")
    assert checked.code == 0
    assert checked.out == "digits: ok, 1,000 train, 797 query = gallery images, 10 classes\n"
