"""Files as other programs write them: whatever names their columns have, vectors come out as numpy has them."""

from __future__ import annotations

import csv
import gzip
import json
import uuid
import warnings
import zipfile
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compatbench.comparison.inputs import read_items
from compatbench.data.vectors import embeddings
from compatbench.data.vectors.embeddings import EmbeddingTable, read_table
from compatbench.data.vectors.formats import delimited, jsonl
from compatbench.data.vectors.formats.registry import FORMATS
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError

VECTORS = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
IDS = np.array([f"{row:03d}" for row in range(30)])


def vectors(path: Path, **options: Any) -> np.ndarray:
    return read_table(path, InputOptions(**options)).float32()


def text(row: np.ndarray) -> str:
    return json.dumps([float(one) for one in row])


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "title": "x", "emb": list(VECTORS), **more})


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(RequestError) as caught:
        read_table(path, InputOptions(**options))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def is_whole(table: EmbeddingTable) -> bool:
    return table.ids is not None and table.ids.tolist() == IDS.tolist() and np.array_equal(table.float32(), VECTORS)


@pytest.mark.parametrize("chosen", [{}, {"vectors": "emb", "ids": "id"}])
def test_parquet_has_any_columns(tmp_path: Path, chosen: dict[str, str]) -> None:
    frame(when=pd.Timestamp(0), tags=[["a"]] * 30, extra=[{"a": 1}] * 30).to_parquet(tmp_path / "x.parquet")
    table = read_table(tmp_path / "x.parquet", InputOptions(**chosen))
    assert is_whole(table)
    said = " ".join(notice.text for notice in table.notices)
    assert "left alone: 'title', 'when', 'tags', 'extra'" in said
    assert ("vectors from 'emb', ids from 'id'" in said) != bool(chosen)


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "x.parquet")
    assert "no column 'embb' for --vectors; did you mean 'emb'?" in refused(tmp_path / "x.parquet", vectors="embb")
    frame(other=list(VECTORS)).rename(columns={"emb": "one"}).to_parquet(tmp_path / "y.parquet")
    assert "has no 'vectors'; its columns are id, title, one, other: name one by --vectors" in refused(
        tmp_path / "y.parquet"
    )


def test_one_file_has_the_vectors_of_both_models(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    frame(other=list(2 * VECTORS)).to_parquet(path)
    both = InputOptions(vectors="emb,other")
    assert np.array_equal(read_table(path, both, "old").float32(), VECTORS)
    assert np.array_equal(read_table(path, both, "new").float32(), 2 * VECTORS)


def test_an_archive_has_at_most_20_000_members(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_001):
            archive.writestr(zipfile.ZipInfo(f"{number}.npy"), b"")
    with pytest.raises(RequestError, match=r"has 20,001 members; at most 20,000 are read"):
        FORMATS[".npz"].columns(path)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_text_of_every_layout_is_text(tmp_path: Path, kind: Any) -> None:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), 5)
    words = pa.array(IDS.tolist(), pa.string()).cast(kind)
    pq.write_table(pa.table({"ids": words, "vectors": lists, "labels": words}), tmp_path / "x.parquet")
    table = read_table(tmp_path / "x.parquet")
    assert is_whole(table)
    assert table.labels is not None
    assert table.labels.tolist() == IDS.tolist()


def test_uuids_are_text(tmp_path: Path) -> None:
    names = [uuid.uuid5(uuid.NAMESPACE_DNS, one) for one in IDS]
    raw = pa.array([one.bytes for one in names], pa.binary(16))
    for kind in (raw, pa.ExtensionArray.from_storage(pa.uuid(), raw)):
        pq.write_table(pa.table({"ids": kind, "vectors": list(VECTORS)}), tmp_path / "x.parquet")
        table = read_table(tmp_path / "x.parquet")
        assert table.ids is not None
        assert table.ids.tolist() == [str(one) for one in names]


