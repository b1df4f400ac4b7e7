"""Documents of several vectors: each scores by its best one, against loops over documents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compatbench.comparison import evaluate
from compatbench.comparison.evaluate import Settings, compare
from compatbench.comparison.inputs import PairedItems, read_items
from compatbench.comparison.relevance import by_class, read_qrels
from compatbench.data.vectors.documents import Documents
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError
from compatbench.machine.stopwatch import Stopwatch

DOCUMENTS, QUERIES = 50, 30
GROUPED = InputOptions(group="doc")


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_rows_of_a_document(group: list[int]) -> None:
    documents = Documents.of(np.array(group))
    assert documents.names.tolist() == [str(one) for one in dict.fromkeys(group)]
    wanted = np.arange(len(documents))[::-2]
    expected = [[row for row, one in enumerate(group) if str(one) == documents.names[place]] for place in wanted]
    assert documents.sizes(wanted).tolist() == [len(rows) for rows in expected]
    assert documents.rows(wanted).tolist() == [row for rows in expected for row in rows]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """1 to 9 chunks a document, in any order; every query asks for two documents."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    group = generator.permutation(np.repeat(np.arange(DOCUMENTS), generator.integers(1, 10, DOCUMENTS)))
    hidden = generator.normal(size=(len(group), 6))
    source = generator.permutation(len(group))[:QUERIES]
    made = {"group": group}
    for name, dim in (("old", 8), ("new", 7)):
        turn = generator.normal(size=(6, dim))
        made[name] = (hidden @ turn + 0.5 * generator.normal(size=(len(group), dim))).astype(np.float32)
        made[f"q_{name}"] = (hidden[source] @ turn + generator.normal(size=(QUERIES, dim))).astype(np.float32)
        np.savez(f"{name}.npz", vectors=made[name], doc=np.char.add("doc-", group.astype(str)))
        np.savez(f"q_{name}.npz", vectors=made[f"q_{name}"])
    made["relevant"] = np.stack((group[source], (group[source] + 1) % DOCUMENTS), axis=1)
    lines = [f"{query}\tdoc-{document}\t1" for query, pair in enumerate(made["relevant"]) for document in pair]
    Path("qrels.tsv").write_text("\n".join(lines))
    return made


def read() -> tuple[PairedItems, PairedItems]:
    return read_items(Path("old.npz"), Path("new.npz"), options=GROUPED), read_items(
        Path("q_old.npz"), Path("q_new.npz")
    )


