"""Names and summaries that are read from files, beside those that running the files gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compatbench.discovery.datasets import discover_datasets, known_datasets
from compatbench.discovery.plugins import discover, known_methods
from compatbench.errors import RequestError

METHOD = """
{imports}
from compatbench.method import TrainingMethod
(__import__("pathlib").Path(__file__).parent / "was_run").touch()

class Mine(TrainingMethod):
    '''Mine (ours).

    More of it.
    '''

    name = {name}
"""


def known(folder: Path, name: str = '"mine"', imports: str = "") -> tuple[dict[str, str], list[str], bool]:
    """Summaries by name of what is not built in, errors, and whether the file was run."""
    folder.mkdir()
    (folder / "mine.py").write_text(METHOD.format(name=name, imports=imports))
    found = known_methods([folder])
    own = {one: found.summaries[one] for one, path in found.paths.items() if path.parent == folder}
    return own, [one.error for one in found.broken], (folder / "was_run").exists()


@pytest.mark.parametrize(("read", "run"), [(known_methods, discover), (known_datasets, discover_datasets)])
def test_reading_the_built_in_files_tells_what_running_them_does(read, run) -> None:
    reading, running = read(), run()
    assert reading.paths == running.paths
    assert reading.summaries == running.summaries
    assert reading.names == sorted(running.plugins)
    assert not reading.plugins, "a built-in file was executed"


def test_a_file_that_tells_its_name_is_not_run(tmp_path: Path) -> None:
    assert known(tmp_path / "a") == ({"mine": "Mine (ours)."}, [], False)


def test_a_name_that_is_computed_is_known_by_running_the_file(tmp_path: Path) -> None:
    assert known(tmp_path / "a", '"mi" + "ne"') == ({"mine": "Mine (ours)."}, [], True)


@pytest.mark.parametrize(
    ("imports", "error"),
    [
        ("import no_such_package.part", "needs the package 'no_such_package': install it"),
        ("from no_such_package import part", "needs the package 'no_such_package': install it"),
        ("from ._absent import part", "ModuleNotFoundError"),
        ("from . import _absent", "ImportError"),
        ("def (", "SyntaxError"),
    ],
)
def test_what_would_not_load_is_named_with_its_error(tmp_path: Path, imports: str, error: str) -> None:
    own, errors, _ = known(tmp_path / "a", imports=imports)
    assert own == {}
    assert len(errors) == 1
    assert error in errors[0]


def test_an_invalid_name_is_named(tmp_path: Path) -> None:
    own, errors, _ = known(tmp_path / "a", '"My-Name"')
    assert own == {}
    assert "'My-Name' of Mine is not valid" in errors[0]


def test_two_of_one_name_are_refused_with_both_files(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"'bct': .*bct\.py and .*mine\.py"):
        known(tmp_path / "a", '"bct"')


def test_a_name_is_checked_without_running_its_file(tmp_path: Path) -> None:
    known(tmp_path / "a")
    found = known_methods([tmp_path / "a"])
    found.check("mine")
    with pytest.raises(RequestError, match=r"no method 'mien'; did you mean 'mine'\?"):
        found.check("mien")
    assert not (tmp_path / "a" / "was_run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["new", "bct"],
        ["check", "nobody"],
        ["data", "get", "digit"],
        ["plan", "digts"],
        ["run", "digits", "--methods", "bcd"],
        ["status", "digits", "--scenarios", "other"],
    ],
)
def test_the_command_line_answers_without_torch(words: list[str], tmp_path: Path) -> None:
    """What needs only names: lists, and words that are misspelt."""
    program = f"""
import sys
import compatbench.cli
sys.argv = ["compatbench", *{words}]
try:
    compatbench.cli.main()
finally:
    assert not {{"torch", "timm", "numpy"}} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == (0 if words in (["list"], ["--help"]) else 2), ended.stderr
    assert "AssertionError" not in ended.stderr
