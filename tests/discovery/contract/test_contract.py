"""The contract on every method of the project, and on methods that break it in one way each."""

from __future__ import annotations

from pathlib import Path

import pytest

from compatbench.discovery.contract import Report, check
from compatbench.storage.builtin import builtin_folder

FILES = sorted(path for path in builtin_folder("methods").glob("*.py") if not path.name.startswith("_"))

METHOD = '''
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.method import Adapter, Batch, Field, Maps, Need, Params, TrainingMethod


class Sound(TrainingMethod):
    """Keeps the new embedding near the old one (Somebody et al., CVPR 2020, arXiv 2003.11942)."""

    name = "sound"
    needs = frozenset({Need.OLD_ENCODER})

    class Params(Params):
        weight: float = Field(1.0, ge=0)

    def skip(self, task):
        return "too small" if task.dim < (task.old_dim or 0) else None

    def setup(self, new, old):
        pass

    def loss(self, batch, new, old):
        distance = (self.compatible(new.embeddings) - old.embeddings).square().sum(dim=1)
        return {"regression": self.params.weight * distance.mean()}
'''

ADAPTER = '''
import torch
from torch import nn

from compatbench.method import Adapter, Maps, Need, Params


class Column(nn.Module):
    def forward(self, vectors):
        return vectors[:, 0]


class Sound(Adapter):
    """Least squares from new to old (ours)."""

    name = "sound"
    needs = frozenset({Need.OLD_FEATURES})

    def build(self, dim, old_dim):
        return Maps(query=nn.Linear(dim, old_dim, bias=False))

    def fit(self, new, old, labels):
        maps = self.build(new.shape[1], old.shape[1])
        matrix = torch.linalg.lstsq(new, old).solution
        maps.query.weight.data = matrix.T
        return maps
'''

LOSS = 'return {"regression": self.params.weight * distance.mean()}'
GALLERY = f"{LOSS}\n\n    def gallery(self, embeddings):\n        "
SETUP = "    def setup(self, new, old):\n        pass"
BUILD = "return Maps(query=nn.Linear(dim, old_dim, bias=False))"
MATRIX = "matrix = torch.linalg.lstsq(new, old).solution"
CLASS = "class Sound(Adapter):"


def module(body: str) -> tuple[str, str]:
    """Replaces the query map by one whose forward() ends in `body`."""
    return (
        CLASS,
        f"class Query(nn.Linear):\n    def forward(self, vectors, *others):\n        {body}\n\n\n{CLASS}",
    )


OWN_MODULE = (BUILD, "return Maps(query=Query(dim, old_dim, bias=False))")

