"""Texts: folders of BEIR's format, WordNet and two Bibles in the formats of their packages, byte by byte."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from pathlib import Path

import pytest

from compatbench.data.families import _built_texts, _kjv, _sword, bible, wordnet
from compatbench.data.families.beir import Beir, BeirOptions, Document, TextOptions, write_texts
from compatbench.data.families.bible import Bible
from compatbench.data.families.wordnet import Wordnet
from compatbench.data.items import Texts
from compatbench.data.sources import debian_member
from compatbench.errors import RequestError

CORPUS = [
    {"_id": "a", "title": "Cats", "text": "sleep a lot", "label": "animal"},
    {"_id": "b", "title": "", "text": "banks\u2028lend", "label": "money"},
    {"_id": "c", "text": "dogs bark", "label": "animal", "split": "train"},
    {"_id": "d", "text": "coins are round", "label": "money", "split": "train"},
]
QUERIES = [{"_id": "b", "text": "who lends"}, {"_id": "q", "text": "lazy pets"}, {"_id": "r", "text": "not judged"}]
QRELS = ["query-id\tcorpus-id\tscore", "q\ta\t2", "q\tb\t1", "b\ta\t0", "b\ta\t1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    for name, rows in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "qrels" / "test.tsv").write_text("\n".join(QRELS), encoding="utf-8")
    return tmp_path


def load(folder: Path, **options: object):
    return Beir().load(folder, BeirOptions(path=".", **options), None)


def test_a_beir_folder_has_its_texts_labels_and_grades(folder: Path) -> None:
    data = load(folder, relevant_from=2)
    assert data.class_names == ("animal", "money")
    assert isinstance(data.train.images, Texts)
    assert (data.train.images.read(), data.train.images.role) == (["dogs bark", "coins are round"], "passage")
    assert data.gallery.images.read() == ["Cats sleep a lot", "banks\u2028lend"]
    assert (data.query.images.read(), data.query.images.role) == (["who lends", "lazy pets"], "query")
    assert data.query.labels.tolist() == [0, 0], "the label of the first relevant document"
    found = data.judgements
    assert found is not None
    by_query = {query: row for row, query in enumerate(found.queries.tolist())}
    ids = dict(zip(("b", "q"), data.query.ids.tolist(), strict=True))
    assert [found.relevant[by_query[ids[name]]].tolist() for name in ("b", "q")] == [[0], [0, 1]]
    assert [found.ignored[by_query[ids[name]]].tolist() for name in ("b", "q")] == [[1], []], "its own document"
    assert found.grades is not None
    assert sorted(found.grades.tolist()) == [1, 1, 2]
    assert found.relevant_from == 2


def test_documents_of_a_label_can_be_what_is_relevant(folder: Path) -> None:
    data = load(folder, relevant="label", symmetric=True)
    assert data.query is data.gallery
    assert data.judgements is None
    assert data.gallery.images.role == "query"


def test_a_fixed_share_of_the_unjudged_is_trained_on_if_nothing_says_what(folder: Path) -> None:
    rows = [{"_id": f"d{number}", "text": "some text"} for number in range(400)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels" / "test.tsv").write_text("q d0 1\nb d1 1")
    data = load(folder, train_share=0.25)
    assert 70 < len(data.train) < 130
    assert len(data.train) + len(data.gallery) == 400
    assert data.train.ids.tolist() == load(folder, train_share=0.25).train.ids.tolist()
    assert {0, 1} <= set(data.gallery.ids.tolist())


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "corpus.jsonl",
            '{"_id": "a", "text": "x"}\nnothing',
            "corpus.jsonl, line 2: no JSON object with _id and text",
        ),
        ("qrels/test.tsv", "q\tz\t1", "line 1: document z is not there; take the line out"),
        ("qrels/test.tsv", "z\ta\t1", "line 1: query z is not there; take the line out"),
        ("qrels/test.tsv", "q\ta\t0", "has no judgement above 0"),
        ("qrels/test.tsv", "q\tc\t1", "document c is to be trained on, and is judged"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(folder: Path, file: str, text: str, message: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def debian(path: Path, files: dict[str, bytes]) -> Path:
    """A .deb: an `ar` archive, with its odd members padded."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    out = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0"), ("data.tar.xz", packed.getvalue())):
        out += (
            f"{name:16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
        )
    path.write_bytes(out)
    return path


