"""The contract on every dataset of the project, and on datasets that break it in one way each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.discovery.contract import Report, check
from compatbench.discovery.datasets import DATASETS

FILES = sorted(DATASETS.builtin.glob("[!_]*.py"))
OPTIONS = {name: {"path": "x"} for name in ("beir", "folder", "hub", "vectors")}

SOUND = '''
"""Stripes (ours)."""

from typing import Any, Literal

import numpy as np

from compatbench.data.dataset import Dataset, Split
from compatbench.data.family import Counts, Family, Options
from compatbench.errors import RequestError


class StripesOptions(Options):
    size: int = 8


class Stripes(Family[StripesOptions]):
    """Train is the first half, query = gallery the second."""

    name = "stripes"
    description = "stripes of ten widths"
    size = None
    licence = "CC0"
    options_type = StripesOptions
    published = Counts(train=100, query=100, train_classes=10, classes=10)

    def load(self, root, options, image_size):
        if not (root / "stripes").exists():
            raise RequestError("stripes are not here; draw some")
        labels = np.arange(200) % 10
        columns = np.arange(options.size) // (labels[:, None] + 1) % 2
        images = np.repeat((columns * 255).astype(np.uint8)[:, None, :, None], options.size, axis=3)
        test = Split.of(images[100:], labels[100:], 100)
        return Dataset(self.name, tuple("0123456789"), Split.of(images[:100], labels[:100], 0), test, test)

    def get(self, root, options, notify):
        return "stripes: made here"

    def missing(self, root, options):
        return () if (root / "stripes").exists() else (str(root / "stripes"),)
'''

BROKEN = {
    "imports": ("import numpy", "import nunpy", "the file does not import: ModuleNotFoundError"),
    "one class": ('    name = "stripes"\n', "", "one subclass of TrainingMethod or Adapter or Family with a `name`"),
    "name": ('name = "stripes"', 'name = "digits"', "the name 'digits' is taken by digits.py: choose another"),
    "valid name": ('name = "stripes"', 'name = "Stripes!"', "use lower-case letters, digits and _"),
    "description": ('description = "stripes of ten widths"', "description = ''", "description = '': give one line"),
    "licence": ('    licence = "CC0"\n', "", "licence = None: give one line of text"),
    "size": ("    size = None\n", "    size = '3 MB'\n", "size = '3 MB': give the bytes on disk, or None"),
    "options type": (
        "options_type = StripesOptions",
        "options_type = dict",
        "options_type must be Options, or",
    ),
    "abstract": ("def get(", "def fetch(", "Stripes has no get: write them"),
    "untyped option": ("size: int = 8", "size: Any = 8", "option size has the type Any: give the type"),
    "no default": ("size: int = 8", "size: int", "option size has no default: give it one, or check with --set size="),
    "extra": ("size: int = 8", 'size: int = 8\n    model_config = {"extra": "allow"}', "keep extra='forbid'"),
    "source": ("(ours)", "", "the docstring cites no source"),
    "no request error": ('raise RequestError("', 'raise OSError("', "load raises OSError without its files"),
    "nothing named": ("return () if", "return () if True or", "missing() names none of them: stripes are not here"),
    "too much named": ('if not (root / "stripes").exists():', "if False:", "load works without"),
    "labels": ("labels = np.arange(200) % 10", "labels = np.arange(200) % 10 + 1", "labels run from 1 to 10, outside"),
    "gap": ('tuple("0123456789")', 'tuple("0123456789x")', "no image has the label 10 (x): number"),
    "shared ids": ("labels[100:], 100)", "labels[100:], 99)", "1 training images are in query too, first id 99"),
    "float images": ("astype(np.uint8)", "astype(np.float32)", "images must be square uint8"),
    "published": ("query=100", "query=101", "published has query=101, and load gives 100: correct one of them"),
    "classes": ("classes=10)", "classes=11)", "published has classes=11, and load gives 10"),
    "random": ("columns * 255", "columns * np.random.randint(1, 255, columns.shape)", "two loads give different data"),
}


def run(tmp_path: Path, text: str, **options: Any) -> Report:
    (tmp_path / "stripes").mkdir()
    (tmp_path / "stripes.py").write_text(text.lstrip())
    return check(tmp_path / "stripes.py", tmp_path, options)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_dataset_keeps_the_contract(path: Path, tmp_path: Path) -> None:
    report = check(path, tmp_path, OPTIONS.get(path.stem, {}))
    assert report.passed, str(report)
    assert any(result.check in ("data", "fingerprint") for result in report.results)


def test_a_sound_file_passes_every_check(tmp_path: Path) -> None:
    report = run(tmp_path, SOUND, size=16)
    assert report.passed, str(report)
    assert [result.check for result in report.results] == [
        *("imports", "one class", "name", "declarations", "options", "source", "without files"),
        *("loads", "classes", "published counts", "fingerprint"),
    ]


def test_data_that_are_not_here_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "stripes.py").write_text(SOUND)
    report = check(tmp_path / "stripes.py", tmp_path)
    assert report.passed, str(report)
    assert report.results[-1].check == "data"
    assert f"not here, missing: {tmp_path / 'stripes'}" in report.results[-1].message


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_found_and_says_what_to_change(tmp_path: Path, fault: str) -> None:
    before, after, message = BROKEN[fault]
    assert before in SOUND
    report = run(tmp_path, SOUND.replace(before, after))
    assert len(report.failed) == 1 + (fault == "gap"), str(report)
    assert message in report.failed[0].message


def test_new_test_classes_are_new(tmp_path: Path) -> None:
    text = SOUND.replace("train_classes=10, classes=10", "train_classes=5, classes=10")
    text = text.replace("Split.of(images[:100], labels[:100], 0)", "Split.of(images[:100], labels[:100] // 2, 0)")
    report = run(tmp_path, text)
    assert "test classes are new ones, and class 0 has both training images and queries" in report.failed[0].message


def test_the_command_checks_methods_and_datasets_alike(tmp_path: Path) -> None:
    (tmp_path / "stripes.py").write_text(SOUND)
    (tmp_path / "stripes").mkdir()
    words = ["check", str(tmp_path / "stripes.py"), "--data", str(tmp_path), "--set", "size=x"]
    failed = CliRunner().invoke(app, words)
    assert failed.exit_code == 1
    assert "FAIL" in failed.output
    for sound in (words[:-2], ["check", "digits"], ["check", "l2"]):
        outcome = CliRunner().invoke(app, sound)
        assert outcome.exit_code == 0, outcome.output
        assert outcome.output.splitlines()[-1].endswith("keeps the contract")