# what is replaced, by what, the check that must fail, and words of its message
BROKEN = {
    "syntax": ("class Sound(TrainingMethod):", "class Sound(TrainingMethod)", "imports", "SyntaxError"),
    "import": ("import torch\n", "import torch\nimport no_such_package\n", "imports", "no_such_package"),
    "no name": ('    name = "sound"\n', "", "one class", "found none"),
    "two classes": (
        "class Sound(TrainingMethod):",
        'class Other(TrainingMethod):\n    name = "other"\n\n\nclass Sound(TrainingMethod):',
        "one class",
        "found Other, Sound",
    ),
    "bad name": ('name = "sound"', 'name = "my-method"', "name", "lower-case letters"),
    "taken name": ('name = "sound"', 'name = "bct"', "name", "taken by bct.py"),
    "need in words": ("{Need.OLD_ENCODER}", '{"old encoder "}', "declarations", "use members of Need"),
    "misspelt hook": ("def setup(", "def set_up(", "hooks", "looks like a misspelt setup()"),
    "no default": ("weight: float = Field(1.0, ge=0)", "weight: float", "parameters", "no default for weight"),
    "lax params": (
        "weight: float = Field(1.0, ge=0)",
        'model_config = {"extra": "ignore"}\n        weight: float = 1.0',
        "parameters",
        "extra='forbid'",
    ),
    "no source": ("(Somebody et al., CVPR 2020, arXiv 2003.11942)", "and more", "source", "cites no source"),
    "empty skip": ('return "too small" if', 'return "" if True or', "skip", "reason in words"),
    "always skips": ('return "too small" if', 'return "no" if True or', "skip", "plainest upgrade"),
    "undeclared encoder": ("frozenset({Need.OLD_ENCODER})", "frozenset()", "needs", "add Need.OLD_ENCODER"),
    "undeclared head": (LOSS, LOSS.replace("mean()", "mean() * old.head.weight[0, 0]"), "needs", "Need.OLD_CLASSIFIER"),
    "undeclared view": (LOSS, f"batch.second_view\n        {LOSS}", "needs", "add Need.TWO_VIEWS"),
    "unused need": ("{Need.OLD_ENCODER}", "{Need.OLD_ENCODER, Need.OLD_FEATURES}", "needs", "remove Need.OLD_FEATURES"),
    "images alone": (LOSS, f"batch.images.amax(dim=(2, 3))\n        {LOSS}", "frozen trunk", "take batch.images as it"),
    "mixed features": (
        "old.embeddings).square()",
        "old.embed(batch.images * 0.5)).square()",
        "another frozen trunk",
        "nothing that is computed from them",
    ),
    "vector loss": (LOSS, 'return {"regression": distance}', "losses", "return a scalar"),
    "list of losses": (LOSS, "return [distance.mean()]", "losses", "return a dict"),
    "python number": (LOSS, 'return {"regression": 1.0}', "losses", "'regression' is 1.0"),
    "nan": (LOSS, 'return {"regression": distance.mean() / 0 * 0}', "losses", "'regression' is nan"),
    "raises": (LOSS, "raise ValueError('boom')", "losses", "in loss(): boom"),
    "detached": (LOSS, 'return {"regression": distance.mean().detach()}', "gradient", "'regression' has no gradient"),
    "infinite gradient": (
        LOSS,
        'return {"regression": (new.embeddings - new.embeddings.detach()).norm(dim=1).sqrt().mean()}',
        "finite gradient",
        "sqrt, norm, acos or log",
    ),
    "ignores the new model": (
        "    def loss(self, batch, new, old):",
        "    def classification(self, batch, new, old):\n"
        "        return new.head.loss(new.embeddings.detach(), batch.labels)\n\n"
        "    def loss(self, batch, new, old):\n"
        "        return {}\n\n"
        "    def unused(self, batch, new, old):",
        "gradient",
        "no gradient reaches the new encoder",
    ),
    "writes to the old model": (
        SETUP,
        "    def setup(self, new, old):\n        old._model.encoder.embedding.bias.add_(1)",
        "frozen old model",
        "embedding.bias",
    ),
    "writes to the old embeddings": (
        "frozenset({Need.OLD_ENCODER})",
        "frozenset({Need.OLD_ENCODER, Need.OLD_FEATURES})\n\n"
        "    def start_epoch(self, epoch, epochs, new, old):\n"
        "        old.train_embeddings.mul_(2)",
        "frozen old model",
        "train_embeddings changed",
    ),
    "trains the old model": (
        LOSS,
        f"old._model.requires_grad_(True)\n        {LOSS}",
        "frozen old model",
        "do not switch requires_grad on",
    ),
    "old model in training mode": (
        LOSS,
        f"old._model.head.train()\n        {LOSS}",
        "frozen old model",
        "training mode",
    ),
    "random numbers of its own": (
        LOSS,
        'return {"regression": random.random() * distance.mean()}',
        "seeds",
        "draw from batch.generator",
    ),
    "weights of its own": (
        "    def skip(self, task):",
        "    def start_epoch(self, epoch, epochs, new, old):\n"
        "        nn.init.constant_(new.encoder.embedding.weight, random.random())\n\n"
        "    def skip(self, task):",
        "seeds",
        "build modules in __init__() or setup()",
    ),
    "state outside buffers": (
        "    def skip(self, task):",
        "    factor = 1.0\n\n"
        "    def start_epoch(self, epoch, epochs, new, old):\n"
        "        self.factor = 2.0 + epoch\n\n"
        "    def embed(self, features):\n"
        "        return self.factor * features\n\n"
        "    def skip(self, task):",
        "state",
        "embeddings differ",
    ),
    "state of changing shape": (
        "    def skip(self, task):",
        "    def start_epoch(self, epoch, epochs, new, old):\n"
        '        self.register_buffer(f"seen_{epoch}", torch.ones(2))\n\n'
        "    def skip(self, task):",
        "state",
        "does not load again",
    ),
    "mean over no pair": (
        LOSS,
        "same = batch.labels[:, None] == batch.labels[None, :]\n"
        "        same.fill_diagonal_(False)\n"
        "        pairs = (new.embeddings @ old.embeddings.T)[same]\n"
        '        return {"regression": distance.mean() + 0 * pairs.mean()}',
        "one sample per class",
        "guard divisions",
    ),
    "mean over no old class": (
        LOSS,
        'return {"regression": distance[batch.labels < 3].mean()}',
        "no old class in the batch",
        "'regression' is nan",
    ),
    "larger dimension breaks": ("self.compatible(new.embeddings)", "new.embeddings", "larger dimension", "at sound.py"),
    "wrong compatible": (
        'return "too small" if task.dim < (task.old_dim or 0) else None',
        "return None",
        "larger dimension",
        "compatible() gives (40, 32)",
    ),
    "hidden rewrite": (LOSS, GALLERY + "return 2 * embeddings", "gallery", "add Need.GALLERY_REWRITE"),
    "rewrite that is none": (LOSS, GALLERY + "return embeddings", "gallery", "changes nothing"),
    "rewrite that mixes rows": (LOSS, GALLERY + "return embeddings - embeddings.mean(0)", "gallery", "other vectors"),
    "broken variant": (
        "weight: float = Field(1.0, ge=0)",
        "weight: float = Field(1.0, ge=0)\n        broken: bool = False",
        "with broken=True",
        "'regression' is inf",
    ),
}
ALSO = {
    "ignores the new model": ("frozenset({Need.OLD_ENCODER})", "frozenset()"),
    "wrong compatible": (
        "    def loss(self, batch, new, old):\n        distance = (self.compatible(new.embeddings) - old.embeddings)",
        "    def compatible(self, embeddings):\n        return embeddings\n\n"
        "    def loss(self, batch, new, old):\n"
        "        width = min(self.task.dim, self.task.old_dim)\n"
        "        distance = (new.embeddings[:, :width] - old.embeddings[:, :width])",
    ),
    "broken variant": ("distance.mean()", "distance.mean() / (1 - self.params.broken)"),
    **dict.fromkeys(
        ("rewrite that is none", "rewrite that mixes rows"),
        ("OLD_ENCODER}", "OLD_ENCODER, Need.GALLERY_REWRITE}"),
    ),
}

