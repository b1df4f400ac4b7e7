"""The comparison from Python: the same numbers as by the command, whatever holds the vectors, and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from typer.testing import CliRunner
from upgrades import Upgrade

import compatbench as cb
from compatbench.cli import app

CLOSED = ("procrustes", "ridge")


def quantized(vectors: np.ndarray) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.from_numpy(vectors), 0.1, 0, torch.qint8)


def mapped(old: Any, new: Any, query: Any, **reading: Any) -> np.ndarray:
    return cb.fit("procrustes", old, new, **reading).query(query).numpy()


def test_it_gives_what_the_command_gives(upgrade: Upgrade) -> None:
    found = cb.compare("old.npy", Path("new.npy"), upgrade.labels, adapters=CLOSED, metric="cmc@1")
    words = ["old.npy", "new.npy", "--labels", "labels.npy", "--adapters", ",".join(CLOSED), "--metric", "cmc@1"]
    assert CliRunner().invoke(app, ["compare", *words, "-o", "out"], catch_exceptions=False).exit_code == 0
    printed, own = json.loads(Path("out/compare.json").read_text()), found.to_dict()
    for ours, theirs in zip(own["outcomes"], printed["outcomes"], strict=True):
        assert ours["metrics"] == theirs["metrics"]
    assert own["verdict"] == printed["verdict"]
    assert found.verdict.splitlines()[0] == printed["verdict"][0]
    table = found.table()
    gains = {one["name"]: 100 * one["metrics"]["cross_gain:CMC@1"]["value"] for one in printed["outcomes"]}
    assert table["gain"].to_dict() == pytest.approx(gains, abs=1e-6)
    assert (found.save("again") / "compare.json").is_file()
    with pytest.raises(cb.RequestError, match="has a comparison already"):
        found.save("again")


def test_a_notebook_shows_the_verdict_a_plot_and_the_table(upgrade: Upgrade) -> None:
    upgrade.labels[0] = 0
    found = cb.compare(upgrade.old, upgrade.new, labels=upgrade.labels, adapters=["ridge"])
    page = found._repr_html_()
    assert found.comparison.verdict[0] in page.replace("&#39;", "'")
    assert page.count("<svg") == page.count("<table") == 1
    assert "ridge" in repr(found)
    assert "ridge" in page


def test_arrays_of_every_kind_give_the_same_adapter(upgrade: Upgrade, tmp_path: Path) -> None:
    old, new = upgrade.old, upgrade.new
    expected = mapped(old, new, new[:5])
    kinds: dict[str, Any] = {
        "lists": lambda one: one.tolist(),
        "double": lambda one: one.astype("f8"),
        "fortran": np.asfortranarray,
        "big-endian": lambda one: one.astype(">f4"),
        "backwards": lambda one: one[::-1].copy()[::-1],
        "tensor": torch.from_numpy,
        "gradient": lambda one: torch.from_numpy(one).requires_grad_(),
        "tensors": lambda one: list(torch.from_numpy(one).requires_grad_()),
        "frame": pd.DataFrame,
        "named": lambda one: pd.DataFrame(one, columns=[f"dim_{place}" for place in range(one.shape[1])]),
        "series": lambda one: pd.Series(list(one)),
        "column": lambda one: pd.DataFrame({"emb": list(one), "title": "x"}),
        "arrow": lambda one: pa.table({"vector": one.tolist()}),
        "mapping": lambda one: {"vectors": one, "ids": range(len(one))},
    }
    for name, make in kinds.items():
        given = new[:5] if name in ("column", "arrow", "mapping") else make(new[:5])
        np.testing.assert_allclose(mapped(make(old), make(new), given), expected, atol=1e-5, err_msg=name)
    rough: Any
    for rough in (
        lambda one: one.astype("f2"),
        lambda one: torch.from_numpy(one).bfloat16(),
        lambda one: list(torch.from_numpy(one).bfloat16()),
    ):
        np.testing.assert_allclose(mapped(rough(old), rough(new), rough(new[:5])), expected, atol=0.02)
    eight = [torch.from_numpy(one).to(torch.float8_e4m3fn) for one in (old, new, new[:5])]
    same = [one.float().numpy() for one in eight]
    np.testing.assert_array_equal(mapped(*eight), mapped(*same))


def test_frames_are_paired_by_id_and_have_labels(upgrade: Upgrade) -> None:
    old = pd.DataFrame({"emb": list(upgrade.old[::-1])}, index=pd.Index(upgrade.ids[::-1], name="id"))
    new = pd.DataFrame({"id": upgrade.ids, "emb": list(upgrade.new), "kind": upgrade.labels.astype(str)})
    found = cb.compare(old, new, "kind", adapters=["ridge"])
    by_row = cb.compare(upgrade.old, upgrade.new, torch.from_numpy(upgrade.labels), adapters=["ridge"])
    assert (
        found.comparison.outcome("ridge").metric("mAP").value == by_row.comparison.outcome("ridge").metric("mAP").value
    )
    assert mapped(old, new, upgrade.new[:3]).shape == (3, 12)


def test_a_frame_in_another_order_is_paired_by_its_index(upgrade: Upgrade) -> None:
    order, names = np.random.default_rng(0).permutation(400), [f"d{row}" for row in range(400)]
    expected = mapped(upgrade.old, upgrade.new, upgrade.new[:3])
    for index in (None, names, pd.Index(names, name="sku")):
        old, new = pd.DataFrame(upgrade.old, index=index), pd.DataFrame(upgrade.new, index=index)
        np.testing.assert_allclose(mapped(old, new.iloc[order], upgrade.new[:3]), expected, atol=1e-5)


MISSING = {
    "list": lambda words: words,
    "objects": lambda words: np.array(words, dtype=object),
    "series": pd.Series,
    "column of objects": lambda words: pd.Series(words, dtype=object),
    "strings": lambda words: pd.Series(words, dtype="string"),
    "categories": pd.Categorical,
}


@pytest.mark.parametrize("make", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_what_is_missing_is_no_class_and_no_id(upgrade: Upgrade, make: Any, missing: Any) -> None:
    words: list[Any] = [f"c{one}" for one in upgrade.labels]
    words[3] = words[9] = missing
    old, new = upgrade.old, upgrade.new
    queries = {"old_queries": old[:400], "new_queries": new[:400]}
    for ask in (
        lambda: cb.compare(old, new, make(words)),
        lambda: cb.compare(old, new, upgrade.labels.astype(str), query_labels=make(words), **queries),
        lambda: cb.fit("ridge", old, new, make(words)),
        lambda: cb.fit("ridge", {"vectors": old, "ids": make(words)}, {"vectors": new, "ids": make(words)}),
    ):
        with pytest.raises(cb.RequestError, match=r"has 2 empty rows \(first row 3\); fill them in"):
            ask()
    words[3] = words[9] = "nan"  # text is text
    assert cb.fit("ridge", old, new, make(words)).query(new[:1]).shape == (1, 12)


def test_a_frame_of_numbers_has_no_id_among_its_dimensions(upgrade: Upgrade) -> None:
    expected = mapped(upgrade.old, upgrade.new, upgrade.new[:3])
    old, new = pd.DataFrame(upgrade.old), pd.DataFrame(upgrade.new)
    order = np.random.default_rng(0).permutation(400)
    found = mapped(old.assign(id=range(400)), new.assign(id=range(400), label=1).iloc[order], upgrade.new[:3])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    bare = pd.concat([pd.Series(range(400)), new], axis=1, ignore_index=True)
    with pytest.raises(cb.RequestError, match="column '0' has whole numbers, and the other columns"):
        cb.fit("ridge", upgrade.old, bare)


def test_judgements_are_taken_from_memory(upgrade: Upgrade) -> None:
    lines = [(str(one), str((one + 8) % 400), 1.0) for one in range(0, 400, 5)]
    Path("qrels.tsv").write_text("".join(f"{q}\t{d}\t{g:g}\n" for q, d, g in lines))
    frame = pd.DataFrame(lines, columns=["query-id", "corpus-id", "score"])
    given = ("qrels.tsv", lines, {query: {document: grade} for query, document, grade in lines}, frame)
    found = [cb.compare(upgrade.old, upgrade.new, qrels=one, adapters=["ridge"], metric="nDCG@10") for one in given]
    numbers = [one.comparison.outcome("ridge").metrics for one in found]
    assert all(one == numbers[0] for one in numbers)
    with pytest.raises(cb.RequestError, match="judgement 1 is"):
        cb.compare(upgrade.old, upgrade.new, qrels=[("a", "b")])
    wide = pd.concat([frame, frame.assign(score=0.5)]).assign(split="test").query("score == 1").sample(frac=1)
    for one in (wide, wide.set_index("query-id"), pa.Table.from_pandas(wide)):
        other = cb.compare(upgrade.old, upgrade.new, qrels=one, adapters=["ridge"], metric="nDCG@10")
        assert other.comparison.outcome("ridge").metrics["nDCG@10"].value == pytest.approx(numbers[0]["nDCG@10"].value)
        assert [text for text in other.notices if "left alone: 'split'" in text]
    with pytest.raises(cb.RequestError, match="which does not say which column is what"):
        cb.compare(upgrade.old, upgrade.new, qrels=wide.assign(qid="1"))


def test_a_saved_adapter_is_that_of_the_command(upgrade: Upgrade) -> None:
    adapter = cb.fit("ridge", upgrade.old, upgrade.new)
    adapter.save("a.safetensors")
    again = cb.load(Path("a.safetensors"))
    assert torch.equal(again.query(upgrade.new), adapter.query(upgrade.new))
    words = ["apply", "a.safetensors", "new.npy", "-o", "mapped.npy"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    np.testing.assert_array_equal(np.load("mapped.npy"), adapter.query(upgrade.new).numpy())
    assert adapter.query(upgrade.new[:0]).shape == (0, 12)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda u: cb.fit("ridge", u.old, u.new[:50]), "old has 400 rows and new has 50"),
        (lambda u: cb.fit("ridge", u.old, np.full_like(u.new, np.nan)), "new: 400 of 400 rows cannot be ranked"),
        (lambda u: cb.fit("ridge", u.old, u.new[0]), r"new: expected .* got float32 of shape \(10,\)"),
        (lambda u: cb.fit("ridge", u.old, [[1.0], [1.0, 2.0]]), "give every row as many numbers"),
        (lambda u: cb.fit("ridge", u.old, object()), "is of type object"),
        (lambda u: cb.fit("ridge", u.old, torch.from_numpy(u.new).to_sparse()), "a tensor that is no array .*dense"),
        (lambda u: cb.fit("ridge", u.old, torch.empty(400, 10, device="meta")), "a tensor that is no array"),
        (lambda u: cb.fit("ridge", u.old, quantized(u.new)), "a tensor that is no array"),
        (lambda u: cb.fit("ridge", u.old, u.new).query(quantized(u.new)), "new is a tensor that is no array"),
        (lambda u: cb.fit("ridge", u.old, u.new).query(torch.from_numpy(u.new).to_sparse()), "new is a tensor that is"),
        (lambda u: cb.fit("rank_merge", u.old, u.new).query(u.new[:2], u.old[:3]), "2 new vectors and 3 old ones"),
        (lambda u: cb.fit("slerp", u.old, u.new, u.labels).query(u.new[:3], u.old[:2]), "3 new vectors and 2 old ones"),
        (lambda u: cb.fit("ridge", u.old, pd.DataFrame({"a": ["x"] * 400})), "new has no 'vectors'; its columns are a"),
        (lambda u: cb.fit("ridge", "missing.npy", u.new), "missing.npy does not exist"),
        (lambda u: cb.fit("bct", u.old, u.new), "cannot be fitted on embeddings"),
        (lambda u: cb.fit("ridge", u.old, np.ma.masked_equal(np.ones((400, 2), int), 1)), "masked"),
        (lambda u: cb.fit("ridge", u.old, u.new).save("x.npy"), "saved as a .safetensors"),
        (lambda u: cb.load("missing.safetensors"), "does not exist"),
        (lambda u: cb.fit("ridge", u.old, u.new).query(u.new[0]), r"rows \(N, D\)"),
        (lambda u: cb.fit("ridge", u.old, u.new).query(u.old), "new vectors of 10 dimensions"),
        (lambda u: cb.fit("ridge", u.old, u.new).query(0 * u.new), "400 of 400 new vectors are NaN, infinite or zero"),
        (lambda u: cb.fit("ridge", u.old, u.new).query([["a"] * 10]), "give numbers"),
        (lambda u: cb.compare(u.old, u.new), "new has no classes"),
        (lambda u: cb.compare(u.old, u.new, u.labels[:5]), "one label for each of 400 rows"),
        (lambda u: cb.compare(u.old, u.new, u.labels, qrels={}), "give one of them"),
        (lambda u: cb.compare(u.old, u.new, u.labels, effort="some"), "effort='some': there are quick, full"),
        (lambda u: cb.compare(u.old, u.new, u.labels, adapters=["rigde"]), "did you mean 'ridge'"),
        (lambda u: cb.compare(u.old[:1], u.new[:1], u.labels[:1]), "1 items are too few"),
        (lambda u: cb.compare(u.old, u.new, u.labels, querys=9), "no option 'querys'; did you mean 'queries'"),
        (lambda u: cb.fit("ridge", u.old, u.new, parms={}), "no option 'parms'; did you mean 'params'"),
        (lambda u: cb.compare(u.old, u.new, u.labels, seed=-1), "seed is -1: give a whole number from 0 on"),
        (lambda u: cb.fit("ridge", u.old, u.new, seed=-1), "seed is -1"),
        (lambda u: cb.compare(u.old, u.new, u.labels, queries=0), "queries is 0: give a whole number from 1 on"),
        (lambda u: cb.compare(u.old, u.new, u.labels, fit_pairs=2.5), "fit_pairs is 2.5: give a whole number"),
        (lambda u: cb.compare(u.old, u.new, u.labels, dims=-1), "dims is -1: give a whole number from 1 on"),
        (lambda u: cb.fit("ridge", u.old, u.new, old_dims=0), "old_dims is 0"),
        (lambda u: cb.compare(u.old, u.new, qrels=[], relevant_from=np.nan), "relevant_from is nan: give a finite"),
        (lambda u: cb.compare(u.old, u.new, qrels=[("1", "2", np.inf)]), "judgement 1: the grade inf cannot be added"),
        (lambda u: cb.compare(u.old, u.new, qrels={"1": ["2"]}), r"query '1' are \['2'\]; give document: grade"),
        (lambda u: cb.compare(u.old, u.new, qrels=3), "the judgements are 3"),
        (lambda u: cb.compare(u.old, u.new, qrels=[("1", "2", 10**400)]), "judgement 1 is"),
        (lambda u: cb.compare(u.old, u.new, u.labels, adapters=[3]), "no method '3'"),
        (lambda u: cb.compare(u.old, u.new, u.labels, methods="nowhere"), "no folder of methods at .*nowhere"),
        (lambda u: cb.compare(u.old, u.new, u.labels, common="yes"), "common is 'yes': give True or False"),
        (lambda u: cb.compare(u.old, u.new, u.labels, vectors=3), "vectors is 3: give the name of a column"),
        (lambda u: cb.fit(["ridge"], u.old, u.new), "did you mean 'ridge'"),
        (lambda u: cb.fit("ridge", u.old, u.new, params=[1]), r"params are \[1\]: give"),
        (lambda u: cb.compare(u.old, u.new, u.labels, metric="F1"), "^metric=F1: there are"),
        (lambda u: cb.compare({"vectors": u.old, "ids": u.ids}, {"vectors": u.new, "ids": u.ids[::-1] + "x"}, u.labels),
         "cut to those that both have by common=True"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_error_of_one_line(upgrade: Upgrade, ask: Any, words: str) -> None:
    with pytest.raises(cb.RequestError, match=words) as error:
        ask(upgrade)
    assert "\n" not in str(error.value)


def test_the_package_names_what_it_has() -> None:
    assert {"compare", "fit", "load", "RequestError"} <= set(dir(cb))
    with pytest.raises(AttributeError, match="has no attribute 'guess'"):
        cb.guess  # type: ignore[attr-defined]  # noqa: B018