@pytest.mark.parametrize("chunk", [64, 2**14])
def test_a_document_scores_by_its_best_vector(
    files: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(evaluate, "CHUNK_ITEMS", (chunk, chunk))
    items, queries = read()
    relevance, _ = read_qrels(Path("qrels.tsv"), items, queries, GROUPED)
    settings = Settings(fit_pairs=10, adapters=("ridge",))
    comparison, results = compare(items, queries, relevance, settings, "", torch.device("cpu"), Stopwatch())
    assert (comparison.inputs.items, comparison.inputs.vectors) == (DOCUMENTS, len(files["group"]))
    assert any(notice.kind == "documents" for notice in comparison.notices)
    assert "oracle mean" not in results  # of chunks it would be far below the best chunk
    assert [one.name for one in comparison.outcomes] == ["status quo", "full backfill", "no adapter", "ridge"]
    split = evaluate.make_split(relevance, 10, 2000, 0)
    kept = [int(name.removeprefix("doc-")) for name in items.searched[split.gallery]]
    assert (comparison.parts.fitting_pairs, len(kept)) == (10, 40)
    for name, side in (("status quo", "old"), ("full backfill", "new")):
        unit = {key: one / np.linalg.norm(one, axis=1, keepdims=True) for key, one in files.items() if side in key}
        for query, found in zip(results[name].ids, results[name].per_query("mAP"), strict=True):
            best = [float((unit[side][files["group"] == one] @ unit[f"q_{side}"][query]).max()) for one in kept]
            hits = np.isin(np.array(kept)[np.argsort(best)[::-1]], files["relevant"][query])
            assert found == pytest.approx((np.cumsum(hits) / np.arange(1, 41))[hits].mean(), abs=1e-5)


def test_classes_are_those_of_documents(files: dict[str, np.ndarray]) -> None:
    labels = files["group"] % 4
    np.save("labels.npy", labels)
    np.save("q_labels.npy", np.arange(QUERIES) % 4)
    items = read_items(Path("old.npz"), Path("new.npz"), Path("labels.npy"), GROUPED)
    queries = read_items(Path("q_old.npz"), Path("q_new.npz"), Path("q_labels.npy"))
    relevance = by_class(items, queries)
    assert relevance.items == DOCUMENTS
    names = items.searched[relevance.listed[relevance.group[1]]]
    assert all(int(name.removeprefix("doc-")) % 4 == 1 for name in names)
    labels[0] += 1
    np.save("labels.npy", labels)
    with pytest.raises(RequestError, match="has rows of several classes"):
        by_class(read_items(Path("old.npz"), Path("new.npz"), Path("labels.npy"), GROUPED), queries)


def test_documents_are_no_queries(files: dict[str, np.ndarray]) -> None:
    items, _ = read()
    with pytest.raises(RequestError, match="give --old-queries and --new-queries"):
        read_qrels(Path("qrels.tsv"), items, None, GROUPED)


def test_chunks_named_by_their_document_pair_by_their_place_in_it(files: dict[str, np.ndarray]) -> None:
    order = np.argsort(files["group"], kind="stable")
    np.savez("old.npz", vectors=files["old"][order], doc=files["group"][order])
    np.savez("new.npz", vectors=files["new"], doc=files["group"])
    items = read_items(Path("old.npz"), Path("new.npz"), options=InputOptions(ids="doc", group="doc"))
    assert np.array_equal(items.raw_old(np.arange(len(items))), files["old"])
    assert items.documents is not None
    assert len(items.documents) == DOCUMENTS


def test_files_that_contradict_on_a_document_are_refused(files: dict[str, np.ndarray]) -> None:
    order = np.random.default_rng(3).permutation(len(files["group"]))
    np.savez("new.npz", vectors=files["new"][order], doc=np.char.add("doc-", files["group"][order].astype(str)))
    row = int(np.flatnonzero(files["group"] != files["group"][order])[0])
    told = f"row {row} is of document doc-{files['group'][order][row]} in new.npz and of document doc-"
    with pytest.raises(RequestError, match=f"{told}{files['group'][row]} in old.npz; correct one of them; without ids"):
        read()
    np.savez("new.npz", vectors=files["new"], doc=files["group"])
    np.savez("old.npz", vectors=files["old"], doc=files["group"].astype(str))
    assert np.array_equal(read()[0].searched, [str(one) for one in dict.fromkeys(files["group"].tolist())])


@pytest.mark.parametrize("how", ["skip_bad_rows", "common"])
def test_a_document_that_is_left_out_is_known(files: dict[str, np.ndarray], how: str) -> None:
    lost = files["group"] == files["relevant"][0, 0]
    ids = np.arange(len(lost))
    np.savez("old.npz", vectors=files["old"], ids=ids, doc=np.char.add("doc-", files["group"].astype(str)))
    kept = ~lost if how == "common" else ids >= 0
    vectors = np.where(lost[:, None], 0, files["new"])[kept]
    np.savez("new.npz", vectors=vectors, ids=ids[kept])
    options = InputOptions(group="doc", common=how == "common", skip_bad_rows=how == "skip_bad_rows")
    items = read_items(Path("old.npz"), Path("new.npz"), options=options)
    assert (len(items.searched), items.left_out) == (DOCUMENTS - 1, {f"doc-{files['relevant'][0, 0]}"})
    judged = int((files["relevant"] == files["relevant"][0, 0]).sum())
    _, notices = read_qrels(Path("qrels.tsv"), items, read_items(Path("q_old.npz"), Path("q_new.npz")), options)
    assert [one.text for one in notices] == [f"qrels.tsv: {judged} judgements left out with their items"]