# what is replaced, by what, the check that must fail, words of its message, and further replacements
BROKEN_ADAPTERS = {
    "abstract": ("def fit(self", "def fitted(self", "fit", "NotImplementedError"),
    "misspelt hook": ("def build(", "def builds(", "hooks", "looks like a misspelt build()"),
    "no maps": ("return maps", "return maps.query", "fit", "return Maps"),
    "a function": (
        "return maps",
        "return Maps(query=lambda vectors: vectors @ matrix)",
        "fit",
        "give a torch.nn.Module",
    ),
    "writes to its input": (MATRIX, f"new.mul_(2)\n        {MATRIX}", "fit", "modified its input `new`"),
    "wrong dimension": (*module("return vectors[:, :3]"), "maps", "3 dimensions", OWN_MODULE),
    "loses rows": (*module("return super().forward(vectors[:3])"), "maps", "(3, 16) for 200", OWN_MODULE),
    "nan": (*module("return vectors / 0 - vectors / 0"), "maps", "NaN", OWN_MODULE),
    "scores with a dimension too many": (
        BUILD,
        BUILD.replace("False)", "False), order=nn.Identity()"),
        "maps",
        "scores (N, D) as (N,)",
    ),
    "hidden rewrite": (
        BUILD,
        BUILD.replace("query=nn.Linear(dim, old_dim", "gallery=nn.Linear(old_dim, dim"),
        "needs",
        "add Need.GALLERY_REWRITE",
        ("maps.query.weight.data = matrix.T", ""),
    ),
    "rewrite declared and not done": ("OLD_FEATURES}", "OLD_FEATURES, Need.GALLERY_REWRITE}", "needs", "remove it"),
    "old vectors declared and not taken": (
        "OLD_FEATURES}",
        "OLD_FEATURES, Need.BOTH_ENCODERS_ONLINE}",
        "needs",
        "returns no query or new map",
        (BUILD, "return Maps(order=Column())"),
        ("maps.query.weight.data = matrix.T", ""),
    ),
    "old features taken and not declared": ("{Need.OLD_FEATURES}", "()", "needs", "add Need.OLD_FEATURES"),
    "labels taken and not declared": (MATRIX, f"{MATRIX} * labels.max()", "needs", "add Need.LABELS"),
    "labels that change something": (
        MATRIX,
        f"{MATRIX} * (2 if labels is None else 1)",
        "needs",
        "depend on the labels",
    ),
    "own random numbers": (
        MATRIX,
        f"{MATRIX} * torch.randn(1, generator=torch.Generator().manual_seed(torch.seed()))",
        "seeds",
        "two fits with the same seed",
        ("{Need.OLD_FEATURES}", "{Need.OLD_FEATURES, Need.LABELS}"),
    ),
    "map modifies": (*module("return super().forward(vectors.mul_(2))"), "row by row", "out of place", OWN_MODULE),
    "map mixes rows": (
        *module("return super().forward(vectors - vectors.mean(0))"),
        "row by row",
        "depends on the other vectors",
        OWN_MODULE,
    ),
    "no build": ("def build(self", "def make(self", "saved form", "NotImplementedError", ("self.build", "self.make")),
    "build makes others": (
        BUILD,
        BUILD.replace("bias=False", "bias=labels"),
        "saved form",
        "does not load",
        *(
            ("def build(self, dim, old_dim", "def build(self, dim, old_dim, labels=True"),
            ("old.shape[1])", "old.shape[1], False)"),
        ),
    ),
    "state outside buffers": (
        *module("return super().forward(vectors) * getattr(self, 'factor', 1)"),
        "saved form",
        "map differently",
        OWN_MODULE,
        ("return maps", "maps.query.factor = 2\n        return maps"),
    ),
    "one sample per class": (
        MATRIX,
        f"counts = labels.bincount()[labels] - 1\n        {MATRIX} * (1 + 0 * (1 / counts).mean())",
        "one sample per class",
        "NaN",
        ("{Need.OLD_FEATURES}", "{Need.OLD_FEATURES, Need.LABELS}"),
    ),
    "square only": (*module("return vectors @ self.weight"), "larger dimension", "RuntimeError", OWN_MODULE),
}


