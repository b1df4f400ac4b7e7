"""How long the command line takes to answer: whole processes, from the start of Python to its end."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 5
RUNS = Path("results/runs")

Answer = Callable[..., None]


def compatbench(*words: str, code: int = 0) -> str:
    """Run `compatbench …` as a process of its own, and return what it printed."""
    done = subprocess.run([sys.executable, "-m", "compatbench", *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def answer(benchmark: BenchmarkFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Times a command: after a first time, which fills the caches of the system and of encoders.

    `ratio` is the seconds that it may take on a quiet machine to those that it took.
    """
    monkeypatch.setenv("COMPATBENCH_CACHE", str(tmp_path / "cache"))

    def ask(target: float, expected: str, *words: str, code: int = 0) -> None:
        assert expected in compatbench(*words, code=code)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        benchmark.pedantic(compatbench, args=words, kwargs={"code": code}, rounds=ROUNDS)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        benchmark.extra_info["cpu_seconds"] = spent / ROUNDS
        assert benchmark.stats is not None
        benchmark.extra_info["ratio"] = target / benchmark.stats.stats.median
        benchmark.extra_info["ratio_of"] = f"{target:g} s / {' '.join(words[:2])}"

    return ask


@pytest.mark.benchmark(group="command line")
def test_help(answer: Answer) -> None:
    answer(0.3, "Benchmark backward-compatible embeddings", "--help")


@pytest.mark.benchmark(group="command line")
def test_list(answer: Answer) -> None:
    answer(1.0, "fashion_mnist", "list")


@pytest.mark.benchmark(group="command line")
def test_new(answer: Answer, tmp_path: Path) -> None:
    """A name that is taken: every method is looked at, and nothing is written."""
    answer(1.0, "the name 'bct' is taken by", "new", "bct", "--folder", str(tmp_path), code=2)


@pytest.mark.benchmark(group="command line")
@pytest.mark.parametrize(
    ("words", "hint"),
    [(["plan", "fashon"], "did you mean 'fashion'?"), (["run", "fashion", "--methods", "bctt"], "did you mean 'bct'?")],
    ids=["suite", "method"],
)
def test_a_misspelt_word(answer: Answer, words: list[str], hint: str) -> None:
    answer(1.0, hint, *words, code=2)


@pytest.mark.benchmark(group="command line")
def test_plan(answer: Answer, tmp_path: Path) -> None:
    answer(4.0, "36 of 36 cells to run", "plan", "fashion", "--runs", str(tmp_path))


@pytest.mark.benchmark(group="command line")
def test_a_run_with_nothing_to_do(answer: Answer) -> None:
    if "0 of 36 cells to run" not in compatbench("plan", "fashion", "--runs", str(RUNS)):
        pytest.skip("the suite fashion has cells to run: `make bench` first")
    answer(5.0, "all 36 cells up to date", "run", "fashion", "--runs", str(RUNS))
