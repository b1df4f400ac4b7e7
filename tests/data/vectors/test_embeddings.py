"""Embeddings in files: round trips in every format, one-line errors for everything else, and pairing by id."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from compatbench.comparison.inputs import PairedItems, pair_items
from compatbench.data.vectors import embeddings
from compatbench.data.vectors.embeddings import EmbeddingTable, read_labels, write_table
from compatbench.data.vectors.embeddings import read_table as read_unchecked
from compatbench.data.vectors.options import DEFAULT
from compatbench.data.vectors.pairing import Checked, refuse_bad_rows
from compatbench.errors import RequestError

VECTORS = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
NUMBERS = np.array([7, 3, 5, 11])
TEXT = np.array(["b", "a", "ä d", "c"])


def save(path: Path, **columns: Any) -> Path:
    """Write columns as another program would, without this project's writer."""
    if path.suffix == ".npy":
        np.save(path, columns["vectors"])
    elif path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".safetensors":
        save_file({key: torch.as_tensor(values) for key, values in columns.items()}, path)
    else:
        pq.write_table(pa.table({key: list(values) for key, values in columns.items()}), path)
    return path


def read_table(path: Path) -> EmbeddingTable:
    checked = Checked.of(read_unchecked(path))
    refuse_bad_rows(checked)
    return checked.table


def align(old: EmbeddingTable, new: EmbeddingTable) -> PairedItems:
    return pair_items(Checked.of(old), Checked.of(new), None, DEFAULT, more_old=True)


