"""Any folder of texts in the format of BEIR (Thakur et al., NeurIPS 2021, arXiv 2104.08663).

`corpus.jsonl` has documents (`_id`, `title`, `text`), `queries.jsonl` queries (`_id`, `text`), and `qrels/*.tsv` says
which documents are relevant to which query. Beyond BEIR, a document may have a `label`, and `"split": "train"`.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from compatbench.data.families._judged import judgements, read_grades
from compatbench.data.family import Family, Notify, Options, OptionsT
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset, Split

NAME_LENGTH = 120
"""Characters of a text that name it in lists."""
UNLABELLED = "text"


class TextOptions(Options):
    """What is relevant to a query."""

    relevant: Literal["judged", "label"] = "judged"
    """`label`: every document of the test data is a query, and those of its label are relevant."""


class BeirOptions(TextOptions):
    """Options of the dataset `beir`."""

    path: str
    """Folder, absolute or relative to the data folder."""
    qrels: str = "test"
    """The file of judgements in the folder `qrels`."""
    relevant_from: float = Field(1.0, gt=0, allow_inf_nan=False)
    """The least grade that is relevant; lower ones count for nDCG alone."""
    symmetric: bool = False
    """Queries are texts of the same kind as documents, so that trunks with two prefixes take them alike."""
    train_share: float = Field(0.2, gt=0, lt=1)
    """Share of the documents without judgement that is taken out of the corpus to train on, if none has a `split`."""


class TextFamily(Family[OptionsT]):
    """Texts in a folder of BEIR's format, described by `as_beir`."""

    @abstractmethod
    def as_beir(self, root: Path, options: OptionsT) -> BeirOptions:
        """The folder, and the way to read it."""

    def missing(self, root: Path, options: OptionsT) -> tuple[str, ...]:
        """The missing ones of the three files."""
        where = self.as_beir(root, options)
        files = _files(root / Path(where.path).expanduser(), where)
        return tuple(str(path) for path in files if not path.is_file())

    def load(self, root: Path, options: OptionsT, image_size: int | None) -> Dataset:
        """Read all texts and judgements."""
        if missing := self.missing(root, options):
            raise RequestError(f"dataset '{self.name}': {missing[0]} is not there; {self.remedy}")
        where = self.as_beir(root, options)
        return _read(self.name, _files(root / Path(where.path).expanduser(), where), where)

    @property
    def remedy(self) -> str:
        """How to have the files."""
        return f"run `compatbench data get {self.name}`"


class Beir(TextFamily[BeirOptions]):
    """Queries are those that are judged; the rest of the corpus is searched, but for the documents to train on."""

    name = "beir"
    description = "a folder of your own texts in BEIR's format (corpus.jsonl, queries.jsonl, qrels/*.tsv)"
    size = None
    licence = "that of the texts"
    options_type = BeirOptions
    linked = False

    def as_beir(self, root: Path, options: BeirOptions) -> BeirOptions:
        """As its options say."""
        return options

    def get(self, root: Path, options: BeirOptions, notify: Notify) -> str:
        """Nothing to fetch."""
        self.load(root, options, None)
        return f"{self.name}: your own texts in {root / Path(options.path).expanduser()}"

    @property
    def remedy(self) -> str:
        """The user's own files."""
        return "a BEIR folder has corpus.jsonl, queries.jsonl and qrels/test.tsv; give another with the option path"


@dataclass(frozen=True)
class Document:
    """One line of `corpus.jsonl` or of `queries.jsonl`."""

    id: str
    text: str
    label: str | None = None
    split: str | None = None


def write_texts(
    folder: Path, documents: Sequence[Document], queries: Sequence[Document], relevant: Sequence[tuple[str, str]]
) -> str:
    """Write texts, and pairs of a query and a relevant document, in BEIR's format; the sha256 of the three files."""
    (folder / "qrels").mkdir(parents=True)
    lines = {"corpus.jsonl": [_line(one) for one in documents], "queries.jsonl": [_line(one) for one in queries]}
    lines["qrels/test.tsv"] = ["query-id\tcorpus-id\tscore", *(f"{query}\t{one}\t1" for query, one in relevant)]
    state = hashlib.sha256()
    for name, content in lines.items():
        written = "".join(f"{line}\n" for line in content).encode()
        (folder / name).write_bytes(written)
        state.update(written)
    return state.hexdigest()


def hash_rank(name: str) -> bytes:
    """A fixed random order of names."""
    return hashlib.sha256(name.encode()).digest()


def _line(one: Document) -> str:
    fields = {"_id": one.id, "text": one.text, "label": one.label, "split": one.split}
    return json.dumps({key: value for key, value in fields.items() if value is not None}, ensure_ascii=False)


def _files(folder: Path, options: BeirOptions) -> tuple[Path, Path, Path]:
    return folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / f"{options.qrels}.tsv"


def _read(name: str, files: tuple[Path, Path, Path], options: BeirOptions) -> Dataset:
    import torch

    from compatbench.data.dataset import Dataset, Split
    from compatbench.data.items import Texts

    documents, queries = list(_documents(files[0])), list(_documents(files[1]))
    grades = read_grades(files[2], {one.id for one in queries}, {one.id for one in documents})
    judged = {document for found in grades.values() for document in found}
    given = any(one.split for one in documents)
    trained = [
        one.split == "train" if given else one.id not in judged and _share(one.id) < options.train_share
        for one in documents
    ]
    if clash := [one.id for one, train in zip(documents, trained, strict=True) if train and one.id in judged]:
        raise RequestError(f"{files[0]}: document {clash[0]} is to be trained on, and is judged; take its split away")
    label_of = {one.id: one.label or UNLABELLED for one in documents}
    names = sorted(set(label_of.values()))
    number = {name: place for place, name in enumerate(names)}
    ids = {one.id: row for row, one in enumerate(documents)}

    def split(chosen: Sequence[Document], labels: Mapping[str, str], first: int, asked: bool) -> Split:
        role: Literal["query", "passage"] = "query" if asked or options.symmetric else "passage"
        return Split(
            Texts.of([one.text for one in chosen], role),
            torch.tensor([number[labels[one.id]] for one in chosen]),
            torch.arange(first, first + len(chosen)) if asked else torch.tensor([ids[one.id] for one in chosen]),
            tuple(one.text[:NAME_LENGTH] for one in chosen),
        )

    train, gallery = (
        split([one for one, trains in zip(documents, trained, strict=True) if trains is part], label_of, 0, False)
        for part in (True, False)
    )
    if options.relevant == "label":
        return Dataset(name, tuple(names), train, gallery, gallery)
    asked = [one for one in queries if one.id in grades]
    query_labels = {query: label_of[next(iter(found))] for query, found in grades.items()}
    query = split(asked, query_labels, len(documents), True)
    query_ids = {one.id: sample for one, sample in zip(asked, query.ids.tolist(), strict=True)}
    answers = judgements(grades, query_ids, ids, options.relevant_from)
    return Dataset(name, tuple(names), train, query, gallery, answers)


def _documents(path: Path) -> Iterator[Document]:
    for number, line in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), start=1):
        try:
            fields: dict[str, Any] = json.loads(line)
            text = f"{fields.get('title') or ''} {fields['text']}".strip()
            yield Document(str(fields["_id"]), text, fields.get("label"), fields.get("split"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RequestError(f"{path}, line {number}: no JSON object with _id and text ({error})") from error


def _share(name: str) -> float:
    """A fixed random number from 0 to 1."""
    return int.from_bytes(hash_rank(name)[:6]) / 2**48