def compressed(text: bytes, bits: int = 9, most: int = 16) -> bytes:
    """LZW as `compress` writes it: the table maps strings to codes, and a wider code starts a new group of eight."""
    table = {bytes([code]): code for code in range(256)}
    groups: list[tuple[int, list[int]]] = [(bits, [])]
    word, free = b"", 257
    for byte in text:
        longer = word + bytes([byte])
        if longer in table:
            word = longer
            continue
        groups[-1][1].append(table[word])
        if free < 1 << most:
            table[longer] = free
            free += 1
        if free > (1 << groups[-1][0]) and groups[-1][0] < most:
            groups.append((groups[-1][0] + 1, []))
        word = bytes([byte])
    groups[-1][1].append(table[word])
    out = b""
    for width, codes in groups:
        for start in range(0, len(codes), 8):
            group = codes[start : start + 8]
            number = sum(code << (place * width) for place, code in enumerate(group))
            full = width if (width, codes) != groups[-1] or start + 8 < len(codes) else (len(group) * width + 7) // 8
            out += number.to_bytes(full, "little")
    return out


def kjv_file(text: bytes, size: int = 30_000) -> bytes:
    windows = [compressed(text[start : start + size]) for start in range(0, len(text), size)]
    first = 84 + 8 + 4 * len(windows)
    offsets = [first + sum(map(len, windows[:number])) for number in range(len(windows))]
    return bytes(84) + struct.pack(f">II{len(windows)}I", size, len(windows), *offsets) + b"".join(windows)


def test_windows_of_lzw_are_unpacked() -> None:
    lines = [f"Ge{row}:{row * row % 97} the {'and so ' * (row % 5)}beginning {row**3}" for row in range(3000)]
    text = "\n".join(lines).encode()
    assert len(text) > 90_000, "several windows, and codes of more than ten bits"
    assert _kjv.read_lines(kjv_file(text)) == lines


def sword(entries: list[str]) -> dict[str, bytes]:
    """A testament of two blocks."""
    blocks = ["".join(entries[:2]), "".join(entries[2:])]
    packed = [zlib.compress(block.encode()) for block in blocks]
    places, start = [], 0
    for number, entry in enumerate(entries):
        start = 0 if number == 2 else start
        places.append(struct.pack("<IIH", int(number >= 2), start, len(entry.encode())))
        start += len(entry.encode())
    sizes = [struct.pack("<III", sum(map(len, packed[:k])), len(packed[k]), len(blocks[k].encode())) for k in (0, 1)]
    return {"bzs": b"".join(sizes), "bzv": b"".join(places), "bzz": b"".join(packed)}


def test_verses_of_a_sword_module_are_plain_text(tmp_path: Path) -> None:
    entries = [
        "<title>Genesis</title>",
        '<div type="x-p"/><chapter n="1" osisID="Gen.1" sID="Gen.1"/>',
        '“<w lemma="strong:H1">In</w> the<note>1:1 <hi>a</hi> note</note> beginning<l level="1"/>&amp; so',
        "",
        'Light.<chapter eID="Gen.1"/> A glossary',
    ]
    for testament, given in (("ot", entries), ("nt", ["", '<chapter osisID="Matt.2" sID="x"/>', "The book"])):
        for end, content in sword(given).items():
            (tmp_path / f"{testament}.{end}").write_bytes(content)
    assert _sword.read_verses(tmp_path) == {
        ("Gen", 1, 1): "“In the beginning & so",
        ("Gen", 1, 3): "Light.",
        ("Matt", 2, 1): "The book",
    }
    (tmp_path / "ot.bzz").write_bytes(b"damaged" * 20)
    with pytest.raises(ValueError, match="block 0 of ot is damaged"):
        _sword.read_verses(tmp_path)


NOUNS = """  1 This software and database is being provided under a licence
00000001 03 n 01 entity 0 000 | that which is perceived to have its own existence
00000002 04 n 01 act 0 000 | something that people do or cause; "they tried an act of great kindness"; "an act"
00000003 05 n 01 pet 0 000 | short
00000004 05 n 01 cat 0 000 | a small animal that people keep; has fur
00000005 28 n 01 hour 0 000 | sixty minutes or so of time; "an hour"
"""


