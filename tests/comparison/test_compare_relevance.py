"""What is relevant to what, against loops over classes and over the lines of a qrels file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from upgrades import Upgrade, embeddings

from compatbench.comparison.inputs import PairedItems, read_items
from compatbench.comparison.relevance import by_class, read_qrels, shared_ids
from compatbench.comparison.request import Sources, read_request
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError


def items(labels: str | None = "labels.npy") -> PairedItems:
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


def test_numbers_and_their_text_are_the_same_class(upgrade: Upgrade) -> None:
    """As of two text files, one of which has another class that is no number."""
    words = upgrade.labels.astype(str)
    words[0] = "none"
    np.savez("q_old.npz", vectors=upgrade.old[:9], labels=words[:9])
    np.savez("q_new.npz", vectors=upgrade.new[:9])
    queries, gallery = read_items(Path("q_old.npz"), Path("q_new.npz")), items()
    relevance = by_class(gallery, queries)
    for query, word in enumerate(words[:9]):
        expected = [] if query == 0 else np.flatnonzero(upgrade.labels == int(word)).tolist()
        assert relevance.listed[relevance.group[query]].tolist() == expected
    np.savez("q_old.npz", vectors=upgrade.old[:9], labels=np.array(["cat"] * 9))
    with pytest.raises(RequestError, match=r"the classes of .* differ in kind: numbers in one"):
        by_class(gallery, read_items(Path("q_old.npz"), Path("q_new.npz")))


@pytest.mark.usefixtures("upgrade")
def test_missing_classes_are_named_with_the_option_that_gives_them(upgrade: Upgrade) -> None:
    with pytest.raises(RequestError, match=r"new\.npy has no classes of its items: give --labels"):
        by_class(items(None), None)
    with pytest.raises(RequestError, match=r"new\.npy has no classes of its queries: give --query-labels"):
        by_class(items(), items(None))


THREE = "query-id\tcorpus-id\tscore\nq1\titem 3\t2\nq1\titem 5\t0\nq2\titem 3\t1\n"
FOUR = "q1 0 item_3 2\nq1 0 item_5 0\n\nq2 0 item_3 1\n"


@pytest.fixture
def asked(upgrade: Upgrade) -> tuple[PairedItems, PairedItems]:
    """400 documents and 3 queries."""
    old, new = embeddings(np.array([0, 1, 2]), 5)
    for name, vectors in (("old", old), ("new", new)):
        np.savez(f"q_{name}.npz", vectors=vectors, ids=np.array(["q1", "q2", "item 3"]))
    return read_items(Path("old.npz"), Path("new.npz")), read_items(Path("q_old.npz"), Path("q_new.npz"))


def test_judgements_above_zero_are_relevant(asked: tuple[PairedItems, PairedItems], upgrade: Upgrade) -> None:
    Path("three.tsv").write_text(THREE)
    relevance, _ = read_qrels(Path("three.tsv"), *asked)
    assert [relevance.listed[query].tolist() for query in range(3)] == [[3], [3], []]
    assert relevance.own.tolist() == [-1, -1, -1]  # queries and documents have ids of their own
    assert relevance.count.tolist() == [1, 1, 0]
    assert not relevance.among(np.delete(np.arange(400), 3), np.arange(3)).count.any()
    names = np.char.replace(upgrade.ids, " ", "_")
    np.savez("new.npz", vectors=upgrade.new, ids=names)
    np.savez("old.npz", vectors=upgrade.old, ids=names)
    Path("four.txt").write_text(FOUR)
    again, _ = read_qrels(Path("four.txt"), read_items(Path("old.npz"), Path("new.npz")), asked[1])
    assert [again.listed[query].tolist() for query in range(3)] == [[3], [3], []]


@pytest.mark.usefixtures("upgrade")
def test_without_queries_items_are_asked_by_row_number(upgrade: Upgrade) -> None:
    Path("rows.txt").write_text("0 1 1\n0 0 1\n5 399 3\n")
    relevance, _ = read_qrels(Path("rows.txt"), items(None), None)
    found = relevance.among(np.arange(400), np.array([0, 5]))
    assert [found.listed[group].tolist() for group in found.group] == [[0, 1], [399]]
    assert found.count.tolist() == [1, 1]  # a query that is judged relevant to itself does not count


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            "q1 item_3\n",
            "line 1: 2 columns; a qrels file has lines of query id, document id and relevance "
            "(or the four columns of TREC), separated by tabs or blanks",
        ),
        ("q1\titem 3\t1\nq1\titem 4\tyes\n", "line 2: 'yes' is no relevance"),
        (
            "q1\titem 3\t1\nq1\titem 4\tinf\n",
            "line 2: the grade inf cannot be added up; give 0, or a number whose size",
        ),
        ("q1\titem 3\tnan\n", "line 1: the grade nan cannot"),
        ("q1\titem 3\t-1e308\n", "line 1: the grade -1e+308 cannot"),
        ("query-id\tcorpus-id\tscore\n", "bad.tsv: it has no judgements"),
        ("q1\titem 3\t0\nq1\titem 4\t-1\n", "none of its 2 judgements of these items is relevant (bad.tsv: grades are"),
        ("q1\titem 3\t1e-300\n", "line 1: the grade 1e-300 cannot"),
        (
            "q1\titem 3\t1\nq1\titem 400\t1\n",
            "1 document ids are not among the ids of new.npz (first in line 2): 'item 400'; embed them",
        ),
        ("q9\titem 3\t1\n", "1 query ids are not among the ids of q_new.npz (first in line 1): 'q9'"),
        ("q1\titem 3\t1\nq1\titem 3\t0\n", "line 2: the pair is already judged in line 1, 1 there and 0 here"),
    ],
)
def test_damaged_judgements_are_refused(asked: tuple[PairedItems, PairedItems], content: str, complaint: str) -> None:
    Path("bad.tsv").write_text(content)
    with pytest.raises(RequestError) as error:
        read_qrels(Path("bad.tsv"), *asked)
    assert complaint in str(error.value)
    assert "bad.tsv" in str(error.value)


@pytest.mark.parametrize(
    ("heading", "order"),
    [
        ("query-id\tcorpus-id\tscore", (0, 1, 2)),
        ("corpus-id\tquery-id\tscore", (1, 0, 2)),
        ("relevance\tqid\tdocno", (1, 2, 0)),
        ("Doc_ID\tRel\tTopic", (2, 0, 1)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_heading_says_which_column_is_what(
    asked: tuple[PairedItems, PairedItems], heading: str, order: tuple[int, ...], encoding: str
) -> None:
    lines = [heading]
    for row in (("q1", "item 3", "2"), ("q1", "item 5", "0"), ("q2", "item 3", "1")):
        places = dict(zip(order, row, strict=True))
        lines.append("\t".join(places[place] for place in range(3)) + "\t")  # as some programs end lines
    Path("named.tsv").write_text("\r\n".join(lines), encoding=encoding)
    relevance, _ = read_qrels(Path("named.tsv"), *asked)
    assert [relevance.listed[query].tolist() for query in range(3)] == [[3], [3], []]


@pytest.mark.parametrize(
    "heading", ["a\tb\tc", "query-id\tcorpus-id\tcolour", "query-id\tqid\tscore", "qid\tdocno\tx\trel"]
)
def test_a_heading_that_does_not_say_it_is_refused(asked: tuple[PairedItems, PairedItems], heading: str) -> None:
    Path("named.tsv").write_text(f"{heading}\nq1\titem 3\t1\n")
    with pytest.raises(RequestError, match="does not say which column is what; name them query-id"):
        read_qrels(Path("named.tsv"), *asked)


def test_all_unknown_ids_are_counted_and_may_be_left_out(asked: tuple[PairedItems, PairedItems]) -> None:
    Path("more.tsv").write_text("q1\titem 3\t1\nq1\tgone 1\t1\nq8\titem 3\t1\nq9\tgone 1\t0\nq8\titem 4\t1\n")
    with pytest.raises(RequestError) as caught:
        read_qrels(Path("more.tsv"), *asked)
    assert "2 query ids are not among the ids of q_new.npz (first in line 3): 'q8', 'q9'" in str(caught.value)
    assert "1 document ids are not among the ids of new.npz (first in line 2): 'gone 1'" in str(caught.value)
    assert "leave their 4 judgements out by --skip-unknown" in str(caught.value)
    relevance, notices = read_qrels(Path("more.tsv"), *asked, InputOptions(skip_unknown=True))
    assert relevance.count.tolist() == [1, 0, 0]
    assert [(one.kind, one.count) for one in notices] == [("judgements", 4)]
    assert notices[0].text.startswith("more.tsv: 4 judgements left out")


def test_a_pair_may_be_judged_twice_alike(asked: tuple[PairedItems, PairedItems]) -> None:
    Path("twice.tsv").write_text("q1\titem 3\t1\nq2\titem 3\t1\nq1\titem 3\t1\n")
    relevance, notices = read_qrels(Path("twice.tsv"), *asked)
    assert relevance.count.tolist() == [1, 1, 0]
    assert [one.text for one in notices] == ["twice.tsv: 1 judgements are there twice, with the same grade"]


@pytest.mark.parametrize(
    ("least", "expected"), [(None, [0, 1, 2]), (1.0, [0, 1, 2]), (2.0, [1, 2]), (2.5, [2]), (0.0, [0, 1, 2, 3])]
)
def test_grades_from_a_least_one_on_are_relevant(
    asked: tuple[PairedItems, PairedItems], least: float | None, expected: list[int]
) -> None:
    lines = [f"q1\titem {row}\t{grade}" for row, grade in enumerate((1, 2, 3, 0, -2))]
    Path("graded.tsv").write_text("\n".join(lines))
    relevance, notices = read_qrels(Path("graded.tsv"), *asked, InputOptions(relevant_from=least))
    assert relevance.listed[0].tolist() == expected
    assert "grades are 1 of -2, 1 of 0, 1 of 1, 1 of 2, 1 of 3" in notices[-1].text


def test_judgements_of_items_that_were_left_out_are_counted(upgrade: Upgrade) -> None:
    vectors = upgrade.new.copy()
    vectors[[3, 7]] = 0
    np.savez("holes.npz", vectors=vectors, ids=upgrade.ids)
    Path("some.tsv").write_text("item 0\titem 3\t1\nitem 0\titem 4\t1\nitem 7\titem 4\t1\n")
    gallery = read_items(Path("old.npz"), Path("holes.npz"), options=InputOptions(skip_bad_rows=True))
    relevance, notices = read_qrels(Path("some.tsv"), gallery, None)
    assert (len(gallery), relevance.count.sum()) == (398, 1)
    assert [one.text for one in notices] == ["some.tsv: 2 judgements left out with their items"]


def test_an_item_that_was_left_out_makes_no_query_of_its_name_known(upgrade: Upgrade) -> None:
    vectors = upgrade.new.copy()
    vectors[5] = 0
    np.savez("holes.npz", vectors=vectors, ids=np.arange(400))
    np.savez("whole.npz", vectors=upgrade.old, ids=np.arange(400))
    for name, side in (("q_old.npz", upgrade.old), ("q_new.npz", vectors)):
        np.savez(name, vectors=side[:9], ids=np.arange(1000, 1009))
    skip = InputOptions(skip_bad_rows=True)
    both = [read_items(Path(old), Path(new), options=skip)
            for old, new in (("whole.npz", "holes.npz"), ("q_old.npz", "q_new.npz"))]  # fmt: skip
    known = [("1000", "4"), ("1000", "5"), ("1005", "4")]  # item 5 and query 1005 are left out
    for wrong, side in ((("5", "4"), "query"), (("1000", "1005"), "document"), (("1005", "no"), "document")):
        judged = [(*one, 1.0) for one in (*known, wrong)]
        with pytest.raises(RequestError, match=f"1 {side} ids are not among the ids"):
            read_qrels(judged, both[0], both[1], skip)
        _, notices = read_qrels(judged, *both, InputOptions(skip_bad_rows=True, skip_unknown=True))
        assert [one.count for one in notices] == [1, 2]


def test_queries_and_items_of_one_id_are_counted_and_may_be_kept_apart(upgrade: Upgrade) -> None:
    ids = np.array(["item 5", "x", "item 0"])
    np.savez("q_old.npz", vectors=upgrade.old[:3], ids=ids, labels=upgrade.labels[:3])
    np.savez("q_new.npz", vectors=upgrade.new[:3], ids=ids)
    both = read_items(Path("old.npz"), Path("new.npz")), read_items(Path("q_old.npz"), Path("q_new.npz"))
    apart = InputOptions(separate_ids=True)
    assert by_class(*both, apart).own.tolist() == [-1, -1, -1]
    for options, words in ((InputOptions(), "are taken as that item"), (apart, "are not that item")):
        (notice,) = shared_ids(*both, options)
        assert notice.count == 2
        assert f"2 of 3 queries have the id of an item of new.npz, and {words}" in notice.text
    assert shared_ids(both[0], read_items(Path("q_old.npz"), Path("q_old.npz")), apart)[0].count == 2


def test_queries_may_have_the_usual_columns(upgrade: Upgrade) -> None:
    """Items have others, which are given; a column that a file of queries has by neither name is missing."""
    for name, side in (("old", upgrade.old), ("new", upgrade.new)):
        np.savez(f"{name}.npz", emb_x=side, sku=upgrade.ids, kind=upgrade.labels, id=np.arange(400))
        np.savez(f"q_{name}.npz", vectors=side[:9], id=np.arange(1000, 1009), label=upgrade.labels[:9])
    options = InputOptions(vectors="emb_x", ids="sku", labels="kind")
    sources = Sources(Path("old.npz"), Path("new.npz"), None, None, Path("q_old.npz"), Path("q_new.npz"))
    request = read_request(sources, options)
    assert request.queries is not None
    assert request.items.ids.tolist() == upgrade.ids.tolist()
    assert request.queries.ids.tolist() == [str(one) for one in range(1000, 1009)]
    assert np.array_equal(request.queries.labels, upgrade.labels[:9])
    assert any(one.text == "q_old.npz: ids from 'id', labels from 'label'" for one in request.queries.notices)
    np.savez("q_old.npz", vectors=upgrade.old[:9], name=np.arange(9))
    with pytest.raises(RequestError, match=r"q_old\.npz has no column 'sku' for --ids"):
        read_request(sources, options)


def test_a_file_that_is_no_text_is_refused(asked: tuple[PairedItems, PairedItems]) -> None:
    Path("bytes.tsv").write_bytes(b"\xff\xfe\x00")
    Path("packed.tsv").write_bytes(gzip.compress(THREE.encode()))
    Path("table.tsv").write_bytes(b"PAR1\x15\x04")
    for name, remedy in (("packed.tsv", "compressed by gzip; unpack it"), ("table.tsv", "a Parquet file; write it as")):
        with pytest.raises(RequestError, match=f"{name} is no text: it is {remedy}"):
            read_qrels(Path(name), *asked)
    for name in ("bytes.tsv", "nowhere.tsv"):
        with pytest.raises(RequestError, match=f"{name} cannot be read"):
            read_qrels(Path(name), *asked)
