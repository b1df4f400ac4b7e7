"""The pictures of the example retrievals: read within bounds, each once on the page, as many as its size allows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compatbench.errors import RequestError
from compatbench.records.parts import ExampleRetrieval, FirstFound
from compatbench.records.record import Record
from compatbench.report.site.page_data.numbers import Json
from compatbench.storage.bounded_parquet import read_bounded

LARGEST = 32
"""Pixels a side."""
MOST_BYTES = 4096
"""Of one picture's file."""
FORMATS = {"PNG": "image/png", "WEBP": "image/webp"}
REMEDY = "`compatbench submit` writes it again"

_FREE_BYTES = 32 * 2**20
"""Of one file: ten thousand pictures."""
_SHEET = 320
"""Bytes of one example on the page beside its pictures."""


@dataclass(frozen=True)
class Thumbnail:
    """The small picture of one sample."""

    id: int
    label: str
    """Name of its class."""
    image: bytes
    """A WebP or PNG file."""

    @property
    def kind(self) -> str:
        """Its MIME type. Raises ValueError if it is no small picture."""
        from PIL import Image

        if len(self.image) > MOST_BYTES:
            raise ValueError(f"it has {len(self.image):,} bytes, at most {MOST_BYTES:,} are allowed")
        with Image.open(io.BytesIO(self.image), formats=list(FORMATS)) as image:
            if max(image.size) > LARGEST:
                raise ValueError(
                    f"it has {image.size[0]} × {image.size[1]} pixels, at most {LARGEST} a side are allowed"
                )
            image.load()
            return FORMATS[str(image.format)]


Thumbnails = Mapping[int, Thumbnail]
"""By sample id."""


def read_thumbnails(path: Path, name: str) -> dict[int, Thumbnail]:
    """The pictures of one dataset: a Parquet file with `id`, `label` and `image`.

    Raises RequestError, in one line that calls the file `name`, where it holds anything else.
    """
    table = read_bounded(path, name, binary=("image",), free=_FREE_BYTES)
    if sorted(table.column_names) != ["id", "image", "label"]:
        raise RequestError(f"{name}: has the columns {', '.join(table.column_names)}, not id, label, image; {REMEDY}")
    columns = [table.column(column).to_pylist() for column in ("id", "label", "image")]
    found: dict[int, Thumbnail] = {}
    for sample, label, image in zip(*columns, strict=True):
        if type(sample) is not int or type(label) is not str or type(image) is not bytes:
            raise RequestError(f"{name}: a line is no number, text and image; {REMEDY}")
        thumbnail = Thumbnail(sample, label, image)
        try:
            _ = thumbnail.kind
        except Exception as error:  # broken images raise almost anything
            raise RequestError(
                f"{name}: the picture of sample {sample}: {error or type(error).__name__}; {REMEDY}"
            ) from error
        found[sample] = thumbnail
    return found


class ChosenExamples:
    """Chooses the examples that fit into `budget` bytes, and numbers their pictures.

    The first example of every row comes before any row's second one.
    """

    def __init__(self, records: Iterable[Record], thumbnails: Mapping[str, Thumbnails], budget: int) -> None:
        self._thumbnails = thumbnails
        self._numbers: dict[tuple[str, int], int] = {}
        self.pictures: list[Json] = []
        """`[label, sample, data address]`, in the order of their numbers."""
        self._kept: set[tuple[str, int]] = set()
        self.left_out = 0
        """Examples with pictures that did not fit."""
        several = example_records(records)
        longest = max((len(shown_examples(record)) for record in several), default=0)
        for place in range(longest):
            for record in several:
                budget = self._add(record, place, budget)

    def sheets(self, records: Sequence[Record]) -> list[Json]:
        """The chosen examples of one row.

        `[query generation, gallery generation, picture of the query, what is found]`: by the old system, by new
        queries on old vectors and by the new system, each `[pictures, right]`. Pictures are numbers, or null.
        """
        return [
            [one.query_generation, one.gallery_generation, self._number(record, one.id)]
            + [self._line(record, found) for found in (one.old, one.cross, one.new)]
            for record in example_records(records)
            for place, one in enumerate(shown_examples(record))
            if (record.spec_hash, place) in self._kept
        ]

    def _add(self, record: Record, place: int, budget: int) -> int:
        """What is left of the budget after the example, which is taken if it fits."""
        examples = shown_examples(record)
        known = self._thumbnails.get(record.spec.dataset, {})
        if place >= len(examples):
            return budget
        keys = {(record.spec.dataset, sample) for sample in samples_of(examples[place]) if sample in known}
        if not keys:
            return budget
        entries = {key: _entry(known[key[1]]) for key in sorted(keys - set(self._numbers))}
        cost = _SHEET + sum(len(label.encode()) + len(address) + 20 for label, _, address in entries.values())
        if cost > budget:
            self.left_out += 1
            return budget
        for key, entry in entries.items():
            self._numbers[key] = len(self.pictures)
            self.pictures.append([*entry])
        self._kept.add((record.spec_hash, place))
        return budget - cost

    def _line(self, record: Record, found: FirstFound) -> Json:
        return [[self._number(record, sample) for sample in found.ids], [int(right) for right in found.right]]

    def _number(self, record: Record, sample: int) -> Json:
        return self._numbers.get((record.spec.dataset, sample))


def example_records(records: Iterable[Record]) -> list[Record]:
    """The record of each row's first seed with examples: the others have the same queries."""
    first: dict[tuple[str, str, str], Record] = {}
    for record in records:
        if record.examples:
            spec = record.spec
            key = spec.suite, spec.scenario, spec.method.label
            first[key] = min(first.get(key, record), record, key=lambda one: one.spec.seed)
    return list(first.values())


def shown_examples(record: Record) -> list[ExampleRetrieval]:
    """Those of the newest generation: one sheet a row must be enough."""
    newest = max((int(one.query_generation) for one in record.examples), default=0)
    return [one for one in record.examples if int(one.query_generation) == newest]


def samples_of(example: ExampleRetrieval) -> list[int]:
    """All samples in an example."""
    return [example.id, *example.old.ids, *example.cross.ids, *example.new.ids]


def _entry(thumbnail: Thumbnail) -> tuple[str, int, str]:
    address = f"data:{thumbnail.kind};base64,{base64.b64encode(thumbnail.image).decode()}"
    return thumbnail.label, thumbnail.id, address