SPELLINGS = {
    "JSON": text,
    "PostgreSQL's array": lambda row: "{" + ",".join(map(str, row.tolist())) + "}",
    "numpy": lambda row: np.array2string(row.astype(float), threshold=99, precision=17, floatmode="unique"),
    "bare": lambda row: " ".join(map(str, row.tolist())),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_vectors_that_are_text_are_parsed(tmp_path: Path, ending: str, spell: Any) -> None:
    path = tmp_path / f"x{ending}"
    table = pd.DataFrame({"vectors": [spell(row) for row in VECTORS], "text": 'a,\n"b"', "ids": IDS})
    if ending == ".parquet":
        table.to_parquet(path)
    elif ending == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    found = read_table(path, InputOptions(vectors="vectors"))
    assert found.ids is not None
    assert found.ids.tolist() == IDS.tolist()
    assert np.allclose(found.float32(), VECTORS, atol=1e-6)


def test_text_that_is_no_vector_is_shown(tmp_path: Path) -> None:
    pd.DataFrame({"ids": [1, 2], "vectors": ["[0.1 ... 0.3]", "[1 2 3]"]}).to_csv(tmp_path / "x.csv", index=False)
    assert "'vectors' is text such as '[0.1 ... 0.3]' that is no vector" in refused(tmp_path / "x.csv")


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_the_text_that_is_no_vector_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Behind good rows and empty ones, and in a later batch."""
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 500)
    monkeypatch.setattr(jsonl, "BATCH_CHARACTERS", 500)
    spelt = [text(row) for row in VECTORS]
    spelt[20], spelt[25] = "", "[0.1, wrong]"
    table, path = frame(emb=spelt), tmp_path / f"x{ending}"
    if ending == ".parquet":
        table.to_parquet(path)
    elif ending == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False)
    assert "'emb' is text such as '[0.1, wrong]' that is no vector (row 25)" in refused(path, vectors="emb")


@pytest.mark.parametrize("heading", [True, False])
@pytest.mark.parametrize("names", ["{}", "dim_{}", "x{}"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_one_column_a_dimension(tmp_path: Path, heading: bool, names: str, separator: str) -> None:
    rows = [["id", *(names.format(one) for one in range(5))]] if heading else []
    rows += [[f"d{one}", *map(str, row)] for one, row in zip(IDS, VECTORS, strict=True)]
    with (tmp_path / "x.csv").open("w", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows(rows)
    table = read_table(tmp_path / "x.csv")
    assert table.ids is not None
    assert table.ids.tolist() == [f"d{one}" for one in IDS]
    assert np.array_equal(table.float32(), VECTORS)


def test_a_bare_matrix_and_a_data_frame_of_numbers(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "bare.csv", VECTORS, delimiter=",")
    pd.DataFrame(VECTORS).to_csv(tmp_path / "frame.csv", index=False)
    pd.DataFrame(VECTORS).to_csv(tmp_path / "index.csv")
    wide = pd.DataFrame(VECTORS, columns=[f"e{one}" for one in range(5)])
    wide.assign(ids=IDS, price=1.5).to_parquet(tmp_path / "wide.parquet")
    for name in ("bare.csv", "frame.csv", "index.csv", "wide.parquet"):
        assert np.allclose(vectors(tmp_path / name), VECTORS, atol=1e-6), name
    assert "'price'" in read_table(tmp_path / "wide.parquet").notices[-1].text


def test_whole_numbers_before_fractional_ones_are_ids(tmp_path: Path) -> None:
    """Of a file without a heading, and of a frame that was saved with its index: said, and never a dimension."""
    numbers = np.random.default_rng(2).permutation(30)
    shuffled = pd.DataFrame(VECTORS, index=numbers)
    shuffled.to_csv(tmp_path / "bare.csv", header=False)
    shuffled.to_csv(tmp_path / "index.csv")
    shuffled.rename(lambda one: f"d{one}").to_csv(tmp_path / "text.csv", header=False)
    np.savetxt(tmp_path / "numpy.csv", np.column_stack((numbers, VECTORS)), delimiter=",")
    for name, said in (("bare", "the first"), ("index", ""), ("text", "the first"), ("numpy", "the first")):
        table = read_table(tmp_path / f"{name}.csv")
        assert np.allclose(table.float32(), VECTORS, atol=1e-6), name
        assert table.ids is not None
        assert [int(float(str(one).lstrip("d"))) for one in table.ids] == numbers.tolist()
        assert f"ids from '{said}" in table.notices[0].text
    shuffled.reset_index().set_axis(range(6), axis=1).rename(str, axis=1).to_parquet(tmp_path / "x.parquet")
    assert "column '0' has whole numbers, and the other columns" in refused(tmp_path / "x.parquet")
    shuffled.rename(lambda one: one % 7).to_csv(tmp_path / "classes.csv", header=False)
    assert "some of them several times, beside fractional ones: give a heading" in refused(tmp_path / "classes.csv")


def test_whole_numbers_alone_are_vectors(tmp_path: Path) -> None:
    numbers = np.arange(5, 17).reshape(3, 4)
    np.savetxt(tmp_path / "x.csv", numbers, delimiter=",", fmt="%d")
    assert np.array_equal(vectors(tmp_path / "x.csv"), numbers)
    np.savetxt(tmp_path / "y.csv", np.column_stack((np.zeros(30), VECTORS)), delimiter=",", fmt="%g")
    assert vectors(tmp_path / "y.csv").shape == (30, 6)  # a dimension that is always 0


def headless(path: Path, *columns: Any) -> Path:
    rows = np.column_stack([np.array(one, dtype=object) for one in columns])
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def test_classes_and_ids_without_a_heading_are_no_dimension(tmp_path: Path) -> None:
    """At either end, sorted or not, beside fractional numbers and bytes; beyond the rows that tell the layout."""
    path, many = tmp_path / "x.csv", np.random.default_rng(3).normal(size=(90, 5)).astype(np.float32)
    short = (20 * many).astype(np.int8)
    classes, ids, names = (
        np.arange(90) // 30,
        np.random.default_rng(4).permutation(90),
        [f"d{row}" for row in range(90)],
    )
    large = 10**9 + np.arange(90)
    for columns, end in (
        ((classes, many), "first"),
        ((many, classes), "last"),
        ((many, ids), "last"),
        ((names, classes, many), "first"),
        ((names, many, classes), "last"),
        ((names, many, ids, classes), "last"),
        ((ids, short), "first"),
        ((short, ids), "last"),
        ((short, large), "last"),
    ):
        assert f"its {end} column has whole numbers that look like ids or classes" in refused(headless(path, *columns))
    for numbers in (many, short, np.abs(short.astype(int)) * 1000, np.round(many)):
        assert np.allclose(vectors(headless(path, numbers)), numbers, rtol=1e-6)
    with_heading = pd.DataFrame(np.column_stack((classes, many))).add_prefix("dim_")
    with_heading.to_csv(path, index=False)  # as the error says
    assert vectors(path).shape == (90, 6)


@pytest.mark.parametrize("more", [[], ["label"]])
def test_a_heading_of_numbers_is_no_item(tmp_path: Path, more: list[str]) -> None:
    """In another order, or with gaps."""
    order, table = [3, 1, 4, 0, 2], pd.DataFrame(VECTORS)
    table.insert(0, "id", IDS)
    for name in more:
        table[name] = 1
    table[["id", *more, *order]].to_csv(tmp_path / "order.csv", index=False)
    assert is_whole(read_table(tmp_path / "order.csv"))
    table[["id", *more, 0, 1, 2, 4]].to_csv(tmp_path / "gap.csv", index=False)
    assert "('3' is missing among 0, …, 4)" in refused(tmp_path / "gap.csv")
    two = np.array([[1.0, 0.0], [0.6, 0.8]])
    assert np.allclose(vectors(headless(tmp_path / "x.csv", ["a", "b"], np.array([["1", "0"], ["0.6", "0.8"]]))), two)


@pytest.mark.parametrize("role", ["id", "label", "doc"])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_cell_is_no_value(tmp_path: Path, role: str, blank: str) -> None:
    table = pd.DataFrame(VECTORS).add_prefix("dim_").assign(id=IDS, label=[f"c{row % 3}" for row in range(30)], doc=IDS)
    table.loc[[7, 20], role] = blank
    table.to_csv(tmp_path / "x.csv", index=False)
    assert f"'{role}' has 2 empty rows (first row 7)" in refused(tmp_path / "x.csv", group="doc")


def test_tabs_separate_in_a_tsv(tmp_path: Path) -> None:
    """Whatever is in its cells."""
    names = [f"Smith, J.; {row}" for row in range(30)]
    for heading in ("", "name, first\tvector\n"):
        rows = "".join(f"{name}\t{text(row)}\n" for name, row in zip(names, VECTORS, strict=True))
        (tmp_path / "x.tsv").write_text(heading + rows)
        table = read_table(tmp_path / "x.tsv", InputOptions(ids="name, first" if heading else None))
        assert table.ids is not None
        assert table.ids.tolist() == names
        assert np.allclose(table.float32(), VECTORS)


def test_a_missing_dimension_is_named(tmp_path: Path) -> None:
    pd.DataFrame(VECTORS, columns=[f"dim_{one}" for one in (0, 1, 2, 4, 5)]).to_csv(tmp_path / "x.csv", index=False)
    assert "('dim_3' is missing among dim_0, …, dim_5)" in refused(tmp_path / "x.csv")


@pytest.mark.parametrize("row", [2, 25])
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".tsv"])
def test_text_that_is_not_utf_8_is_told_so(tmp_path: Path, ending: str, row: int) -> None:
    """Among the first rows, which tell the layout, and after them."""
    names = [("café" if one == row else "tea") + str(one) for one in range(30)]
    lines = [json.dumps({"id": name, "vector": [1, 2]}, ensure_ascii=False) for name in names]
    if ending != ".jsonl":
        lines = ["id,vector", *(f'{name},"[1, 2]"' for name in names)]
    (tmp_path / f"x{ending}").write_text("\n".join(lines), encoding="latin-1")
    assert "save it as UTF-8" in refused(tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".tsv"])
def test_what_is_packed_is_no_text(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"x{ending}").write_bytes(gzip.compress(b"id,vector"))
    assert "is no text: it is compressed by gzip; unpack it" in refused(tmp_path / f"x{ending}")
    frame().to_parquet(tmp_path / f"x{ending}")
    assert "is no text: it is a Parquet file" in refused(tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_mark_of_the_encoding_is_no_text(tmp_path: Path, ending: str, encoding: str) -> None:
    lines = [json.dumps({"id": one, "vector": row.tolist()}) for one, row in zip(IDS, VECTORS, strict=True)]
    if ending == ".csv":
        lines = ["id,vector", *(f'{one},"{text(row)}"' for one, row in zip(IDS, VECTORS, strict=True))]
    (tmp_path / f"x{ending}").write_text("\r\n".join(lines), encoding=encoding)
    assert is_whole(read_table(tmp_path / f"x{ending}"))


def test_ids_stay_what_they_were(tmp_path: Path) -> None:
    """Leading zeros stay, numbers are numbers, and nothing becomes a date."""
    for ids, kind in ((["007", "8"], "U"), (["7", "8"], "i"), (["2024-01-01", "2024-01-02"], "U"), (["1.0", "2"], "U")):
        rows = pd.DataFrame({"id": ids, "embedding": [[1.0, 2.0], [3.0, 4.0]]})
        rows.to_csv(tmp_path / "x.csv", index=False)
        rows.to_json(tmp_path / "x.jsonl", orient="records", lines=True)
        found = read_table(tmp_path / "x.csv").ids
        assert found is not None
        assert (found.dtype.kind, found.astype(str).tolist()) == (kind, ids)
        again = read_table(tmp_path / "x.jsonl").ids
        assert again is not None
        assert again.tolist() == ids


def test_ids_beyond_signed_numbers_are_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only a later batch has them."""
    monkeypatch.setattr(jsonl, "BATCH_CHARACTERS", 300)
    ids = [2**53 + 1, *range(1, 15), *(2**63 + row for row in range(15))]
    rows = [{"id": one, "vector": row.tolist()} for one, row in zip(ids, VECTORS, strict=True)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_table(tmp_path / "x.jsonl").ids
    assert found is not None
    assert found.astype(str).tolist() == list(map(str, ids))


def test_batches_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 300)
    monkeypatch.setattr(jsonl, "BATCH_CHARACTERS", 300)
    frame(emb=[text(row) for row in VECTORS]).to_csv(tmp_path / "x.csv", index=False)
    frame().to_json(tmp_path / "x.jsonl", orient="records", lines=True, double_precision=15)
    for name in ("x.csv", "x.jsonl"):
        table = read_table(tmp_path / name)
        assert table.ids is not None
        assert table.ids.tolist() == IDS.tolist()
        assert np.allclose(table.float32(), VECTORS, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"id": 1, "vector": [1.0]}\n{"id": 2', "line 2"),
        ("[1.0, 2.0]\n", "line 1: no object"),
        ("", "it has no rows"),
        ('{"id": 1, "vector": [1.0]}\n{"id": 2, "vector": [1.0, 2.0]}\n', "between 1 and 2 numbers"),
        (
            '{"id": 1, "vector": [1.0]}\n{"id": "b", "vector": [2.0]}\n',
            "'id' differs in kind between lines: 1 and 'b'; write",
        ),
        ('{"id": 1, "vector": [1.0]}\n\n{"id": 2, "vec', "line 3: Unterminated string starting at, at character 11"),
        ('{"id": 1, "vector": [1.0]}\n{"vector": [2.0]}\n', "'id' has 1 empty rows"),
        ('{"id": 1%s, "vector": [1.0]}\n' % (30 * "0"), "'id' differs in kind between lines"),
        ('{"id": 1, "text": "a"}\n', "has no 'vectors'; its columns are id, text"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "x.jsonl").write_text(content)
    assert words in refused(tmp_path / "x.jsonl")


def test_a_lone_member_is_the_vectors_and_a_pickled_one_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", VECTORS)
    assert np.array_equal(vectors(tmp_path / "x.npz"), VECTORS)
    np.savez(tmp_path / "y.npz", vectors=VECTORS, ids=IDS.astype(object), other=IDS.astype(object))
    said = refused(tmp_path / "y.npz")
    assert "'ids' contains pickled objects" in said
    assert "ids=ids.astype(str)" in said
    np.savez(tmp_path / "z.npz", vectors=VECTORS, title=IDS.astype(object))
    assert np.array_equal(vectors(tmp_path / "z.npz"), VECTORS)  # what is not asked for is never loaded


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_bytes_are_numbers(tmp_path: Path, kind: Any) -> None:
    numbers = np.arange(12).reshape(3, 4).astype(kind)
    np.save(tmp_path / "x.npy", numbers)
    assert np.array_equal(vectors(tmp_path / "x.npy"), numbers.astype(np.float32))
    said = [notice.text for notice in read_table(tmp_path / "x.npy").notices]
    assert any("--packed-bits" in one for one in said) == (kind is np.uint8)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".parquet"])
