"""The commands `fit` and `apply` on files, against the library called by hand."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.data.vectors import embeddings
from compatbench.data.vectors.embeddings import read_table
from compatbench.errors import RequestError
from compatbench.generations import adapters

IDS = np.array([f"item {row}" for row in range(50)])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Paired embeddings `new.npy` and `old.npy`, the same with ids and labels as `new.npz` and `old.npz` (shuffled)."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(50, 4))
    new = (hidden @ generator.normal(size=(4, 6))).astype(np.float32)
    old = (hidden @ generator.normal(size=(4, 5))).astype(np.float32)
    labels, shuffled = np.arange(50) % 4, generator.permutation(50)
    np.save("new.npy", new)
    np.save("old.npy", old)
    np.save("labels.npy", labels)
    np.savez("new.npz", vectors=new, ids=IDS, labels=labels)
    np.savez("old.npz", vectors=old[shuffled], ids=IDS[shuffled])
    return {"new": torch.from_numpy(new), "old": torch.from_numpy(old), "labels": labels}


def run(*words: str) -> str:
    """What a command prints. Raises what it raises."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_fit_and_apply_do_what_the_library_does(files: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "BLOCK_ROWS", 16)
    output = run("fit", "old.npy", "new.npy", "-o", "a.safetensors", "--method", "ridge", "--param", "epsilon=1e-3")
    assert "written: a.safetensors: ridge, 6 → 5 dimensions, fitted on 50 pairs" in output
    assert "written: q.npy: 50 × 5" in run("apply", "a.safetensors", "new.npy", "-o", "q.npy")
    by_hand = adapters.fit("ridge", files["old"], files["new"], params={"epsilon": 1e-3}).query(files["new"])
    assert np.allclose(np.load("q.npy"), by_hand.numpy(), atol=1e-6)
    cosine = torch.nn.functional.cosine_similarity(by_hand, files["old"]).mean()
    assert f"mean cosine of a mapped new vector and its old one: {cosine:.3f}" in output


def test_rows_are_paired_by_id_and_keep_their_ids(files: dict[str, Any]) -> None:
    run("fit", "old.npz", "new.npz", "-o", "a.safetensors")
    run("apply", "a.safetensors", "new.npz", "-o", "q.parquet")
    mapped = read_table(Path("q.parquet"))
    assert mapped.ids is not None
    assert mapped.ids.tolist() == IDS.tolist()
    by_hand = adapters.fit("procrustes", files["old"], files["new"]).query(files["new"])
    assert np.allclose(mapped.vectors, by_hand.numpy(), atol=1e-6)


def test_every_side_is_applied(files: dict[str, Any]) -> None:
    few = ["--param", "epochs=2", "--param", "inner=8"]
    run("fit", "old.npz", "new.npz", "-o", "a.safetensors", "--method", "fastfill", *few)
    adapter = adapters.load(Path("a.safetensors"))
    for side, given, expected in (
        ("new", "new.npy", adapter.new(files["new"])),
        ("gallery", "old.npy", adapter.gallery(files["old"])),
        ("order", "old.npy", adapter.order(files["old"])),
    ):
        run("apply", "a.safetensors", given, "-o", f"{side}.npy", "--side", side)
        assert np.allclose(np.load(f"{side}.npy"), expected.numpy(), atol=1e-6)


def test_old_vectors_and_labels_come_from_files_of_their_own(files: dict[str, Any]) -> None:
    slerp = ["--method", "slerp", "--labels", "labels.npy", "--seed", "5"]
    run("fit", "old.npy", "new.npy", "-o", "a.safetensors", *slerp)
    run("apply", "a.safetensors", "new.npz", "--old", "old.npz", "-o", "q.npz")
    adapter = adapters.fit("slerp", files["old"], files["new"], files["labels"], seed=5)
    expected = adapter.query(files["new"], files["old"])
    assert np.allclose(read_table(Path("q.npz")).vectors, expected.numpy(), atol=1e-6)


