from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.discovery.datasets import discover_datasets
from compatbench.errors import RequestError


def run(*words: str | Path):
    return CliRunner().invoke(app, ["data", *map(str, words)])


def test_every_dataset_is_listed_with_size_licence_and_place(tmp_path: Path) -> None:
    lines = run("list", "--data", tmp_path).output.splitlines()
    families = discover_datasets().plugins
    assert len(lines) == 3 * len(families)
    for place, (name, family) in enumerate(sorted(families.items())):
        head, facts, state = lines[3 * place : 3 * place + 3]
        assert head == f"{name}: {family.description}"
        assert facts.endswith(f"licence: {family.licence}")
        if name not in ("digits", "folder", "hub", "fashion_mnist", "beir", "vectors"):
            assert state.startswith(f"    in {family.link(tmp_path)}, missing: {family.link(tmp_path)}/")
    text = "\n".join(lines)
    assert "155.0 GB; licence: non-commercial research" in text
    assert "184 MB; licence" in text
    assert lines[lines.index("digits: 1,797 handwritten digits, 8x8 grey, 10 classes") + 2] == (
        "    here, nothing is missing"
    )
    assert "dataset 'folder', option path: is required: a suite's dataset_options, or --set" in text


def test_some_datasets_are_listed_by_name(tmp_path: Path) -> None:
    lines = run("list", "svhn", "cub200", "--data", tmp_path).output.splitlines()
    assert [lines[0].partition(":")[0], lines[3].partition(":")[0], len(lines)] == ["svhn", "cub200", 6]
    assert "did you mean 'cub200'?" in str(run("list", "cub20", "--data", tmp_path).exception)


def write_faces(folder: Path) -> None:
    for name in ("train/x/1.jpg", "train/y/1.jpg", "lfw/A/A_0001.jpg", "lfw/A/A_0002.jpg", "lfw/B/B_0001.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "list.txt").write_text("1\t1\nA\t1\t2\nA\t1\tB\t1\n")


def test_files_that_are_elsewhere_are_linked_and_checked(tmp_path: Path) -> None:
    write_faces(tmp_path / "elsewhere")
    data = tmp_path / "data"
    get = run("get", "faces", "--from", tmp_path / "elsewhere", "--set", "pairs=list.txt", "--data", data)
    assert get.output == "faces: ready\n"
    assert (data / "faces").resolve() == (tmp_path / "elsewhere").resolve()
    check = run("check", "faces", "--data", data, "--set", "pairs=list.txt", "--set", "identity=folder")
    assert check.output == "faces: ok, 2 train, 3 query = gallery images, 4 classes\n"
    assert (
        run("get", "faces", "--from", tmp_path / "elsewhere", "--set", "pairs=list.txt", "--data", data).exit_code == 0
    )
    failed = run("get", "faces", "--from", tmp_path / "elsewhere", "--set", "pairs=none.txt", "--data", tmp_path / "b")
    assert isinstance(failed.exception, RequestError)
    assert not (tmp_path / "b" / "faces").is_symlink()
    (tmp_path / "elsewhere" / "train/x/1.jpg").write_text("no image")
    broken = run("check", "faces", "--data", data, "--set", "pairs=list.txt")
    assert isinstance(broken.exception, RequestError)
    assert "train/x/1.jpg (no image of a known format)" in str(broken.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get", "digits", "--from", "."], "dataset 'digits' has no folder of its own"),
        (["get", "cub200", "--from", "nowhere"], "--from nowhere: there is no such folder"),
        (["get", "market1501", "--from", "."], "is there already; remove it first"),
        (["check", "cub200", "--set", "crop"], "--set crop: give name=value, e.g. --set path="),
        (["check", "cub200", "--set", "crop=[1"], "--set crop=[1: not valid YAML: line 1: "),
        (["check", "cub200", "--set", "crp=true"], "dataset 'cub200', option crp: unknown key; did you mean 'crop'?"),
        (["check", "cub200", "--set", "crop=true"], "dataset 'cub200' is not complete, missing: "),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "market1501").mkdir()
    outcome = run(*words, "--data", tmp_path)
    assert isinstance(outcome.exception, RequestError)
    assert message in str(outcome.exception)