def test_wordnet_asks_for_glosses_by_their_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordnet, "TRAINED", 1)
    name, (file, _) = next(iter(Wordnet.debian.items()))
    package = debian(tmp_path / file, {"usr/share/wordnet/data.noun": NOUNS.encode()})
    Wordnet().build({name: package}, tmp_path / "built")
    data = load(tmp_path / "built")
    everything = {*data.train.images.read(), *data.gallery.images.read()}
    assert everything == {
        "something that people do or cause",
        "a small animal that people keep; has fur",
        "sixty minutes or so of time",
    }
    assert data.class_names == ("act", "animal", "time")
    assert data.query.images.read() == ["they tried an act of great kindness"]
    assert len(data.train) == 1
    with pytest.raises(ValueError, match="has no data"):
        debian_member(debian_without_data(tmp_path / "empty.deb"), "x")


def debian_without_data(path: Path) -> Path:
    path.write_bytes(b"!<arch>\n")
    return path


def test_the_bible_asks_for_verses_by_those_of_another_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bible, "BOOKS", 2)
    monkeypatch.setattr(bible, "ASKED", 3)
    web = {
        "ot": ["", '<chapter osisID="Gen.1" sID="a"/>', *(f"God did the new work {row}" for row in range(1, 13)), "x"]
    }
    web["nt"] = ["", '<chapter osisID="Matt.1" sID="a"/>', "The same was with him", "The same was with him"]
    files = {f"{bible.MODULE}/{part}.{end}": one for part in web for end, one in sword(web[part]).items()}
    lines = [*(f"Ge1:{row} And He hath wrought work {row}" for row in range(1, 14)), "Mt1:1 He himself abode with him"]
    packages = {
        "sword-text-web": debian(tmp_path / "web.deb", files),
        "bible-kjv-text": debian(
            tmp_path / "kjv.deb", {bible.KJV_FILE: kjv_file("\n".join(["Title", *lines]).encode())}
        ),
    }
    Bible().build(packages, tmp_path / "built")
    data = load(tmp_path / "built")
    assert data.class_names == ("Gen", "Matt")
    assert len(data.train) + len(data.gallery) == 13, "twelve verses and one, without what is short or there twice"
    assert len(data.query) == 3
    found = data.judgements
    assert found is not None
    text_of = dict(zip(data.gallery.ids.tolist(), data.gallery.images.read(), strict=True))
    for query, text in zip(data.query.ids.tolist(), data.query.images.read(), strict=True):
        [answer] = found.relevant[found.queries.tolist().index(query)].tolist()
        assert text_of[answer].rpartition(" ")[2] == text.rpartition(" ")[2]


@pytest.mark.parametrize("family", [Wordnet(), Bible()], ids=["wordnet", "bible"])
def test_other_packages_and_other_texts_are_refused(
    family: _built_texts.BuiltTexts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RequestError, match=r"no apt-get on this machine\); put .*\.deb of Debian .* into") as caught:
        family.get(tmp_path, TextOptions(), lambda line: None)
    assert "\n" not in str(caught.value)
    for file, _ in family.debian.values():
        (tmp_path / family.name / file).parent.mkdir(exist_ok=True)
        (tmp_path / family.name / file).write_bytes(b"another version")
    with pytest.raises(RequestError, match="is not the pinned package"):
        family.get(tmp_path, TextOptions(), lambda line: None)
    monkeypatch.setattr(_built_texts, "file_sha256", lambda path: next(
        sha256 for file, sha256 in family.debian.values() if file == path.name))  # fmt: skip
    monkeypatch.setattr(
        type(family), "build", lambda self, archives, folder: write_texts(folder, [Document("a", "b")], [], [])
    )
    with pytest.raises(RequestError, match="other texts come out than were published"):
        family.get(tmp_path, TextOptions(), lambda line: None)
    assert family.missing(tmp_path, TextOptions())


DATA = Path(__file__).parents[3] / "data"


@pytest.mark.parametrize("family", [Wordnet(), Bible()], ids=["wordnet", "bible"])
def test_the_real_texts_have_the_published_hash(family: _built_texts.BuiltTexts, tmp_path: Path) -> None:
    archives = {name: DATA / family.name / file for name, (file, _) in family.debian.items()}
    if missing := [path for path in archives.values() if not path.exists()]:
        pytest.skip(f"{missing[0]} is not there: run `compatbench data get {family.name}`")
    assert family.build(archives, tmp_path / "built") == family.built_sha256
