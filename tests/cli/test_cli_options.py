"""How the words of options are read."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.cli.options import assignments, parse_seeds, ranking_number, split_folders, split_list
from compatbench.discovery.plugins import known_methods
from compatbench.errors import RequestError
from compatbench.plan.selection import select_methods
from compatbench.suite.suite import load_suite


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("a", ("a",)),
        (" a , b,,", ("a", "b")),
        ("bct(variant=old_classes, weight=2),l2", ("bct(variant=old_classes, weight=2)", "l2")),
        ("x(a=(1, 2), b=3),y", ("x(a=(1, 2), b=3)", "y")),
    ],
)
def test_lists_are_split_at_commas_outside_of_brackets(text: str, words: tuple[str, ...]) -> None:
    assert split_list(text) == words


def test_commas_alone_do_not_ask_for_everything() -> None:
    for split in (split_list, parse_seeds):
        with pytest.raises(RequestError, match="',' names nothing"):
            split(",")


def test_seeds_are_whole_numbers() -> None:
    assert parse_seeds("2, 0") == (2, 0)
    assert parse_seeds("") == ()
    for wrong in ("0.5", "a", "1 2"):
        with pytest.raises(RequestError, match="give whole numbers"):
            parse_seeds(wrong)


def test_folders_are_told_from_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "bct"):
        (tmp_path / name).mkdir()
    assert split_folders("mine,bct,./bct,other") == (("bct", "other"), (Path("mine"), Path("bct")))


def test_values_are_read_as_in_a_suite() -> None:
    words = ["crop=true", "path=a=b", " channels =1", "splits={train: x, test: y}", "none="]
    expected = {"crop": True, "path": "a=b", "channels": 1, "splits": {"train": "x", "test": "y"}, "none": None}
    assert assignments("--set", words, "crop=true") == expected
    assert assignments("--set", None, "crop=true") == {}


@pytest.mark.parametrize("word", ["gpu", "=x", "x=[", "x={a: 1, a: 2}", "x=2024-13-01", "x=" + "[" * 9999])
def test_what_is_no_assignment_is_named_with_its_option(word: str) -> None:
    with pytest.raises(RequestError) as refused:
        assignments("--option", [word], "slurm_partition=gpu")
    assert str(refused.value).startswith(f"--option {word}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("word", "number"),
    [("A", "backfill_share"), ("gamma", "update_gain"), ("Φ", "final_share"), ("update_gain", "update_gain")],
)
def test_a_number_to_rank_by_has_the_names_of_its_column(word: str, number: str) -> None:
    assert ranking_number(word) == number


def test_another_number_to_rank_by_is_refused() -> None:
    with pytest.raises(RequestError, match=r"--rank-by tax: give A \(while a backfill runs\), gamma"):
        ranking_number("tax")


def test_the_command_that_new_prints_runs_the_new_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["new", "my_two", "--folder", "my own"], catch_exceptions=False).output
    rows, folders = split_folders(shlex.split(said)[-1])
    assert [entry.name for entry in select_methods(load_suite("digits")[1], known_methods(folders), rows)] == [
        "independent",
        "my_two",
    ]


def test_a_row_of_two_settings_answers_to_the_label_that_the_suite_file_gives_it() -> None:
    found = select_methods(load_suite("icons_tuned")[1], known_methods(), ("advbct(variant=quantile)",))
    assert [entry.label for entry in found] == [
        "independent",
        "advbct(variant=quantile, tuned)",
        "advbct(variant=quantile, published)",
    ]
