"""The sets of drawings in the archive of Iconify: one JSON file a set, read out of the .tgz."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Icon:
    """One drawing."""

    designer: str
    set: str
    name: str
    box: tuple[float, float, float, float]
    """Left, top, width and height of what is to be seen."""
    body: str
    """What is inside the element `svg`."""

    @property
    def svg(self) -> str:
        """A whole file, square: the box in its middle. What takes the colour of a text is black."""
        left, top, width, height = self.box
        side = max(width, height)
        view = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{view}" color="#000">{self.body}</svg>'
        )


@dataclass(frozen=True)
class IconSet:
    """All drawings of one set, which has one designer and one licence."""

    prefix: str
    """Its name in the archive."""
    designer: str
    licence: str
    """By its SPDX name; empty where it has none."""
    licence_url: str
    category: str
    icons: Mapping[str, Icon]
    """By name, without hidden ones, such as those that were withdrawn."""
    aliases: tuple[tuple[str, str], ...]
    """Other names of drawings, each with the name that it stands for; turned and mirrored ones are left out."""
    prefixes: tuple[str, ...]
    """What the set puts before a name to tell how it is drawn, without the hyphen; `suffixes` are put behind it."""
    suffixes: tuple[str, ...]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> IconSet:
        """From the content of a JSON file, as https://iconify.design/docs/types/iconify-json.html says."""
        info, prefix, sides = content["info"], str(content["prefix"]), {"left": 0, "top": 0, "width": 16, "height": 16}
        sides |= {side: content[side] for side in sides if side in content}
        designer = str(info["author"]["name"])
        icons = {
            name: Icon(designer, prefix, name, tuple(icon.get(side, sides[side]) for side in sides), icon["body"])
            for name, icon in content["icons"].items()
            if not icon.get("hidden")
        }
        return cls(
            prefix,
            designer,
            info["license"].get("spdx", ""),
            info["license"].get("url", ""),
            info.get("category", ""),
            icons,
            tuple(
                (name, alias["parent"])
                for name, alias in content.get("aliases", {}).items()
                if not alias.keys() & {"rotate", "hFlip", "vFlip"}
            ),
            tuple(filter(None, content.get("prefixes", {}))),
            tuple(filter(None, content.get("suffixes", {}))),
        )


def read_sets(archive: Path) -> list[IconSet]:
    """The sets in the .tgz at `archive`, sorted by prefix. Nothing is unpacked."""
    sets = []
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            if member.name.startswith("package/json/") and (file := members.extractfile(member)):
                sets.append(IconSet.of(json.load(file)))
    return sorted(sets, key=lambda one: one.prefix)
