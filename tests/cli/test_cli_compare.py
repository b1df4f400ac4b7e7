"""The command `compare` on files, against scores computed by hand from the same split."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.comparison.comparison import Comparison
from compatbench.comparison.inputs import read_items
from compatbench.comparison.relevance import by_class
from compatbench.comparison.split import make_split
from compatbench.errors import RequestError
from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.generations import adapters

CLASSES = 6


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """300 items: old.npy (12 dimensions, noisy), new.npy (10) and labels.npy; the same as .npz with ids."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, 300)
    hidden = generator.normal(size=(CLASSES, 8))[labels] + 0.8 * generator.normal(size=(300, 8))
    made = {}
    for name, dim, noise in (("old", 12, 4.0), ("new", 10, 1.0)):
        vectors = hidden @ generator.normal(size=(8, dim)) + noise * generator.normal(size=(300, dim))
        made[name] = vectors.astype(np.float32)
        np.save(f"{name}.npy", made[name])
        np.savez(f"{name}.npz", vectors=made[name], ids=np.array([f"d{row}" for row in range(300)]))
    np.save("labels.npy", labels)
    return made | {"labels": labels}


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["compare", *words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def latest() -> Path:
    """The newest folder in results/compare."""
    return max(Path("results/compare").iterdir(), key=lambda one: (one / "compare.json").stat().st_mtime_ns)


def read(folder: Path | str | None = None) -> Comparison:
    folder = latest() if folder is None else folder
    return Comparison.model_validate(json.loads(Path(folder, "compare.json").read_text()))


FAST = ("--adapters", "procrustes,ridge,slerp,lambda_orthogonal,rank_merge", "--effort", "full")


def test_every_row_scores_what_its_vectors_score(files: dict[str, Any]) -> None:
    run("old.npy", "new.npy", "--labels", "labels.npy", "--fit-pairs", "100", *FAST)
    found = read()
    items = read_items(Path("old.npy"), Path("new.npy"), Path("labels.npy"))
    split = make_split(by_class(items, None), 100, 2000, 0)
    assert (found.parts.fitting_pairs, found.parts.searched_items, found.parts.queries) == (
        100,
        200,
        len(split.queries),
    )
    sides = {name: F.normalize(torch.from_numpy(files[name])) for name in ("old", "new")}
    labels, ids = torch.from_numpy(files["labels"]), torch.arange(300)

    def scored(queries: torch.Tensor, gallery: torch.Tensor) -> QueryResults:
        rows, items = torch.from_numpy(split.queries), torch.from_numpy(split.gallery)
        return evaluate(
            Vectors(queries[rows], labels[rows], ids[rows]), Vectors(gallery[items], labels[items], ids[items])
        )

    expected = {
        "status quo": scored(sides["old"], sides["old"]),
        "full backfill": scored(sides["new"], sides["new"]),
        "no adapter": scored(F.pad(sides["new"], (0, 2)), sides["old"]),
    }
    for name in ("procrustes", "ridge", "slerp", "lambda_orthogonal", "rank_merge"):
        fitted = adapters.fit(name, *(sides[one][torch.from_numpy(split.fit)] for one in ("old", "new")),
                              files["labels"][split.fit])  # fmt: skip
        expected[name] = scored(fitted.query(sides["new"], sides["old"]), fitted.gallery(sides["old"]))
        if name == "lambda_orthogonal":
            new = fitted.new(sides["new"])
            after = scored(new, new).metrics()["mAP"]
            assert found.outcome(name).metric("self:mAP").value == pytest.approx(after, abs=1e-4)
    for name, results in expected.items():
        row = found.outcome(name)
        for metric, value in results.metrics().items():
            assert row.metric(metric).value == pytest.approx(value, abs=1e-4), (name, metric)
        assert row.arrays is not None
        stored = QueryResults.read(latest() / "arrays", row.arrays)
        assert np.array_equal(stored.ids, split.queries)
        assert stored.metrics()["mAP"] == pytest.approx(row.metric("mAP").value)
    oo, no, full = (found.outcome(name).metric("mAP").value or 0 for name in ("status quo", "ridge", "full backfill"))
    assert found.outcome("ridge").metric("cross_gain:mAP").value == pytest.approx(no - oo)
    assert found.outcome("ridge").metric("update_gain:mAP").value == pytest.approx((no - oo) / (full - oo))
    assert (found.outcome("rank_merge").metric("cross_gain:mAP").value or 0) == pytest.approx(0, abs=1e-6)
    oracle = found.outcome("oracle mean").metric("mAP").value or 0
    assert oracle > max(found.outcome(name).metric("mAP").value or 0 for name in expected if name != "full backfill")


@pytest.mark.usefixtures("files")
def test_what_is_printed_and_written_is_what_was_found() -> None:
    words = ("old.npy", "new.npy", "--labels", "labels.npy", "--adapters", "procrustes,ridge", "-o", "out")
    output = run(*words, "--require", "cross-gain>0")
    found = read("out")
    assert found.verdict[0] in output
    assert re.search(r"ridge keeps the index and gains \d+\.\d ± \d+\.\d points; a full backfill gains", output)
    assert "✓ required: cross-gain>0" in output
    assert found.command == (
        "compatbench compare old.npy new.npy --labels labels.npy --adapters procrustes,ridge --require 'cross-gain>0'"
    )
    gain = 100 * (found.outcome("ridge").metric("cross_gain:mAP").value or 0)
    for name in ("index.html", "README.md"):
        assert f"{gain:.1f}" in Path("out", name).read_text(), name
    table = pd.read_csv("out/compare.csv").set_index("name")
    assert table.loc["ridge", "gain"] == pytest.approx(gain, abs=1e-5)
    page = Path("out/index.html").read_text()
    assert f"<h1>{found.verdict[0]}</h1>" in page
    assert page.count("<dd><strong>") == 3
    assert f"<strong>+{gain:.1f}</strong>" in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "")