def test_unequal_lengths_are_told_loudly_and_can_be_kept(files: dict[str, Any]) -> None:
    """An index by distance, searched by hand, finds by vectors of the right lengths what it does not by unit ones."""
    result = CliRunner().invoke(app, ["fit", "old.npy", "new.npy", "-o", "a.safetensors"], catch_exceptions=False)
    assert "WARNING: old.npy: old vectors differ in length" in result.stderr
    result = CliRunner().invoke(app, ["apply", "a.safetensors", "new.npy", "-o", "unit.npy"], catch_exceptions=False)
    assert "WARNING" in result.stderr
    result = CliRunner().invoke(app, ["apply", "a.safetensors", "new.npy", "-o", "q.npy", "--similarity", "l2"])
    assert "WARNING" not in result.stderr
    lengths = np.linalg.norm(files["old"], axis=1)
    assert np.allclose(np.linalg.norm(np.load("q.npy"), axis=1), np.sort(lengths)[(len(lengths) - 1) // 2], rtol=1e-5)
    run("apply", "a.safetensors", "old.npy", "-o", "g.npy", "--side", "gallery", "--similarity", "dot")
    assert np.allclose(np.load("g.npy"), files["old"], atol=1e-5)  # procrustes rewrites nothing
    np.save("old.npy", files["old"].numpy() / lengths[:, None])
    result = CliRunner().invoke(app, ["fit", "old.npy", "new.npy", "-o", "a.safetensors"], catch_exceptions=False)
    assert "WARNING" not in result.stderr


def test_an_adapter_is_exported(files: dict[str, Any]) -> None:
    run("fit", "old.npy", "new.npy", "-o", "a.safetensors")
    run("export", "a.safetensors", "--onnx", "q.onnx", "--numpy", "q.py", "--similarity", "dot")
    run("apply", "a.safetensors", "new.npy", "-o", "q.npy", "--similarity", "dot")
    assert np.allclose(runpy.run_path("q.py")["query"](files["new"].numpy()), np.load("q.npy"), atol=1e-5)
    assert Path("q.onnx").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export good.safetensors", "nothing to write"),
        ("export good.safetensors --onnx q.bin", "ends in .onnx"),
        ("export good.safetensors --numpy q.py --side order", "compatbench apply --side order"),
        ("fit old.npy new.npy -o a.bin", "an adapter is saved as a .safetensors file"),
        ("fit old.npy new.npy -o a.safetensors --param epsilon", "give name=value"),
        ("fit old.npy new.npy -o a.safetensors --param epsilon=[", "--param epsilon=\\[: not valid YAML"),
        ("fit old.npy new.npy -o a.safetensors --method ridge --param eps=1", "did you mean 'epsilon'"),
        ("fit old.npy new.npy -o a.safetensors --method slerp", "needs labels"),
        ("fit old.npz new.npy -o a.safetensors", "old.npz has ids and new.npy has none"),
        ("fit none.npy new.npy -o a.safetensors", "none.npy does not exist"),
        (
            "apply good.safetensors old.npy -o q.npy",
            "old.npy has 5 dimensions; with --side query good.safetensors takes 6",
        ),
        ("apply good.safetensors new.npy -o q.npy --side gallery", "new.npy has 6 dimensions"),
        ("apply good.safetensors old.npy -o q.npz --side order", "scores are written to a .npy file"),
        ("apply good.safetensors old.npy -o q.npy --side order", "gives no order"),
        ("apply good.safetensors new.npy -o q.csv", "embeddings are written to"),
        ("apply new.npy new.npy -o q.npy", "is damaged or no adapter"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(files: dict[str, Any], words: str, message: str) -> None:
    adapters.fit("procrustes", files["old"], files["new"]).save(Path("good.safetensors"))
    before = sorted(Path().iterdir())
    with pytest.raises(RequestError, match=message):
        run(*words.split())
    assert sorted(Path().iterdir()) == before


def test_dumps_are_fitted_and_applied_without_their_bad_rows(files: dict[str, Any]) -> None:
    """A CSV of text vectors and a Faiss index, of which three rows cannot be used."""
    import faiss
    import pandas as pd

    new, old = files["new"].numpy().copy(), files["old"].numpy()
    new[[3, 4]] = 0
    index = faiss.IndexIDMap(faiss.IndexFlatIP(5))
    index.add_with_ids(old[1:], np.arange(1, 50))
    faiss.write_index(index, "old.faiss")
    pd.DataFrame({"key": np.arange(50), "emb": [str(row.tolist()) for row in new]}).to_csv("new.csv", index=False)
    columns = ("--vectors", "emb", "--ids", "key", "--skip-bad-rows")
    output = run("fit", "old.faiss", "new.csv", "-o", "a.safetensors", "--method", "ridge", *columns, "--common")
    assert "fitted on 47 pairs" in output
    assert "note: 2 of 49 items left out of old.faiss and new.csv" in output
    assert (
        "note: 49 items are in both files; left out: 0 that only old.faiss has, and 1 that only new.csv has" in output
    )
    assert "WARNING: old.faiss: old vectors differ in length (" in output
    kept = [row for row in range(1, 50) if row not in (3, 4)]
    by_hand = adapters.fit("ridge", files["old"][kept], files["new"][kept])
    output = run("apply", "a.safetensors", "new.csv", "-o", "q.npz", *columns)
    assert "written: q.npz: 48 × 5" in output
    mapped = np.load("q.npz")
    assert mapped["ids"].tolist() == [row for row in range(50) if row not in (3, 4)]
    assert np.allclose(mapped["vectors"], by_hand.query(files["new"][mapped["ids"]]).numpy(), atol=1e-5)


def test_an_adapter_of_the_first_dimensions(files: dict[str, Any]) -> None:
    run("fit", "old.npy", "new.npy", "-o", "a.safetensors", "--dims", "4", "--old-dims", "3")
    assert "note: new.npy: the first 4 of 6 dimensions" in run(
        "apply", "a.safetensors", "new.npy", "-o", "q.npy", "--dims", "4"
    )
    by_hand = adapters.fit("procrustes", files["old"][:, :3], files["new"][:, :4])
    assert np.allclose(np.load("q.npy"), by_hand.query(files["new"][:, :4]).numpy(), atol=1e-6)