def test_packed_bits_rank_as_by_hamming_distance(tmp_path: Path, signed: bool, ending: str) -> None:
    bits = VECTORS @ np.random.default_rng(1).normal(size=(5, 20)) > 0
    packed = np.packbits(bits, axis=1)
    packed = (packed.astype(np.int16) - 128).astype(np.int8) if signed else packed
    path = tmp_path / f"x{ending}"
    if ending == ".npy":
        np.save(path, packed)
    elif ending == ".npz":
        np.savez(path, vectors=packed)
    else:
        lists = pa.FixedSizeListArray.from_arrays(pa.array(packed.reshape(-1)), 3)
        pq.write_table(pa.table({"vectors": lists}), path)
    table = read_table(path, InputOptions(packed_bits=True, dims=20))
    found = table.float32()
    assert table.dim == found.shape[1] == 20
    assert np.array_equal(found @ found.T, 20 - 2 * (bits[:, None] != bits[None]).sum(2))


BITS = VECTORS @ np.random.default_rng(1).normal(size=(5, 16)) > 0
PACKED = np.packbits(BITS, axis=1)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", "dims.csv", ".parquet", "int64.npz", "float64.npy", "int64"])
def test_packed_bits_are_whole_numbers_of_any_type(tmp_path: Path, ending: str) -> None:
    source: Any = tmp_path / f"x{ending}"
    rows = pd.DataFrame({"id": IDS, "vector": PACKED.tolist()})
    if ending == ".jsonl":
        rows.to_json(source, orient="records", lines=True)
    elif ending == ".csv":
        rows.to_csv(source, index=False)
    elif ending == "dims.csv":
        pd.DataFrame(PACKED, columns=["dim_0", "dim_1"]).assign(id=IDS).to_csv(source, index=False)
    elif ending == ".parquet":
        rows.to_parquet(source)
    elif ending == "int64.npz":
        np.savez(source, vectors=PACKED.astype(np.int64))
    elif ending == "float64.npy":
        np.save(source, PACKED.astype(np.float64))
    else:
        source = PACKED.tolist()
    table = read_table(source, InputOptions(packed_bits=True))
    assert np.array_equal(table.float32(), np.where(BITS, 1, -1))


