"""IconSets, from an archive of a few sets in the true format; and from the real one, where it is."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from compatbench import errors
from compatbench.data.dataset import Dataset
from compatbench.data.families import _icon_folder, iconsets
from compatbench.data.families._icon_concepts import Rules, choose_concepts
from compatbench.data.families._icon_drawings import draw_distinct
from compatbench.data.families._icon_sets import read_sets
from compatbench.data.families.iconsets import ARCHIVE
from compatbench.discovery.datasets import check, get, load
from compatbench.errors import RequestError

pytest.importorskip("resvg_py", reason="needs resvg-py: pip install compatbench[icons]")

CONCEPTS = ("bell", "eye", "home", "lock", "star", "sun")
NEW = {"lock", "sun"}
"""The third whose sha256 are the lowest: 0f…, 2f… (by `sha256sum`)."""
ROLES = {f"designer {n}": {0: "query", 2: "query", 7: "gallery"}.get(n, "train") for n in range(8)}
"""By `sha256sum`: the number of its first 8 digits modulo 5 is 0 for queries and 1 for the gallery."""
EMOJI = ("ghost", "bell")
REAL = Path(__file__).parents[3] / "data" / "iconsets" / ARCHIVE


def pattern(*parts: object) -> np.ndarray:
    """8x8 fields, half of them dark, that no other name has."""
    seed = int(hashlib.md5(str(parts).encode()).hexdigest()[:8], 16)
    return np.random.default_rng(seed).permutation(64).reshape(8, 8) < 32


def body(fields: np.ndarray, colour: str = "currentColor") -> str:
    path = "".join(f"M{4 * x} {4 * y}h4v4h-4z" for y, x in np.argwhere(fields).tolist())
    return f'<path fill="{colour}" d="{path}"/>'


def content(prefix: str, designer: str, bodies: dict[str, str], **more: Any) -> dict[str, Any]:
    licence = {"title": "MIT", "spdx": "MIT", "url": f"https://example.org/{prefix}"}
    info = {"name": prefix, "author": {"name": designer}, "license": licence, "category": "UI 24px"}
    icons = {name: {"body": one} for name, one in bodies.items()}
    return {"prefix": prefix, "info": info | more, "icons": icons, "width": 32, "height": 32}


def packed(*sets: dict[str, Any]) -> bytes:
    """An archive as npm makes it: other files too, the sets in no order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        members = {f"package/json/{one['prefix']}.json": json.dumps(one) for one in reversed(sets)}
        for name, text in {"package/dist/index.cjs": "x", **members, "package/collections.json": "{}"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            file.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def archive() -> bytes:
    plain = [
        content(f"set-{n}", who, {f"{name}-outline": body(pattern(name, who)) for name in CONCEPTS})
        for n, who in enumerate(ROLES)
    ]
    emoji = [
        content(prefix, who, {name: body(pattern(name, who), "#c00") for name in EMOJI})
        for prefix, who in (("twemoji", "Twitter"), ("noto", "Google"), ("fxemoji", "Mozilla"))
    ]
    closed = content("secret", "designer 99", {"home": body(pattern(0))}, license={"spdx": "CC-BY-SA-4.0"})
    return packed(*plain, *emoji, closed)


@pytest.fixture(autouse=True)
def small(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules for a few drawings, and the hash of the small archive."""
    rules = Rules.read()
    fewer = {"designers": 5, "kept_drawings": 6, "kept_designers": 5}
    small = rules.model_copy(update=fewer | {"emoji": rules.emoji.model_copy(update={"designers": 3})})
    monkeypatch.setattr(_icon_folder.Rules, "read", lambda: small)
    monkeypatch.setattr(iconsets, "SHA256", hashlib.sha256(archive).hexdigest())


def put(archive: bytes, root: Path) -> Path:
    (root / "iconsets").mkdir(parents=True)
    (root / "iconsets" / ARCHIVE).write_bytes(archive)
    return root


@pytest.fixture(scope="module")
def drawn(archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder, with the drawings at 32 pixels."""
    return put(archive, tmp_path_factory.mktemp("data"))


@pytest.fixture
def ready(drawn: Path, small: None) -> Path:
    get("iconsets", drawn, print)
    return drawn


def rows(dataset: Dataset, split: str) -> Iterator[tuple[np.ndarray, str, str]]:
    """Image, class and file of each row."""
    part = getattr(dataset, split)
    for image, label, path in zip(part.images.numpy(), part.labels.tolist(), part.names, strict=True):
        yield image, dataset.class_names[label], path


def designer(path: str) -> str:
    found = Path(path).name.partition("--")[0]
    named = {"twemoji": "Twitter", "noto": "Google", "fxemoji": "Mozilla"}
    return named.get(found) or f"designer {found.removeprefix('set-')}"


def test_images_are_what_designers_drew_and_designers_are_on_one_side(ready: Path) -> None:
    dataset = load("iconsets", None, ready, {})
    assert dataset.class_names == CONCEPTS
    seen = 0
    for split in ("train", "query", "gallery"):
        for image, concept, path in rows(dataset, split):
            who = designer(path)
            emoji = who in ("Twitter", "Google", "Mozilla")
            fields = np.kron(pattern(concept, who), np.ones((4, 4), dtype=bool))
            colour = [0xCC, 0, 0] if emoji else [0, 0, 0]
            np.testing.assert_array_equal(image, np.where(fields, np.reshape(colour, (3, 1, 1)), 255))
            assert emoji or ROLES[who] == split
            seen += 1
    assert seen == len(ROLES) * len(CONCEPTS) + 3  # emoji of a bell are bells


def test_unseen_classes_are_a_third_and_have_no_training_images(ready: Path) -> None:
    dataset = load("iconsets", None, ready, {"split": "unseen"})
    assert {label for _, label, _ in rows(dataset, "train")} == set(CONCEPTS) - NEW
    assert {label for _, label, _ in rows(dataset, "query")} == NEW == {x for _, x, _ in rows(dataset, "gallery")}
    assert all(ROLES[designer(path)] == "query" for _, _, path in rows(dataset, "query"))
    assert all(ROLES[designer(path)] != "query" for _, _, path in rows(dataset, "gallery"))
    assert len(dataset.train) + len(dataset.query) + len(dataset.gallery) == len(ROLES) * len(CONCEPTS) + 3


def test_emoji_are_searched_by_one_designer_among_those_of_others(ready: Path) -> None:
    dataset = load("iconsets", None, ready, {"split": "emoji"})
    trained, closed = rows(dataset, "train"), rows(load("iconsets", None, ready, {}), "train")
    assert [row[1:] for row in trained] == [row[1:] for row in closed]
    assert [(label, designer(path)) for _, label, path in rows(dataset, "query")] == [("ghost", "Twitter")]
    assert {(label, designer(path)) for _, label, path in rows(dataset, "gallery")} == {
        ("ghost", "Google"),
        ("ghost", "Mozilla"),
    }


def test_drawings_are_grey_on_request(ready: Path) -> None:
    colour, grey = (load("iconsets", None, ready, {"split": "emoji", "channels": n}).query.images[0] for n in (3, 1))
    assert grey.shape == (1, 32, 32)
    assert set(grey.unique().tolist()) == {round(0.299 * 0xCC), 255}
    assert ((grey[0] == 255) == (colour == 255).all(dim=0)).all()


def test_credits_tell_whose_each_set_is(ready: Path) -> None:
    said = get("iconsets", ready, print)
    path = Path(said.rpartition(": ")[2])
    table = pd.read_csv(path).set_index("set")
    assert said.startswith(f"iconsets: ready in {path.parent}; whose they are")
    assert list(table.loc["set-3"]) == ["designer 3", "MIT", "https://example.org/set-3", 6]
    assert list(table.loc["noto"]) == ["Google", "MIT", "https://example.org/noto", 2]
    assert "secret" not in table.index
    assert table["drawings"].sum() == len(list(path.parent.glob("*/*.png")))


def test_another_size_is_drawn_and_shows_the_same(ready: Path) -> None:
    with pytest.raises(RequestError, match="not drawn yet; run `compatbench data get iconsets --set size=64`"):
        load("iconsets", None, ready, {"size": 64})
    get("iconsets", ready, print, {"size": 64})
    small, large = (load("iconsets", None, ready, {"size": size}) for size in (32, 64))
    assert large.query.labels.tolist() == small.query.labels.tolist()
    assert large.query.names == small.query.names
    np.testing.assert_array_equal(large.query.images, np.kron(small.query.images, np.ones((1, 1, 2, 2), dtype=int)))
    assert check("iconsets", ready, {"size": 64}) == "iconsets: ok, 33 train, 12 query, 6 gallery images, 6 classes"


def test_the_same_files_byte_for_byte_twice(ready: Path, archive: bytes, tmp_path: Path) -> None:
    get("iconsets", put(archive, tmp_path), print)
    first, second = (sorted(root.glob("iconsets/drawings-*32-*/**/*.*")) for root in (ready, tmp_path))
    assert len(first) > 50
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_another_drawing_than_the_published_one_is_told(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    get("iconsets", put(archive, tmp_path / "a"), said.append)
    told = [line for line in said if "draws otherwise than the published one" in line]
    assert len(told) == 1
    digest = hashlib.sha256()
    folder = next((tmp_path / "a" / "iconsets").glob("drawings-*"))
    for png in sorted(folder.glob("*/*.png"), key=lambda png: (png.parent.name, designer(png.name))):
        digest.update(f"{png.parent.name}/{png.name}".encode() + np.asarray(Image.open(png).convert("RGB")).tobytes())
    assert digest.hexdigest()[:12] in told[0]
    monkeypatch.setattr(iconsets, "DRAWN_SHA256", digest.hexdigest())
    get("iconsets", put(archive, tmp_path / "b"), said.append)
    assert [line for line in said if "draws otherwise" in line] == told


def test_what_is_wanting_is_said_in_one_line(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    remedy = rf"no npm on this machine\); connect .* run `npm pack @iconify/json@2.2.535` .* put {ARCHIVE} in "
    with pytest.raises(RequestError, match=remedy):
        get("iconsets", tmp_path / "none", print)
    put(archive[:-9], tmp_path / "other")
    with pytest.raises(RequestError, match=r"is not version 2.2.535 of @iconify/json \(sha256 differs\); delete it"):
        get("iconsets", tmp_path / "other", print)
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"needs the package 'resvg-py': pip install 'compatbench\[icons\]'"):
        get("iconsets", put(archive, tmp_path / "x"), print)
    with pytest.raises(RequestError, match="option split: "):
        load("iconsets", None, tmp_path, {"split": "open"})


def test_npm_brings_the_archive(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packed.tgz").write_bytes(archive)
    npm = tmp_path / "npm"
    asked = "pack --ignore-scripts @iconify/json@2.2.535"
    npm.write_text(f'#!/bin/sh\n[ "$*" = "{asked}" ] && /bin/cp {tmp_path}/packed.tgz {ARCHIVE}')
    npm.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert get("iconsets", tmp_path / "data", print).startswith("iconsets: ready in ")
    assert (tmp_path / "data" / "iconsets" / ARCHIVE).read_bytes() == archive


@pytest.mark.skipif(not REAL.exists(), reason=f"needs data/iconsets/{ARCHIVE}: `compatbench data get iconsets`")
def test_the_real_archive_has_the_published_concepts_and_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    concepts, emoji = choose_concepts(Rules.read(), read_sets(REAL))
    assert (len(concepts), len(emoji)) == (362, 916)
    assert {"calendar", "bookmark", "arrow-left", "thumbs-up"} < concepts.keys()
    assert not {"windows", "github", "delete", "envelope", "chart"} & concepts.keys()
    assert not concepts.keys() & emoji.keys()
    pixels = hashlib.sha256()
    for name in [*sorted(concepts)[::90], *sorted(emoji)[::90]]:
        for looked_at, _ in draw_distinct([icon.svg for icon in {**concepts, **emoji}[name]], 32).values():
            pixels.update(looked_at)
    assert pixels.hexdigest() == "471e38c2288eccee626e656a1f02387f9646daa0f1873e098336ae79d3b41f08"
