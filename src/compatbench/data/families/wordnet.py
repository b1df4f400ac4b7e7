"""WordNet 3.0's glosses of nouns, https://wordnet.princeton.edu (Fellbaum, "WordNet", MIT Press 1998)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from compatbench.data.families._built_texts import BuiltTexts
from compatbench.data.families.beir import Document, hash_rank, write_texts
from compatbench.data.family import Counts
from compatbench.data.sources import debian_member

KINDS = [
    "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling", "food",
    "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process", "quantity",
    "relation", "shape", "state", "substance", "time",
]  # fmt: skip
"""WordNet's lexicographer files of nouns, from number 4 on; number 3 are the tops of the hierarchy."""
FIRST_KIND = 4
DOCUMENTS, TRAINED = 12_000, 7_000
LEAST_WORDS = 4
EXAMPLE = re.compile(r'"([^"]+)"')


class Wordnet(BuiltTexts):
    """Find the gloss of a noun by an example of its use.

    12,000 glosses of at least four words: of every kind about equally many, the first by the hash of their numbers.
    A gloss with an example of at least four words is searched for by the first one, and the example is no part of it.
    7,000 of the others are trained on, with their kinds as labels; the rest of the gallery is unasked for.
    """

    name = "wordnet"
    description = "12,000 glosses of 25 kinds of nouns, 1,600 of them searched for by examples of use"
    size = 30_000_000
    licence = "WordNet 3.0 licence (free, with notice)"
    debian: ClassVar = {
        "wordnet-base": (
            "wordnet-base_1%3a3.0-37_all.deb",
            "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        )
    }
    built_sha256 = "59c533e964973ea16b6febc366f4389e9799ce5665d074335b2f30b86fada127"
    published = Counts(train=7_000, query=1_600, gallery=5_000, train_classes=25, classes=25)

    def build(self, archives: Mapping[str, Path], folder: Path) -> str:
        """From the file `data.noun`, whose format is that of the manual page wndb(5)."""
        lines = debian_member(archives["wordnet-base"], "usr/share/wordnet/data.noun").decode().splitlines()
        glosses = sorted(_glosses(lines), key=lambda one: hash_rank(one[0].id))
        places = dict.fromkeys(KINDS, 0)
        ranked = []
        for gloss, example in glosses:
            kind = str(gloss.label)
            ranked.append((places[kind], gloss, example))
            places[kind] += 1
        chosen = sorted(ranked, key=lambda one: one[0])[:DOCUMENTS]
        asked = [(gloss, example) for _, gloss, example in chosen if example]
        unasked = [gloss for _, gloss, example in chosen if not example]
        trained = {gloss.id for gloss in sorted(unasked, key=lambda one: hash_rank(f"train {one.id}"))[:TRAINED]}
        documents = [
            Document(gloss.id, gloss.text, gloss.label, "train" if gloss.id in trained else None)
            for _, gloss, _ in chosen
        ]
        queries = [Document(f"{gloss.id} example", example) for gloss, example in asked]
        return write_texts(folder, documents, queries, [(f"{gloss.id} example", gloss.id) for gloss, _ in asked])


def _glosses(lines: list[str]) -> Iterator[tuple[Document, str]]:
    """Each gloss of enough words without its examples, and the first of these; empty if there is none."""
    for line in lines:
        if line.startswith(" "):  # the licence
            continue
        head, _, gloss = line.partition(" | ")
        number, kind = head.split()[:2]
        text = gloss.split('; "')[0].strip()
        if int(kind) < FIRST_KIND or '"' in text or len(text.split()) < LEAST_WORDS:
            continue
        examples = [one for one in EXAMPLE.findall(gloss) if len(one.split()) >= LEAST_WORDS]
        yield Document(f"n{number}", text, KINDS[int(kind) - FIRST_KIND]), examples[0] if examples else ""