def refused(path: Path) -> str:
    with pytest.raises(RequestError) as error:
        read_table(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_are_read_from_every_format(tmp_path: Path, suffix: str, dtype: Any) -> None:
    table = read_table(save(tmp_path / f"x{suffix}", vectors=VECTORS.astype(dtype)))
    assert (len(table), table.dim, table.ids, table.labels) == (4, 3, None, None)
    assert table.float32().dtype == np.float32
    assert np.array_equal(table.float32(), VECTORS)


@pytest.mark.parametrize(
    ("suffix", "ids", "labels"),
    [
        (".npz", NUMBERS, TEXT),
        (".npz", TEXT, NUMBERS),
        (".safetensors", NUMBERS, NUMBERS + 1),
        (".parquet", TEXT, NUMBERS),
    ],
)
def test_ids_and_labels_are_read_and_written(tmp_path: Path, suffix: str, ids: Any, labels: Any) -> None:
    first = read_table(save(tmp_path / f"x{suffix}", vectors=VECTORS, ids=ids, labels=labels))
    write_table(tmp_path / f"y{suffix}", first)
    for table in (first, read_table(tmp_path / f"y{suffix}")):
        assert np.array_equal(table.vectors, VECTORS)
        assert np.array_equal(table.ids, ids)
        assert np.array_equal(table.labels, labels)


def test_bfloat16_tensors_are_read(tmp_path: Path) -> None:
    save_file({"vectors": torch.from_numpy(VECTORS).bfloat16()}, tmp_path / "x.safetensors")
    assert np.array_equal(read_table(tmp_path / "x.safetensors").vectors, VECTORS)


@pytest.mark.parametrize(("suffix", "ids"), [(".npy", None), (".safetensors", NUMBERS)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_matrix_stays_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, ids: Any, dtype: Any
) -> None:
    monkeypatch.setattr(embeddings, "BLOCK_ROWS", 3)
    columns = {} if ids is None else {"ids": ids}
    table = read_table(save(tmp_path / f"x{suffix}", vectors=VECTORS.astype(dtype), **columns))
    assert isinstance(table.vectors, np.memmap)
    blocks = list(table.blocks())
    assert [(rows.start, len(block)) for rows, block in blocks] == [(0, 3), (3, 1)]
    assert np.array_equal(np.concatenate([block for _, block in blocks]), VECTORS)
    assert all(type(block) is np.ndarray for _, block in blocks)


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_gathered_from_anywhere(tmp_path: Path, order: Any) -> None:
    table = read_table(save(tmp_path / "x.npy", vectors=np.asarray(VECTORS, order=order)))
    assert np.array_equal(table.gather(np.array([3, 0, 0, 1, 2, 1])), VECTORS[[3, 0, 0, 1, 2, 1]])
    assert table.gather(np.array([], dtype=np.intp)).shape == (0, 3)
    part = EmbeddingTable("part", table.vectors[1:])
    assert np.array_equal(part.gather(np.array([0, 2])), VECTORS[[1, 3]])
    assert np.array_equal(next(part.blocks())[1], VECTORS[1:])


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells how much of a file is in memory")
def test_what_was_read_of_a_mapped_file_leaves_memory(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", vectors=np.ones((40_000, 128), dtype=np.float32))  # 20 MB

    def resident() -> int:
        """Kilobytes of the file that are in this process's memory."""
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        return sum(
            int(next(one for one in lines if one.startswith("Rss:")).split()[1]) for line in lines if str(path) in line
        )

    table = read_table(path)
    for _, _block in table.blocks():
        pass
    table.gather(np.arange(0, 40_000, 7))
    assert resident() < 1000
    assert float(table.vectors[::4].sum()) == 10_000 * 128
    assert resident() > 10_000  # reading past the table does keep it: the measure sees what it must


class Harmful:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_pickles_are_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path(name), vectors=np.array([Harmful()], dtype=object))
    assert "pickled objects" in refused(Path(name))
    assert not Path("unpickled").exists()


def test_the_remedy_for_a_pickled_column_suits_it(tmp_path: Path) -> None:
    """It is run here: the same columns, saved as the message says, are read."""
    vectors, text = np.empty(4, dtype=object), TEXT.astype(object)
    vectors[:] = list(VECTORS)
    made = {
        "a.npz": {"embeddings": vectors, "ids": TEXT},
        "b.npz": {"vectors": vectors, "ids": TEXT},
        "c.npz": {"emb": VECTORS, "ids": text},
        "d.npy": {"vectors": vectors},
    }
    for name, columns in made.items():
        said = refused(save(tmp_path / name, **columns))
        call = re.fullmatch(r".*: (np\.savez?\(path, .*\))", said)
        assert call is not None
        rest = "".join(f"{key}={key}, " for key in columns if f"{key}=" not in call[1])
        exec(call[1].replace("...", rest), {"np": np, "path": tmp_path / name, **columns})
        table = read_table(tmp_path / name)
        assert np.array_equal(table.float32(), VECTORS)
        assert name == "d.npy" or (table.ids is not None and table.ids.tolist() == TEXT.tolist())
    np.save(tmp_path / "labels.npy", text)
    with pytest.raises(RequestError, match=re.escape("np.save(path, labels.astype(str))")):
        read_labels(tmp_path / "labels.npy", 4)


def test_text_may_be_bytes_in_utf_8(tmp_path: Path) -> None:
    raw = np.array([one.encode() for one in TEXT])
    path = save(tmp_path / "x.npz", vectors=VECTORS, ids=raw, labels=raw)
    table = read_table(path)
    assert np.array_equal(table.ids, TEXT)
    assert np.array_equal(table.labels, TEXT)
    np.save(tmp_path / "labels.npy", raw)
    for labels in (tmp_path / "labels.npy", raw, raw.tolist(), TEXT.astype(np.dtypes.StringDType())):
        assert read_labels(labels, 4).tolist() == TEXT.tolist()
    save(path, vectors=VECTORS, ids=np.array([one.encode("latin-1") for one in TEXT]))
    assert "ids are bytes that are no UTF-8" in refused(path)


def test_a_type_that_numpy_lacks_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS.view("u2").view("V2"))  # as NumPy saves bfloat16
    assert "vectors are |V2, which NumPy does not know as numbers (bfloat16?); make" in refused(tmp_path / "x.npy")


def test_a_mapping_given_in_memory_is_what_it_contains(tmp_path: Path) -> None:
    """And not what its file does: it may be private and changed, or the file without a name, or gone."""
    np.save(tmp_path / "x.npy", VECTORS)
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private -= 7
    with tempfile.TemporaryFile() as file:
        nameless = np.memmap(file, np.float32, "w+", shape=(4, 3))
        nameless[:] = VECTORS
        gone = np.load(tmp_path / "x.npy", mmap_mode="r")
        (tmp_path / "x.npy").unlink()
        for given, expected in ((private, VECTORS - 7), (nameless, VECTORS), (gone, VECTORS)):
            for source in (given, {"vectors": given}):
                assert np.array_equal(read_unchecked(source).gather(np.array([3, 0])), expected[[3, 0]])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[: len(content) // 2], bytes.upper])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, damage: Any) -> None:
    path = save(tmp_path / f"x{suffix}", vectors=VECTORS)
    path.write_bytes(damage(path.read_bytes()))
    assert "cannot be read" in refused(path)


def test_text_in_the_name_of_an_array_is_not_called_pickled(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_text("three apples")
    assert refused(tmp_path / "x.npy").endswith("x.npy cannot be read: it is no .npy file")


def test_what_is_no_file_of_embeddings_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "x.npy")
    assert ".npy, .npz, .safetensors, .parquet, .jsonl, .ndjson, .csv, .tsv, .faiss, .index" in refused(
        tmp_path / "x.pkl"
    )
    (tmp_path / "folder.npy").mkdir()
    assert "is no file" in refused(tmp_path / "folder.npy")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": VECTORS, "b": VECTORS}, "has no 'vectors'; its columns are a, b: name one by --vectors COLUMN"),
        ({"ids": NUMBERS}, "has no 'vectors'"),
        ({"vectors": VECTORS, "ids": NUMBERS[:3]}, "4 vectors and ids of shape (3,)"),
        ({"vectors": VECTORS, "labels": VECTORS}, "labels of shape (4, 3)"),
        ({"vectors": VECTORS, "ids": np.array([1.0, 2.0, 3.0, 4.0])}, "ids are float64; give whole numbers or text"),
        ({"vectors": VECTORS, "ids": np.array([5, 7, 3, 7])}, "id 7 is there twice, in rows 1 and 3"),
        ({"vectors": VECTORS.astype(int)}, "(N, D), or int8 or uint8 ones, got int64 of shape (4, 3)"),
        ({"vectors": VECTORS[0]}, "of shape (3,)"),
        ({"vectors": VECTORS[:0]}, "of shape (0, 3)"),
    ],
)
def test_columns_that_do_not_fit_are_refused(tmp_path: Path, columns: Any, words: str) -> None:
    assert words in refused(save(tmp_path / "x.npz", **columns))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "NaN or infinite"),
        (-np.inf, "NaN or infinite"),
        (0, "nothing but zeros"),
        (1e-30, "shorter than 1e-12 or longer than 1e19: multiply all of a model by one number"),
        (1e20, "shorter than 1e-12 or longer than 1e19: multiply all of a model by one number"),
    ],
)
def test_rows_that_cannot_be_ranked_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, words: str
) -> None:
    monkeypatch.setattr(embeddings, "BLOCK_ROWS", 2)
    vectors = VECTORS.copy()
    vectors[3] = value
    assert f"1 of 4 rows cannot be ranked (1 {words}): row 3" in refused(save(tmp_path / "x.npy", vectors=vectors))


