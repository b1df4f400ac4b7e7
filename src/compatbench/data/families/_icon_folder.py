"""IconSets as a folder: images, a list of each split, designers and licences."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import pandas as pd

from compatbench.data.families._icon_concepts import Concepts, Rules, choose_concepts, designers
from compatbench.data.families._icon_drawings import draw_distinct
from compatbench.data.families._icon_sets import Icon, IconSet, read_sets
from compatbench.data.family import Notify

CREDITS = "credits.csv"
ROLES = ("query", "gallery", "train", "train", "train")
"""Of designers, by the hash of their names."""
UNSEEN_SHARE = 3
"""One class in so many is not trained on in the split `unseen`."""
MOST_PROCESSES = 8
REPORT_SECONDS = 10.0

ManifestRow = tuple[str, str, str]
"""Path, class and part of the split, as in a manifest of the dataset `folder`."""


def write_icons(archive: Path, folder: Path, size: int, notify: Notify) -> str:
    """Draw the images of `archive`, `size` pixels a side, into `folder`; the sha256 over paths and 32x32 pixels."""
    rules, sets = Rules.read(), read_sets(archive)
    concepts, emoji = choose_concepts(rules, sets)
    pixels, kept = hashlib.sha256(), {}
    for name, found in _drawn({**concepts, **emoji}, size, notify):
        icons = [icon for icon, _, _ in found]
        if name in concepts and (len(icons) < rules.kept_drawings or len(designers(icons)) < rules.kept_designers):
            continue
        kept[name] = icons
        (folder / name).mkdir()
        for icon, looked_at, png in found:
            path = _path(name, icon)
            pixels.update(path.encode() + looked_at)
            (folder / path).write_bytes(png)
    lists = splits({name: kept[name] for name in concepts if name in kept}, {name: kept[name] for name in emoji}, rules)
    for split, rows in lists.items():
        pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(folder / f"{split}.csv", index=False)
    credited(sets, kept).to_csv(folder / CREDITS, index=False)
    return pixels.hexdigest()


def splits(concepts: Concepts, emoji: Concepts, rules: Rules) -> dict[str, list[ManifestRow]]:
    """The rows of each split, by its name.

    `closed` puts whole designers on one side, `unseen` whole classes. `emoji` trains as `closed` does, and asks with
    the drawings of one designer for those of the others.
    """
    new = unseen_classes(concepts)

    def asks(icon: Icon) -> str:
        return "query" if role(icon.designer) == "query" else "gallery"

    closed = [(_path(name, icon), name, role(icon.designer)) for name, icon in _each(concepts)]
    unseen = [(_path(name, icon), name, asks(icon) if name in new else "train") for name, icon in _each(concepts)]
    among = [
        (_path(name, icon), name, "query" if icon.designer == rules.emoji.query_designer else "gallery")
        for name, icon in _each(emoji)
    ]
    trained = [row for row in closed if row[2] == "train"]
    return {"closed": _answerable(closed), "unseen": _answerable(unseen), "emoji": _answerable(trained + among)}


def role(designer: str) -> str:
    """Whether a designer's drawings are queries, are searched, or are trained on."""
    return ROLES[int(hashlib.sha256(designer.encode()).hexdigest()[:8], 16) % len(ROLES)]


def unseen_classes(names: Iterable[str]) -> set[str]:
    """A third of the classes, by the hash of their names."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return set(ranked[: len(ranked) // UNSEEN_SHARE])


def credited(sets: Sequence[IconSet], kept: Concepts) -> pd.DataFrame:
    """Set, designer, licence, its URL and number of drawings, a row a set that is used."""
    counts = Counter(icon.set for _, icon in _each(kept))
    rows = [
        (one.prefix, one.designer, one.licence, one.licence_url, counts[one.prefix])
        for one in sets
        if one.prefix in counts
    ]
    return pd.DataFrame(rows, columns=["set", "designer", "licence", "licence_url", "drawings"])


def _drawn(
    concepts: Mapping[str, Sequence[Icon]], size: int, notify: Notify
) -> Iterator[tuple[str, list[tuple[Icon, bytes, bytes]]]]:
    """Each class, by name, with its drawings that differ: what was looked at, and the PNG."""
    names = sorted(concepts)
    icons = [sorted(concepts[name], key=lambda one: (one.designer, one.set, len(one.name), one.name)) for name in names]
    svgs = [[icon.svg for icon in of_class] for of_class in icons]
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    notify(f"drawing {sum(map(len, icons)):,} images of {len(names):,} classes in {processes} processes")
    reported = time.monotonic()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        results = pool.map(draw_distinct, svgs, repeat(size), chunksize=4)
        for done, (name, of_class, kept) in enumerate(zip(names, icons, results, strict=True)):
            yield name, [(of_class[position], *images) for position, images in kept.items()]
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                notify(f"{done + 1:,} of {len(names):,} classes drawn")


def _answerable(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Without the queries of classes that nobody could find."""
    there = {label for _, label, part in rows if part == "gallery"}
    return [row for row in rows if row[2] != "query" or row[1] in there]


def _each(concepts: Concepts) -> Iterator[tuple[str, Icon]]:
    return ((name, icon) for name in sorted(concepts) for icon in concepts[name])


def _path(name: str, icon: Icon) -> str:
    return f"{name}/{icon.set}--{icon.name}.png"