def run(tmp_path: Path, source: str, *edits: tuple[str, str]) -> Report:
    for old, new in edits:
        assert old in source
        source = source.replace(old, new, 1)
    path = tmp_path / "sound.py"
    path.write_text(source)
    return check(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_method_keeps_the_contract(path):
    report = check(path)
    assert report.passed, str(report)
    assert len(report.results) >= 13


@pytest.mark.parametrize("source", [METHOD, ADAPTER], ids=["method", "adapter"])
def test_the_sound_examples_keep_it(tmp_path, source):
    report = run(tmp_path, source)
    assert report.passed, str(report)
    assert str(report).endswith("sound.py: keeps the contract")


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_method_is_told_what_to_change(tmp_path, case):
    old, new, failing, words = BROKEN[case]
    report = run(tmp_path, METHOD, (old, new), *([ALSO[case]] if case in ALSO else []))
    assert [result.check for result in report.failed][:1] == [failing], str(report)
    assert words in report.failed[0].message


@pytest.mark.parametrize("case", BROKEN_ADAPTERS)
def test_a_broken_adapter_is_told_what_to_change(tmp_path, case):
    old, new, failing, words, *others = BROKEN_ADAPTERS[case]
    report = run(tmp_path, ADAPTER, (old, new), *others)
    assert [result.check for result in report.failed][:1] == [failing], str(report)
    assert words in report.failed[0].message


def test_a_function_that_is_called_may_nearly_have_the_name_of_a_hook(tmp_path):
    own = "    def heads(self, distance):\n        return distance.mean()\n\n    def skip(self, task):"
    called = ("weight * distance.mean()", "weight * self.heads(distance)")
    report = run(tmp_path, METHOD, ("    def skip(self, task):", own), called)
    assert report.passed, str(report)


def test_the_report_counts_what_failed(tmp_path):
    report = run(tmp_path, METHOD, ("(Somebody et al., CVPR 2020, arXiv 2003.11942)", ""))
    assert not report.passed
    assert "FAIL  source: the docstring cites no source" in str(report)
    assert str(report).endswith(f"sound.py: 1 of {len(report.results)} checks failed")


def test_a_raised_error_names_the_line_of_the_method(tmp_path):
    report = run(tmp_path, METHOD, (LOSS, "raise ValueError('boom')"))
    line = METHOD.splitlines().index(f"        {LOSS}") + 1
    assert f"ValueError at sound.py:{line} in loss(): boom" in report.failed[0].message


def test_a_method_with_its_own_first_generation_trains_it_too(tmp_path):
    seen = (
        "        if old is None:\n            assert self.task.generation == 0\n            return {}\n"
        "        distance ="
    )
    edits = (("{Need.OLD_ENCODER}", "{Need.OLD_ENCODER, Need.OWN_FIRST_GENERATION}"), ("        distance =", seen))
    report = run(tmp_path, METHOD, *edits)
    assert report.passed, str(report)