@pytest.mark.parametrize("kind", [pa.uint8(), pa.int8(), pa.int64()])
def test_packed_bits_with_empty_rows(tmp_path: Path, kind: Any) -> None:
    shift = 128 if kind == pa.int8() else 0
    lists = [None if row % 9 == 0 else (one.astype(int) - shift).tolist() for row, one in enumerate(PACKED)]
    pq.write_table(pa.table({"vectors": pa.array(lists, pa.list_(kind))}), tmp_path / "x.parquet")
    if shift:
        assert "add 128 to signed ones" in refused(tmp_path / "x.parquet", packed_bits=True)
        return
    found = vectors(tmp_path / "x.parquet", packed_bits=True)
    there = np.arange(30) % 9 > 0
    assert np.array_equal(found[there], np.where(BITS, 1, -1)[there])
    assert np.isnan(found[~there]).all()


def test_what_are_no_packed_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other whole numbers are refused, wherever they are; fractions, and bits that are not packed, stay numbers."""
    monkeypatch.setattr(embeddings, "BLOCK_ROWS", 7)
    for wrong in (-2, 256):
        numbers = PACKED.astype(np.float32)
        numbers[29, 1] = wrong
        np.save(tmp_path / "x.npy", numbers)
        assert "are no packed bits: give bytes from 0 to 255" in refused(tmp_path / "x.npy", packed_bits=True)
    half = PACKED.astype(np.float32)
    half[29, 1] = 0.5
    for numbers in (half, np.where(BITS, 1, -1).astype(np.float32), BITS.astype(np.float32)):
        np.save(tmp_path / "x.npy", numbers)
        table = read_table(tmp_path / "x.npy", InputOptions(packed_bits=True))
        assert np.array_equal(table.float32(), numbers)
        assert "are no packed bits, and taken as they are" in table.notices[0].text


def test_first_dimensions_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS)
    table = read_table(tmp_path / "x.npy", InputOptions(dims=3))
    assert (table.dim, table.notices[0].text.endswith("the first 3 of 5 dimensions")) == (3, True)
    assert np.array_equal(table.gather(np.array([4, 1])), VECTORS[[4, 1], :3])
    assert read_table(tmp_path / "x.npy", InputOptions(dims=3), "old").dim == 5
    assert "has 5 dimensions, and 6 are asked for" in refused(tmp_path / "x.npy", dims=6)


def _indexes() -> dict[str, Any]:
    flat, l2 = faiss.IndexFlatIP(5), faiss.IndexFlatL2(5)
    lists = faiss.IndexIVFFlat(faiss.IndexFlatL2(5), 5, 3)
    sparse = faiss.IndexIVFFlat(faiss.IndexFlatIP(5), 5, 20, faiss.METRIC_INNER_PRODUCT)
    for index in (flat, l2, lists, sparse):
        index.train(VECTORS)
        index.add(VECTORS)
    lists.make_direct_map()
    return {"flat": flat, "l2": l2, "lists": lists, "sparse": sparse}


@pytest.mark.parametrize("name", ["flat", "l2", "lists", "sparse"])
def test_an_index_gives_its_vectors_back(tmp_path: Path, name: str) -> None:
    faiss.write_index(_indexes()[name], str(tmp_path / "x.faiss"))
    table = read_table(tmp_path / "x.faiss")
    assert table.ids is None
    assert np.array_equal(table.float32(), VECTORS)


@pytest.mark.parametrize("wrap", ["IndexIDMap", "IndexIDMap2", "lists"])
def test_ids_in_an_index_are_ids(tmp_path: Path, wrap: str) -> None:
    ids = np.random.default_rng(1).permutation(1000)[:30]
    if wrap == "lists":
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(5), 5, 3)
        index.train(VECTORS)
    else:
        index = getattr(faiss, wrap)(faiss.IndexFlatIP(5))
    index.add_with_ids(VECTORS, ids)
    faiss.write_index(index, str(tmp_path / "x.index"))
    table = read_table(tmp_path / "x.index")
    assert table.ids is not None
    assert dict(zip(table.ids.tolist(), table.float32().tolist(), strict=True)) == dict(
        zip(ids.tolist(), VECTORS.tolist(), strict=True)
    )


@pytest.mark.parametrize("wrap", ["map", "lists"])
def test_ids_that_are_positions_are_ids_beside_ids(tmp_path: Path, wrap: str) -> None:
    index = faiss.IndexIDMap(faiss.IndexFlatIP(5)) if wrap == "map" else _indexes()["lists"]
    if wrap == "map":
        index.add_with_ids(VECTORS, np.arange(30))
    faiss.write_index(index, str(tmp_path / "x.faiss"))
    order = np.random.default_rng(1).permutation(30)
    np.savez(tmp_path / "ids.npz", ids=order, vectors=2 * VECTORS[order])
    np.save(tmp_path / "bare.npy", VECTORS)
    np.savez(tmp_path / "text.npz", ids=IDS, vectors=VECTORS)
    items = read_items(tmp_path / "x.faiss", tmp_path / "ids.npz")
    assert np.array_equal(2 * items.raw_old(np.arange(30)), items.raw_new(np.arange(30)))
    assert not read_items(tmp_path / "x.faiss", tmp_path / "bare.npy").has_ids
    with pytest.raises(RequestError, match=r"text.npz has ids and .*x.faiss has none"):
        read_items(tmp_path / "x.faiss", tmp_path / "text.npz")


def test_a_frame_and_the_same_in_another_order_as_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(VECTORS).add_prefix("dim_")
    frame.to_csv(tmp_path / "old.csv")
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "new.csv")
    items = read_items(tmp_path / "old.csv", tmp_path / "new.csv")
    assert np.array_equal(items.raw_old(np.arange(30)), items.raw_new(np.arange(30)))
    assert not np.array_equal(items.raw_new(np.arange(30)), VECTORS)
    assert not read_items(tmp_path / "old.csv", tmp_path / "old.csv").has_ids


def test_an_index_of_another_kind_is_named_with_a_way_to_its_vectors(tmp_path: Path) -> None:
    index = faiss.IndexHNSWFlat(5, 4)
    index.add(VECTORS)
    faiss.write_index(index, str(tmp_path / "x.faiss"))
    said = refused(tmp_path / "x.faiss")
    assert "an index of kind 'IHNf' is not read; flat and IVF-flat ones are" in said
    assert "index.reconstruct_n(0, index.ntotal)" in said
    assert np.array_equal(index.reconstruct_n(0, index.ntotal), VECTORS)


@pytest.mark.parametrize("at", [4, 8, 37])
def test_sizes_that_the_file_does_not_bear_out_are_refused(tmp_path: Path, at: int) -> None:
    """In the dimension, the number of vectors and of numbers: nothing of that size is ever made."""
    content = bytearray(faiss.serialize_index(_indexes()["flat"]).tobytes())
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "x.faiss").write_bytes(content)
    assert "cannot be read" in refused(tmp_path / "x.faiss")


def test_every_reader_refuses_a_file_of_zeros(tmp_path: Path) -> None:
    for ending in FORMATS:
        for size in (0, 64):
            (tmp_path / f"x{ending}").write_bytes(bytes(size))
            refused(tmp_path / f"x{ending}")


def test_classes_may_be_in_either_file_and_are_missed_in_neither(tmp_path: Path) -> None:
    frame(kind=range(30)).to_parquet(tmp_path / "old.parquet")
    frame().to_parquet(tmp_path / "new.parquet")
    files = tmp_path / "old.parquet", tmp_path / "new.parquet"
    items = read_items(*files, options=InputOptions(labels="kind"))
    assert items.labels is not None
    assert items.labels.tolist() == list(range(30))
    for role in ("labels", "group"):
        with pytest.raises(RequestError, match=f"neither .* nor .* has a column 'nothing' for --{role}"):
            read_items(*files, options=InputOptions(**{role: "nothing"}))


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize("block", [2**10, 2**24])
def test_one_long_id_among_many_is_no_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, block: int
) -> None:
    """Text is as wide as its longest: 20,000 short ids and one of 20,000 characters would take 1.6 GB."""
    monkeypatch.setattr(delimited, "BLOCK_BYTES", max(block, 2**15))
    monkeypatch.setattr(jsonl, "BATCH_CHARACTERS", block)
    ids = [str(row) for row in range(20_000)] + ["x" * 20_000]
    rows = [f"{one},[1 2]" if ending == ".csv" else json.dumps({"id": one, "vector": [1, 2]}) for one in ids]
    (tmp_path / f"x{ending}").write_text("\n".join(["id,vector", *rows] if ending == ".csv" else rows))
    assert "unpack to more than" in refused(tmp_path / f"x{ending}")


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_numbers_of_either_byte_order_and_layout(tmp_path: Path, order: str, layout: Any) -> None:
    for kind in ("f2", "f4", "f8"):
        stored = np.asarray(VECTORS.astype(f"{order}{kind}"), order=layout)
        np.save(tmp_path / "x.npy", stored)
        np.savez(tmp_path / "x.npz", vectors=stored, ids=np.arange(30).astype(f"{order}i8"), labels=IDS.astype("S"))
        for name in ("x.npy", "x.npz"):
            assert np.array_equal(vectors(tmp_path / name), VECTORS.astype(kind).astype(np.float32))
    table = read_table(tmp_path / "x.npz")
    assert table.ids is not None
    assert table.labels is not None
    assert table.ids.tolist() == list(range(30))
    assert table.labels.tolist() == IDS.tolist()


@pytest.mark.parametrize("labels", [list(range(30)), [f"c{row % 3}" for row in range(30)]], ids=["numbers", "text"])
def test_half_floats_in_lists_of_any_kind_and_categories(tmp_path: Path, labels: list[Any]) -> None:
    half = VECTORS.astype(np.float16)
    flat, starts = pa.array(half.reshape(-1)), np.arange(0, 151, 5)
    for lists in (
        pa.FixedSizeListArray.from_arrays(flat, 5),
        pa.LargeListArray.from_arrays(pa.array(starts, pa.int64()), flat),
        pa.ListArray.from_arrays(pa.array(starts, pa.int32()), flat),
    ):
        table = pa.table({"vectors": lists, "labels": pa.array(labels).dictionary_encode()})
        pq.write_table(table, tmp_path / "x.parquet")
        found = read_table(tmp_path / "x.parquet")
        assert np.array_equal(found.float32(), half.astype(np.float32))
        assert found.labels is not None
        assert found.labels.tolist() == labels


@pytest.mark.parametrize("empty", [None, []])
def test_a_row_without_a_vector_is_a_bad_row(tmp_path: Path, empty: Any) -> None:
    rows = [empty if row == 7 else one.tolist() for row, one in enumerate(VECTORS)]
    pq.write_table(pa.table({"id": IDS.tolist(), "vector": rows}), tmp_path / "x.parquet")
    lines = [json.dumps({"id": one, "vector": row}) for one, row in zip(IDS, rows, strict=True)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    spelt = [f'{one},"{json.dumps(row) if row else ""}"' for one, row in zip(IDS, rows, strict=True)]
    (tmp_path / "x.csv").write_text("\n".join(["id,vector", *spelt]))
    np.save(tmp_path / "labels.npy", np.arange(30))
    for name in ("x.parquet", "x.jsonl", "x.csv"):
        files = tmp_path / name, tmp_path / name
        with pytest.raises(RequestError, match=r"1 of 30 rows cannot be ranked \(1 NaN or infinite\): 007;"):
            read_items(*files)
        items = read_items(*files, tmp_path / "labels.npy", InputOptions(skip_bad_rows=True))
        assert items.ids.tolist() == [one for one in IDS if one != "007"]


def test_a_row_that_lacks_a_dimension_is_a_bad_row(tmp_path: Path) -> None:
    numbers = pd.DataFrame(VECTORS).add_prefix("dim_").assign(id=IDS, labels=range(30))
    numbers.loc[4, "dim_2"] = None
    pq.write_table(pa.Table.from_pandas(numbers), tmp_path / "x.parquet")
    numbers.to_csv(tmp_path / "x.csv", index=False)
    for given in (tmp_path / "x.parquet", tmp_path / "x.csv", numbers):
        with pytest.raises(RequestError, match=r"1 of 30 rows cannot be ranked \(1 NaN or infinite\): 004"):
            read_items(given, given)
        items = read_items(given, given, options=InputOptions(skip_bad_rows=True))
        assert items.ids.tolist() == [one for one in IDS if one != "004"]


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    numbers = pd.DataFrame(VECTORS).add_prefix("d")
    numbers.insert(0, "id", IDS)
    numbers.to_csv(tmp_path / "x.csv", sep=";", decimal=",", index=False)
    assert is_whole(read_table(tmp_path / "x.csv"))


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_first_rows_may_lack_their_vectors(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    if ending == ".csv":
        frame(emb=["", "", *map(text, VECTORS[2:])]).to_csv(path, index=False)
    else:
        rows = [{"id": one} | ({"emb": VECTORS[row].tolist()} if row > 1 else {}) for row, one in enumerate(IDS)]
        path.write_text("\n".join(map(json.dumps, rows)))
    read = vectors(path)
    assert np.isnan(read[:2]).all()
    np.testing.assert_allclose(read[2:], VECTORS[2:], rtol=1e-6)


def test_one_side_of_packed_bits_and_the_other_of_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "bits.npy", np.packbits(VECTORS > 0, axis=1))
    np.save(tmp_path / "numbers.npy", VECTORS)
    items = read_items(tmp_path / "bits.npy", tmp_path / "numbers.npy", None, InputOptions(packed_bits=True))
    assert (items.old.dim, items.new.dim) == (8, 5)
    assert any("numbers.npy: vectors of float32 are no packed bits" in one.text for one in items.notices)


def test_numbers_beyond_float32_become_infinite_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "vector": [1e300, 1]}\n{"id": "b", "vector": [-1e300, 2]}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(tmp_path / "a.jsonl")
    assert table.vectors.tolist() == [[np.inf, 1], [-np.inf, 2]]
