"""An upgrade in plain words: `more images of the same classes (10% → all)`."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.suite.scenarios import Bounds, GenerationSpec, TestClasses

_TESTED_ON = {
    "all": "",
    "unseen": "tested on classes of neither generation",
    "held_out": "tested on held-out images",
}


def in_words(generations: Sequence[GenerationSpec], tested_on: TestClasses = "all", items: str = "items") -> str:
    """What the newest generation has that the first one has not; `items` is the word for what is embedded."""
    old, new = generations[0], generations[-1]
    changes = [*_data(old, new, items), *_encoder(old, new)]
    if len(generations) > 2:
        changes = [f"{len(generations) - 1} upgrades in a row", *changes]
    return ", ".join([*(changes or ["the same data and encoder again"]), *filter(None, [_TESTED_ON[tested_on]])])


def _data(old: GenerationSpec, new: GenerationSpec, items: str) -> list[str]:
    changes = []
    if old.share_bounds != new.share_bounds:
        more = "more" if _within(old.share_bounds, new.share_bounds) else "other"
        changes.append(f"{more} {items} of the same classes ({_amount(old.share)} → {_amount(new.share)})")
    if old.classes != new.classes:
        more = "more" if new.classes is None or _within(_range(old), _range(new)) else "other"
        changes.append(f"{more} classes ({_amount(old.classes)} → {_amount(new.classes)})")
    if old.imbalance != new.imbalance:
        changes.append(
            "from many classes with few examples to even ones" if old.imbalance else "a long tail of classes"
        )
    return changes


def _encoder(old: GenerationSpec, new: GenerationSpec) -> list[str]:
    changes = []
    if old.backbone != new.backbone:
        changes.append(f"another encoder ({_short(old.backbone)} → {_short(new.backbone)})")
    if old.dim != new.dim:
        changes.append(f"{old.dim} → {new.dim} dimensions")
    if old.loss != new.loss:
        changes.append(f"another loss ({old.loss} → {new.loss})")
    if old.pretrained != new.pretrained:
        changes.append("pretrained weights" if new.pretrained else "no pretrained weights")
    if new.keeps_documents:
        changes.append("documents keep their old encoder")
    return changes


def _range(step: GenerationSpec) -> Bounds:
    classes = step.classes
    return classes if isinstance(classes, tuple) else (0, float("inf") if classes is None else classes)


def _within(inner: Bounds, outer: Bounds) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _amount(value: float | Bounds | None) -> str:
    """`10%`, `all`, `the other 70%`, `100 classes` …"""
    if value is None or (value == 1.0 and isinstance(value, float)):
        return "all"
    if isinstance(value, tuple):
        low, high = value
        return f"the other {_percent(high - low)}" if high == 1 else f"{_plain(low)} to {_plain(high)}"
    return _plain(value)


def _plain(value: float) -> str:
    return f"{value}" if isinstance(value, int) else _percent(value)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _short(backbone: str) -> str:
    return backbone.partition(".")[0]
