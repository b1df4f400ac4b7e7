"""The code of docs/adding-a-dataset.md: its files are written, and its commands run, through to a table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.discovery.contract import check
from compatbench.discovery.datasets import load

PAGE = (Path(__file__).parents[3] / "docs" / "adding-a-dataset.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with the files of the page's first example."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "stripes.py").write_text(blocks("python")[0])
    (tmp_path / "mine" / "stripes.yaml").write_text(blocks("yaml")[0])
    return tmp_path


def test_the_commands_run_through_to_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    said = {}
    for line in blocks("sh")[0].splitlines():
        program, *words = line.split()
        assert program == "compatbench"
        if words[0] == "run":
            subprocess.run([sys.executable, "-m", program, *words], check=True, timeout=280)
        else:
            ended = CliRunner().invoke(app, words)
            assert ended.exit_code == 0, f"{line}: {ended.exception}{ended.output}"
            said[" ".join(words[:2])] = ended.output
    assert "stripes.py: keeps the contract" in said["check mine/stripes.py"]
    assert "stripes: 1,000 drawings of stripes" in said["data list"]
    assert said["data check"] == "stripes: ok, 600 train, 400 query = gallery images, 10 classes\n"
    assert said["plan mine/stripes.yaml"].startswith(blocks("text")[0])
    table = (folder / "results" / "runs" / "stripes" / "README.md").read_text()
    assert re.search(r"^\| bct .*\d", table, flags=re.MULTILINE), table
    records = list((folder / "results" / "runs" / "stripes" / "records" / "extended_class").glob("*.json"))
    assert len(records) == 3
    assert all("--datasets mine" in path.read_text() for path in records)


def test_the_example_of_image_files_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(blocks("python")[1])
    images = tmp_path / "data" / "shapes" / "images"
    images.mkdir(parents=True)
    rows = []
    for number in range(12):
        shape = "circle" if number % 2 else "square"
        Image.new("RGB", (20, 10), (number * 20, 0, 0)).save(images / f"{number}.png")
        rows.append(f"{number}.png {shape} {'train' if number < 8 else 'test'}")
    (tmp_path / "data" / "shapes" / "list.txt").write_text("\n".join(rows) + "\n")
    report = check(tmp_path / "shapes.py", tmp_path / "data")
    assert report.passed, str(report)
    assert report.results[-1].check == "fingerprint"
    dataset = load("shapes", 8, tmp_path / "data", {}, [tmp_path])
    assert dataset.class_names == ("circle", "square")
    assert dataset.query.labels.tolist() == [1, 0, 1, 0]
    assert dataset.query.ids.tolist() == [8, 9, 10, 11]