def test_parquet_rows_of_unequal_length_or_without_value_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"vectors": [[1.0, 2.0], [3.0]]}), path)
    assert "between 1 and 2 numbers" in refused(path)
    pq.write_table(pa.table({"vectors": [[1.0], None]}), path)
    assert "1 of 2 rows cannot be ranked (1 NaN or infinite): row 1" in refused(path)
    pq.write_table(pa.table({"vectors": [[1.0], [2.0]], "ids": ["a", None]}), path)
    assert "'ids' has 1 empty rows" in refused(path)


def test_what_a_format_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"these ids are text; write \.npz or \.parquet"):
        write_table(tmp_path / "x.safetensors", EmbeddingTable("x", VECTORS, TEXT))
    with pytest.raises(RequestError, match="embeddings are written to"):
        write_table(tmp_path / "x.csv", EmbeddingTable("x", VECTORS))
    assert list(tmp_path.iterdir()) == []


def test_labels_are_read_from_a_file_of_their_own(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", TEXT)
    assert np.array_equal(read_labels(tmp_path / "labels.npy", 4), TEXT)
    with pytest.raises(RequestError, match=re.escape("one label for each of 5 rows, got shape (4,)")):
        read_labels(tmp_path / "labels.npy", 5)
    (tmp_path / "labels.csv").touch()
    with pytest.raises(RequestError, match=r"read from a \.npy file"):
        read_labels(tmp_path / "labels.csv", 4)
    with pytest.raises(RequestError, match=r"missing\.npy does not exist"):
        read_labels(tmp_path / "missing.npy", 4)
    np.save(tmp_path / "labels.npy", np.ones(4))
    with pytest.raises(RequestError, match="labels are float64"):
        read_labels(tmp_path / "labels.npy", 4)


@pytest.mark.parametrize("ids", [NUMBERS, TEXT])
def test_rows_are_paired_by_id(ids: Any) -> None:
    """Against a dictionary; the file that is aligned may hold more."""
    old = EmbeddingTable("old", VECTORS, ids, NUMBERS)
    new = EmbeddingTable("new", VECTORS[:3], ids[[2, 0, 3]])
    by_id = {key: (vector, label) for key, vector, label in zip(ids, VECTORS, NUMBERS, strict=True)}
    aligned = align(old, new)
    assert aligned.ids.tolist() == [str(key) for key in ids[[2, 0, 3]]]
    assert np.array_equal(aligned.raw_old(np.arange(3)), [by_id[key][0] for key in ids[[2, 0, 3]]])
    assert np.array_equal(aligned.labels, [by_id[key][1] for key in ids[[2, 0, 3]]])
    assert align(old, old).old_rows is None


def test_rows_without_ids_are_paired_by_position() -> None:
    old, new = EmbeddingTable("old", VECTORS), EmbeddingTable("new", VECTORS[:, :2])
    assert align(old, new).old_rows is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (EmbeddingTable("o", VECTORS), EmbeddingTable("n", VECTORS[:3]), "o has 4 rows and n has 3: without ids"),
        (EmbeddingTable("o", VECTORS, NUMBERS), EmbeddingTable("n", VECTORS), "o has ids and n has none"),
        (EmbeddingTable("o", VECTORS), EmbeddingTable("n", VECTORS, NUMBERS), "n has ids and o has none"),
        (
            EmbeddingTable("o", VECTORS, NUMBERS),
            EmbeddingTable("n", VECTORS, TEXT),
            "numbers in one, text in the other",
        ),
        (
            EmbeddingTable("o", VECTORS[:2], NUMBERS[:2]),
            EmbeddingTable("n", VECTORS, NUMBERS),
            "o has no id 5, which is row 2 of n; 2 of 4 ids are missing",
        ),
    ],
)
def test_rows_without_counterpart_are_refused(old: EmbeddingTable, new: EmbeddingTable, words: str) -> None:
    with pytest.raises(RequestError) as error:
        align(old, new)
    assert words in str(error.value)
