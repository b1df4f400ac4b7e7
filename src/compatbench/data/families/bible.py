"""The Bible in two English translations: World English Bible and King James Version, both in the public domain (ours).

The texts are those of the Debian packages `sword-text-web` (https://ebible.org/web) and `bible-kjv-text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from compatbench.data.families import _kjv, _sword
from compatbench.data.families._built_texts import BuiltTexts
from compatbench.data.families.beir import Document, hash_rank, write_texts
from compatbench.data.family import Counts
from compatbench.data.sources import debian_member

MODULE = "usr/share/sword/modules/texts/ztext/engWEB2015eb"
KJV_FILE = "usr/lib/bible.data"
KJV_VERSE = re.compile(r"(\d?[A-Za-z]+)(\d+):(\d+) (.+)")
APOCRYPHA = [
    "Tob", "Jdt", "EsthGr", "Wis", "Sir", "Bar", "1Macc", "2Macc", "1Esd", "PrMan", "AddPs", "3Macc", "2Esd",
    "4Macc",
]  # fmt: skip
"""Books that the King James Version of the package has not."""
BOOKS = 66
DOCUMENTS, ASKED = 12_000, 3_000
TRAINED = 7, 12
"""So many of so many verses of every book are trained on."""
LEAST_OF_A_BOOK = 10
LEAST_WORDS = 5


class Bible(BuiltTexts):
    """Find a verse of the World English Bible by the same verse of the King James Version.

    12,000 verses: ten of every book, or all that it has, and then the first by the hash of their names. 7 of 12 are
    trained on, with their books as labels; 3,000 of the others are searched for.
    """

    name = "bible"
    description = "12,000 verses of 66 books, 3,000 of them searched for by another translation"
    size = 15_000_000
    licence = "public domain"
    debian: ClassVar = {
        "sword-text-web": (
            "sword-text-web_426.0-1_all.deb",
            "930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",
        ),
        "bible-kjv-text": (
            "bible-kjv-text_4.38_all.deb",
            "d61b6aad4c51ba9e2800b825325fa6a09e99a0d02a9bb6dc4724fcc4995a1b7a",
        ),
    }
    built_sha256 = "fb58e2bea511f343320b62feeb8a83de17f3ac37b6df598d47f11d4a69e9d4da"
    published = Counts(train=6_998, query=3_000, gallery=5_002, train_classes=66, classes=66)

    def build(self, archives: Mapping[str, Path], folder: Path) -> str:
        """Verses of both, at least five words each, whose text no earlier verse of the same translation has."""
        with TemporaryDirectory() as scratch:
            for name in (f"{part}.{end}" for part in _sword.TESTAMENTS for end in _sword.FILES):
                (Path(scratch) / name).write_bytes(debian_member(archives["sword-text-web"], f"{MODULE}/{name}"))
            web = _distinct(_sword.read_verses(Path(scratch)))
        kjv = _distinct(_kjv_verses(debian_member(archives["bible-kjv-text"], KJV_FILE), list(web)))
        names = {verse: f"{verse[0]} {verse[1]}:{verse[2]}" for verse in web if verse in kjv}
        ranked = sorted(names, key=lambda verse: hash_rank(names[verse]))
        of_book: dict[str, list[_sword.Verse]] = {}
        for verse in ranked:
            of_book.setdefault(verse[0], []).append(verse)
        first = {verse for verses in of_book.values() for verse in verses[:LEAST_OF_A_BOOK]}
        chosen = [*(verse for verse in ranked if verse in first), *(verse for verse in ranked if verse not in first)]
        places = dict.fromkeys(of_book, 0)
        trained, others = set(), []
        for verse in chosen[:DOCUMENTS]:
            if places[verse[0]] * TRAINED[0] % TRAINED[1] < TRAINED[0]:
                trained.add(verse)
            else:
                others.append(verse)
            places[verse[0]] += 1
        asked = sorted(others, key=lambda verse: hash_rank(f"asked {names[verse]}"))[:ASKED]
        documents = [
            Document(names[verse], web[verse], verse[0], "train" if verse in trained else None)
            for verse in chosen[:DOCUMENTS]
        ]
        queries = [Document(f"{names[verse]} KJV", kjv[verse]) for verse in asked]
        return write_texts(folder, documents, queries, [(f"{names[verse]} KJV", names[verse]) for verse in asked])


def _kjv_verses(file: bytes, web: Iterable[_sword.Verse]) -> dict[_sword.Verse, str]:
    """The verses by the names of the other translation, whose books stand in the same order."""
    found = [known.groups() for line in _kjv.read_lines(file) if (known := KJV_VERSE.fullmatch(line))]
    theirs = [book for book in dict.fromkeys(book for book, _, _ in web) if book not in APOCRYPHA]
    own = list(dict.fromkeys(book for book, *_ in found))
    if not len(own) == len(theirs) == BOOKS:
        raise ValueError(f"{len(own)} and {len(theirs)} books, not {BOOKS}")
    book_of = dict(zip(own, theirs, strict=True))
    return {(book_of[book], int(chapter), int(verse)): text for book, chapter, verse, text in found}


def _distinct(verses: Mapping[_sword.Verse, str]) -> dict[_sword.Verse, str]:
    """The first verse of every text of enough words."""
    first: dict[str, _sword.Verse] = {}
    for verse, text in verses.items():
        if len(text.split()) >= LEAST_WORDS:
            first.setdefault(text, verse)
    return {verse: text for text, verse in first.items()}