@pytest.mark.usefixtures("files")
def test_a_gate_that_does_not_hold_ends_with_1() -> None:
    words = ("old.npy", "new.npy", "--labels", "labels.npy", "--adapters", "ridge")
    assert "✗ required: cross-gain>99" in run(*words, "--require", "cross-gain>99", code=1)
    assert not read().gates[0].met


def test_the_same_data_in_other_files_give_the_same_numbers(files: dict[str, Any]) -> None:
    run("old.npy", "new.npy", "--labels", "labels.npy", "--adapters", "ridge", "-o", "a")
    order = np.random.default_rng(1).permutation(300)
    ids = np.array([f"d{row}" for row in range(300)])
    np.savez("shuffled.npz", vectors=files["old"][order], ids=ids[order], labels=files["labels"][order])
    run("shuffled.npz", "new.npz", "--adapters", "ridge", "-o", "b")
    assert [one.metrics for one in read("a").outcomes] == [one.metrics for one in read("b").outcomes]


def test_relevance_judgements_take_the_place_of_classes(files: dict[str, Any]) -> None:
    """Judgements that say what classes would: of separate queries, so that the gallery is the same."""
    rows = np.arange(40)
    for name in ("old", "new"):
        np.savez(f"q_{name}.npz", vectors=files[name][rows], ids=np.array([f"q{row}" for row in rows]))
        np.savez(f"g_{name}.npz", vectors=files[name][40:], ids=np.array([f"d{row}" for row in range(40, 300)]))
    lines = [
        f"q{query}\td{row}\t{2 if files['labels'][row] == files['labels'][query] else 0}"
        for query in rows[:-1]
        for row in range(40, 300, 2)
    ]
    Path("qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    words = (
        "g_old.npz",
        "g_new.npz",
        "--old-queries",
        "q_old.npz",
        "--new-queries",
        "q_new.npz",
        "--qrels",
        "qrels.tsv",
    )
    output = run(*words, "--adapters", "ridge,slerp", "--fit-pairs", "100", "--metric", "ndcg@10")
    found = read()
    assert found.metric == "nDCG@10"
    gain = 100 * (found.outcome("ridge").metric("cross_gain:nDCG@10").value or 0)
    assert f"ridge, {gain:.1f} ± " in found.verdict[0]
    shown = next(line for line in output.splitlines() if line.startswith("ridge"))
    assert f"{100 * (found.outcome('ridge').metric('nDCG@10').value or 0):.1f} [" in shown
    assert {"recall@10", "recall@100", "MRR@10", "mAP", "CMC@10"} <= found.outcome("status quo").metrics.keys()
    assert (found.inputs.judged_by, found.inputs.classes, found.parts.queries) == ("qrels", None, 39)
    assert "1 query left out: no relevant item is judged" in output
    assert "slerp skipped: needs class labels, and only relevance judgements were given" in output
    items = read_items(Path("g_old.npz"), Path("g_new.npz"))
    assert found.parts.fitting_pairs == 100
    status_quo = QueryResults.read(latest() / "arrays", found.outcome("status quo").arrays or "")
    query = int(status_quo.ids[0])
    judged = {row for row in range(40, 300, 2) if files["labels"][row] == files["labels"][query]}
    assert status_quo.relevant[0] == len(judged)  # none of them went to the fitting part
    assert len(items) == 260


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("old.npy", "new.npy"), "new.npy has no classes of its items: give --labels"),
        (("old.npy", "new.npy", "--labels", "labels.npy", "--qrels", "x"), "give one of them"),
        (("old.npy", "new.npy", "--labels", "labels.npy", "--old-queries", "old.npy"), "needed by both models"),
        (("old.npy", "new.npy", "--labels", "short.npy"), "expected one label for each of 300 rows"),
        (("old.npy", "new.npy", "--labels", "labels.npy", "--require", "gain"), "e.g. --require 'cross-gain>0'"),
        (("old.npy", "new.npy", "--labels", "labels.npy", "--adapters", "bct"), "cannot be fitted on embeddings"),
        (("pickled.npy", "new.npy", "--labels", "labels.npy"), "pickled objects, which are never loaded"),
        (("short.npy", "new.npy", "--labels", "labels.npy"), "expected floating-point vectors"),
        (("old.npy", "new.npy", "--qrels", "nowhere.tsv"), "nowhere.tsv cannot be read"),
        (("old.npy", "new.npy", "--labels", "labels.npy", "--metric", "nDCG@10"), "takes --qrels; there are mAP"),
        (("old.npy", "new.npy", "--labels", "labels.npy", "--metric", "F1"), "--metric F1: there are mAP"),
        (
            ("old.npy", "new.npy", "--labels", "labels.npy", "--old-queries", "new.npy", "--new-queries", "old.npy",
             "--query-labels", "labels.npy"),
            "queries have 10 (old) and 12 (new) dimensions, items 12 and 10",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("files")
def test_bad_requests_are_one_line(words: tuple[str, ...], complaint: str) -> None:
    np.save("short.npy", np.arange(299))
    np.save("pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(RequestError) as error:
        CliRunner().invoke(app, ["compare", *words], catch_exceptions=False)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("results").exists()


@pytest.mark.usefixtures("files")
def test_a_second_comparison_leaves_the_first_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("old.npy", "new.npy", "--labels", "labels.npy", "--adapters", "ridge")
    for seed in ("0", "1"):
        run(*words, "--seed", seed)
    folders = sorted(Path("results/compare").iterdir())
    assert [read(one).seed for one in sorted(folders, key=lambda one: one.stat().st_mtime_ns)] == [0, 1]
    assert all(re.fullmatch(r"old-new-\d{4}-\d\d-\d\d-\d{6}(-2)?", one.name) for one in folders)
    run(*words, "-o", "here")
    with pytest.raises(RequestError, match=r"here has a comparison already: .* give --force"):
        run(*words, "-o", "here", "--seed", "1")
    assert read("here").seed == 0
    before = {one.name for one in Path("here/arrays").iterdir()}
    run(*words, "-o", "here", "--seed", "1", "--force")
    after = {one.name for one in Path("here/arrays").iterdir()}
    assert read("here").seed == 1
    assert after == {f"{one.arrays}.parquet" for one in read("here").outcomes if one.arrays}
    assert not before & after


def test_what_is_left_out_is_printed_and_recorded(files: dict[str, Any]) -> None:
    """A dump with columns of its own names: bad rows, and items that one side has alone."""
    names = np.array([f"d{row}" for row in range(300)])
    old, new = files["old"].copy(), files["new"]
    old[[7, 9]] = 0
    frames = {
        "old": pd.DataFrame({"key": names[:280], "emb": list(old[:280]), "title": "x", "kind": files["labels"][:280]}),
        "new": pd.DataFrame({"key": names[20:], "emb": list(new[20:])}),
    }
    frames["new"].to_parquet("new.parquet")
    frames["old"].assign(emb=[json.dumps(row.tolist()) for row in old[:280]]).to_csv("old.csv", index=False)
    frames["old"] = frames["old"].drop(index=range(20))
    columns = ("--vectors", "emb", "--ids", "key")
    old[21] = np.nan
    frames["old"].assign(emb=list(old[20:280])).to_json("bad.jsonl", orient="records", lines=True)
    words = (*columns, "--labels", "kind", "--common", "--skip-bad-rows", "--adapters", "ridge", "-o")
    output = run("old.csv", "new.parquet", *words, "a")
    found = read("a")
    assert found.inputs.items == 260
    kinds = {notice.kind: notice for notice in found.notices}
    assert kinds["unpaired rows"].count == 40
    assert "left alone: 'title'" in output
    assert all(f"note: {notice.text}" in output for notice in found.notices)
    for name in ("index.html", "README.md"):
        assert "260 items are in both files" in Path("a", name).read_text()
    assert found.command == (
        "compatbench compare old.csv new.parquet --vectors emb --ids key --labels kind --common --skip-bad-rows "
        "--adapters ridge"
    )
    run("bad.jsonl", "new.parquet", *words, "b")
    bad = next(notice for notice in read("b").notices if notice.kind == "bad rows")
    assert (bad.count, bad.text.endswith("d21")) == (1, True)
    assert read("b").inputs.items == 259


def test_a_folder_as_beirs_is_whole(files: dict[str, Any]) -> None:
    rows = np.arange(40)
    labels = files["labels"]
    for side in ("old", "new"):
        Path("set", side).mkdir(parents=True)
        np.savez(f"set/{side}/corpus.npz", vectors=files[side], ids=np.array([f"d{row}" for row in range(300)]))
        np.savez(f"set/{side}/queries.npz", vectors=files[side][rows], ids=np.array([f"q{row}" for row in rows]))
    lines = [f"q{q}\td{d}\t1" for q in rows for d in range(300) if labels[d] == labels[q] and d != q]
    Path("set/qrels").mkdir()
    Path("set/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines))
    run("set", "--adapters", "ridge", "-o", "a")
    words = ("set/old/corpus.npz", "set/new/corpus.npz", "--qrels", "set/qrels/test.tsv", "--adapters", "ridge")
    run(*words, "--old-queries", "set/old/queries.npz", "--new-queries", "set/new/queries.npz", "-o", "b")
    Path("both/qrels").mkdir(parents=True)
    Path("both/qrels/test.tsv").write_bytes(Path("set/qrels/test.tsv").read_bytes())
    for name, prefix, some in (("corpus", "d", np.arange(300)), ("queries", "q", rows)):
        records = [
            {"_id": f"{prefix}{row}", "text": "x", **{side: files[side][row].tolist() for side in ("old", "new")}}
            for row in some
        ]
        Path(f"both/{name}.jsonl").write_text("\n".join(map(json.dumps, records)))
    run("both", "--vectors", "old,new", "--adapters", "ridge", "-o", "c")
    numbers = [[outcome.metrics for outcome in read(one).outcomes] for one in "abc"]
    assert numbers[0] == numbers[1] == numbers[2]
    assert read("a").command == "compatbench compare set --adapters ridge"
    with pytest.raises(RequestError, match="both has no folders 'old' and 'new', and no --vectors names two columns"):
        run("both", "-o", "d")
    with pytest.raises(RequestError, match=r"old\.npy alone: give OLD and NEW, or a folder"):
        run("old.npy", "-o", "d")


def test_queries_of_other_dimensions_are_refused(files: dict[str, Any]) -> None:
    np.save("q_old.npy", files["old"][:30])
    np.save("q_new.npy", files["new"][:30, :8])
    queries = ("--old-queries", "q_old.npy", "--new-queries", "q_new.npy", "--query-labels", "q_labels.npy")
    np.save("q_labels.npy", files["labels"][:30])
    words = ("old.npy", "new.npy", "--labels", "labels.npy", *queries, "--adapters", "ridge")
    with pytest.raises(RequestError, match=r"queries have 12 \(old\) and 8 \(new\) dimensions, items 12 and 10"):
        run(*words)
    run(*words, "--dims", "8")
    assert (read().inputs.old_dim, read().inputs.new_dim) == (12, 8)
