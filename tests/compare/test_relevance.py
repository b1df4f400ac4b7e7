"""What is relevant to what, against loops over classes and over the lines of a qrels file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from upgrades import Upgrade, embeddings

from compatbench.compare.inputs import Items, read_items
from compatbench.compare.relevance import by_class, read_qrels
from compatbench.errors import RequestError


def items(labels: str | None = "labels.npy") -> Items:
    return read_items(Path("old.npy"), Path("new.npy"), None if labels is None else Path(labels))


def test_items_of_the_same_class_are_relevant_but_for_the_query_itself(upgrade: Upgrade) -> None:
    relevance = by_class(items(), None)
    gallery, queries = np.arange(0, 400, 2), np.array([4, 7, 398])
    found = relevance.among(gallery, queries)
    for place, query in enumerate(queries):
        expected = [at for at, row in enumerate(gallery) if upgrade.labels[row] == upgrade.labels[query]]
        assert found.listed[found.group[place]].tolist() == expected
        assert found.own[place] == (query // 2 if query % 2 == 0 else -1)
        assert found.count[place] == len(expected) - (query % 2 == 0)


def test_an_answerable_query_has_another_item_of_its_class(upgrade: Upgrade) -> None:
    relevance = by_class(items(), None)
    expected = [
        any(upgrade.labels[row] == upgrade.labels[query] and row != query for row in range(7)) for query in range(400)
    ]
    assert 0 < sum(expected) < 400
    assert (relevance.among(np.arange(7), np.arange(400)).count > 0).tolist() == expected


def test_separate_queries_with_ids_skip_the_item_of_their_id(upgrade: Upgrade) -> None:
    np.savez("q_old.npz", vectors=upgrade.old[:3], ids=np.array(["item 5", "x", "item 0"]), labels=upgrade.labels[:3])
    np.savez("q_new.npz", vectors=upgrade.new[:3], ids=np.array(["item 5", "x", "item 0"]))
    gallery = read_items(Path("old.npz"), Path("new.npz"))
    relevance = by_class(gallery, read_items(Path("q_old.npz"), Path("q_new.npz")))
    assert relevance.own.tolist() == [5, -1, 0]
    assert relevance.listed[relevance.group[1]].tolist() == np.flatnonzero(upgrade.labels == upgrade.labels[1]).tolist()


@pytest.mark.usefixtures("upgrade")
def test_missing_classes_are_named_with_the_option_that_gives_them(upgrade: Upgrade) -> None:
    with pytest.raises(RequestError, match=r"new\.npy has no classes of its items: give --labels"):
        by_class(items(None), None)
    with pytest.raises(RequestError, match=r"new\.npy has no classes of its queries: give --query-labels"):
        by_class(items(), items(None))


THREE = "query-id\tcorpus-id\tscore\nq1\titem 3\t2\nq1\titem 5\t0\nq2\titem 3\t1\n"
FOUR = "q1 0 item_3 2\nq1 0 item_5 0\n\nq2 0 item_3 1\n"


@pytest.fixture
def asked(upgrade: Upgrade) -> tuple[Items, Items]:
    """400 documents and 3 queries."""
    old, new = embeddings(np.array([0, 1, 2]), 5)
    for name, vectors in (("old", old), ("new", new)):
        np.savez(f"q_{name}.npz", vectors=vectors, ids=np.array(["q1", "q2", "item 3"]))
    return read_items(Path("old.npz"), Path("new.npz")), read_items(Path("q_old.npz"), Path("q_new.npz"))


def test_judgements_above_zero_are_relevant(asked: tuple[Items, Items], upgrade: Upgrade) -> None:
    Path("three.tsv").write_text(THREE)
    relevance = read_qrels(Path("three.tsv"), *asked)
    assert [relevance.listed[query].tolist() for query in range(3)] == [[3], [3], []]
    assert relevance.own.tolist() == [-1, -1, -1]  # queries and documents have ids of their own
    assert relevance.count.tolist() == [1, 1, 0]
    assert not relevance.among(np.delete(np.arange(400), 3), np.arange(3)).count.any()
    names = np.char.replace(upgrade.ids, " ", "_")
    np.savez("new.npz", vectors=upgrade.new, ids=names)
    np.savez("old.npz", vectors=upgrade.old, ids=names)
    Path("four.txt").write_text(FOUR)
    again = read_qrels(Path("four.txt"), read_items(Path("old.npz"), Path("new.npz")), asked[1])
    assert [again.listed[query].tolist() for query in range(3)] == [[3], [3], []]


@pytest.mark.usefixtures("upgrade")
def test_without_queries_items_are_asked_by_row_number(upgrade: Upgrade) -> None:
    Path("rows.txt").write_text("0 1 1\n0 0 1\n5 399 3\n")
    relevance = read_qrels(Path("rows.txt"), items(None), None)
    found = relevance.among(np.arange(400), np.array([0, 5]))
    assert [found.listed[group].tolist() for group in found.group] == [[0, 1], [399]]
    assert found.count.tolist() == [1, 1]  # a query that is judged relevant to itself does not count


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("q1 item_3\n", "line 1: 2 columns; a qrels file has lines of query id, document id and relevance"),
        ("q1\titem 3\t1\nq1\titem 4\tyes\n", "line 2: 'yes' is no relevance"),
        ("q1\titem 3\t1\nq1\titem 400\t1\n", "line 2: 'item 400' is not among the ids of new.npz; embed it"),
        ("q9\titem 3\t1\n", "line 1: 'q9' is not among the ids of q_new.npz"),
        ("q1\titem 3\t1\nq1\titem 3\t0\n", "line 2: the pair is already judged in line 1"),
    ],
)
def test_damaged_judgements_are_refused(asked: tuple[Items, Items], content: str, complaint: str) -> None:
    Path("bad.tsv").write_text(content)
    with pytest.raises(RequestError) as error:
        read_qrels(Path("bad.tsv"), *asked)
    assert complaint in str(error.value)
    assert "bad.tsv" in str(error.value)


def test_a_file_that_is_no_text_is_refused(asked: tuple[Items, Items]) -> None:
    Path("bytes.tsv").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.tsv", "nowhere.tsv"):
        with pytest.raises(RequestError, match=f"{name} cannot be read"):
            read_qrels(Path(name), *asked)
