"""Checks CompatBench on one GPU within eight minutes, and writes one JSON file of results.

    python scripts/gpu_check.py --data data --out gpu_check.json
    python scripts/gpu_check.py --device cpu            # a rehearsal at tiny sizes

It needs no network: `icons` is left out if its images are not in the data folder. Each check is `ok`, `failed` (it
ran and the numbers are wrong), `error` or `skipped` (no time or no data); the exit status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HUNGRY = '''
import torch
from compatbench.method import TrainingMethod


class Hungry(TrainingMethod):
    """Asks for a pebibyte (a test of memory errors)."""

    name = "hungry"

    def loss(self, batch, new, old):
        return {"room": torch.empty(2**50, device=batch.labels.device).sum()}
'''


class SkippedError(Exception):
    """A check that cannot run here."""


@dataclass(frozen=True)
class Setting:
    """What the checks share."""

    device: str
    data: Path
    folder: Path
    """For runs; removed afterwards."""
    deadline: float
    """By the monotonic clock."""

    @property
    def tiny(self) -> bool:
        """Whether this is a rehearsal."""
        return self.device == "cpu"

    @property
    def cores(self) -> list[int]:
        """For a cell at a time. In a rehearsal half of them: it then has as many threads as one of two cells."""
        every = sorted(os.sched_getaffinity(0))
        return every[: max(1, len(every) // 2)] if self.tiny else every

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()


Check = Callable[[Setting], dict[str, Any]]


def scoring(setting: Setting) -> dict[str, Any]:
    """Average precision on the device and on the CPU, and the time beside the bare product, also for many items."""
    import torch

    from compatbench.evaluation.retrieval import evaluate

    device = torch.device(setting.device)
    sizes = [(40, 600, 16, 10)] if setting.tiny else [(2_000, 60_000, 512, 1_000), (10_000, 1_000_000, 512, 10_000)]
    sides = search(*sizes[0], torch.device("cpu"))
    query, gallery = (side.to(device) for side in sides)
    on_cpu, on_device = evaluate(*sides), evaluate(query, gallery)
    difference = float(abs(on_cpu.average_precision - on_device.average_precision).max())
    found: dict[str, Any] = {"ok": difference <= 1e-5, "largest_difference": difference}
    for size in sizes:
        sides = search(*size, device)
        evaluate(*sides)  # compiles what it needs
        ours = fastest(partial(evaluate, *sides), device)
        product = fastest(partial(products, *(side.values for side in sides)), device)
        found["x".join(map(str, size[:3]))] = {"seconds": ours, "ratio_to_product": ours / product}
    if device.type == "cuda":
        found["gib"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def search(queries: int, items: int, dim: int, classes: int, device: Any) -> tuple[Any, Any]:
    """Noisy vectors of two sides around the same centres."""
    import torch

    from compatbench.evaluation.retrieval import Vectors

    generator = torch.Generator(device).manual_seed(0)
    centres = torch.randn(classes, dim, generator=generator, device=device)
    sides = []
    for size, first in ((queries, 10**8), (items, 0)):
        labels = torch.arange(size, device=device) % classes
        values = centres[labels] + 3 * torch.randn(size, dim, generator=generator, device=device)
        sides.append(Vectors(values, labels, torch.arange(first, first + size, device=device)))
    return sides[0], sides[1]


def products(queries: Any, items: Any) -> None:
    """All inner products, some items at a time."""
    for part in items.split(2**16):
        queries @ part.T


def fastest(call: Callable[[], object], device: Any) -> float:
    """Seconds of the fastest of five calls."""
    import torch

    found = []
    for _ in range(5):
        begun = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - begun)
    return min(found)


def training(setting: Setting) -> dict[str, Any]:
    """The loop twice with one seed, beside a bare loop, in float32 and in bfloat16."""
    import torch
    import torch.nn.functional as F

    from compatbench.data.normalization import Normalization
    from compatbench.discovery.plugins import discover
    from compatbench.encoders import Encoder
    from compatbench.generations.batches import TrainingSet, channels_last
    from compatbench.generations.embedding_model import EmbeddingModel
    from compatbench.generations.loop import train
    from compatbench.method import Task
    from compatbench.records.environment import fix_gpu_arithmetic
    from compatbench.suite.encoder_spec import EncoderSpec
    from compatbench.suite.recipe import Recipe
    from compatbench.vocabulary import HeadName

    fix_gpu_arithmetic()
    device = torch.device(setting.device)
    images, size, classes, backbone = (64, 32, 10, "test_resnet") if setting.tiny else (20_000, 64, 100, "resnet18")
    batch = 32 if setting.tiny else 256
    plugin = discover().get("independent")
    method = plugin.cls(plugin.resolve({}), Task(0, backbone, 64, HeadName.SOFTMAX, tuple(range(classes)), classes))
    spec = EncoderSpec(backbone=backbone, dim=64, image_size=size, channels=3)
    torch.manual_seed(0)
    start = EmbeddingModel(Encoder(spec), method.head(64, classes), method).to(device)
    start.to(memory_format=torch.channels_last)
    pixels = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8).to(device)
    data = TrainingSet(pixels, torch.randint(0, classes, (images,)).to(device))
    normalize = Normalization((128.0,) * 3, (74.0,) * 3)

    def bare(precision: str) -> None:
        model, floats = copy.deepcopy(start).train(), channels_last(normalize(pixels))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
        for index in torch.randperm(images, device=device).split(batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = F.cross_entropy(F.linear(model.encoder(floats[index]), model.head.weight), data.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    found: dict[str, Any] = {"ok": True}
    for precision in ("float32", "bfloat16"):
        trained: list[list[torch.Tensor]] = []

        def ours(precision: str = precision, trained: list[Any] = trained) -> None:
            model = copy.deepcopy(start)
            train(model, data, normalize, Recipe(epochs=1, batch_size=batch, lr=0.05, precision=precision), seed=0)
            trained.append([one.detach().cpu() for one in model.parameters()])

        times = {name: fastest(call, device) for name, call in (("bare", lambda p=precision: bare(p)), ("ours", ours))}
        difference = max(float((a - b).abs().max()) for a, b in zip(trained[0], trained[-1], strict=True))
        finite = all(bool(one.isfinite().all()) for one in trained[-1])
        found[precision] = {
            "images_a_second": images / times["ours"],
            "share_of_bare_loop": times["bare"] / times["ours"],
            "difference_of_two_runs": difference,
            "finite": finite,
        }
        found["ok"] = found["ok"] and finite and difference == 0
    return found


def cells(setting: Setting) -> dict[str, Any]:
    """Cells of `digits` one at a time, and two at a time on the same device: the same numbers."""
    methods = "independent,bct"
    alone = run(setting, "digits", "alone", "--methods", methods, "--jobs", "1", cores=setting.cores)
    together = run(setting, "digits", "together", "--methods", methods, "--jobs", "2")
    numbers = [[entry.model_dump() for one in runs for entry in one.metrics] for runs in (alone, together)]
    good = all(one.status == "ok" for one in (*alone, *together))
    return {
        "ok": good and bool(alone) and numbers[0] == numbers[1],
        "cells": len(alone),
        "same": numbers[0] == numbers[1],
    }


def out_of_memory(setting: Setting) -> dict[str, Any]:
    """A method that asks for a pebibyte ends with status `oom`."""
    methods = setting.folder / "methods"
    methods.mkdir()
    (methods / "hungry.py").write_text(HUNGRY, encoding="utf-8")
    records = run(setting, "digits", "hungry", "--methods", f"{methods},hungry", "--jobs", "1", cores=setting.cores)
    found = Counter(one.status.value for one in records if one.spec.method.name == "hungry")
    return {"ok": set(found) == {"oom"}, "statuses": dict(found)}


def frozen_icons(setting: Setting) -> dict[str, Any]:
    """Every method of `icons` in one scenario with three seeds, as much as fits."""
    return icons(setting, "icons", "--scenarios", "extended_data")


def trained_icons(setting: Setting) -> dict[str, Any]:
    """Three methods of `icons_full` in one scenario with one seed, as much as fits."""
    return icons(
        setting, "icons_full", "--scenarios", "extended_data", "--seeds", "0", "--methods", "independent,bct,l2"
    )


def icons(setting: Setting, suite: str, *options: str) -> dict[str, Any]:
    """Run a suite of IconSets for as long as there is time for half of it; cells that ended badly are a failure."""
    if setting.tiny or not (setting.data / "iconsets").is_dir():
        raise SkippedError("not on a CPU" if setting.tiny else f"no {setting.data / 'iconsets'}")
    begun = time.monotonic()
    records = run(setting, suite, suite, *options, seconds=setting.left * 0.6)
    statuses = Counter(one.status.value for one in records)
    good = [one for one in records if one.status == "ok"]
    stages: Counter[str] = Counter()
    for one in good:
        stages.update(one.timings)
    return {
        "ok": bool(good) and set(statuses) <= {"ok", "skipped"},
        "statuses": dict(statuses),
        "reasons": sorted({one.reason for one in records if one.status != "ok"}),
        "seconds_a_cell": sum(one.seconds for one in good) / max(1, len(good)),
        "seconds_by_stage": {stage: seconds / len(good) for stage, seconds in stages.items()},
        "cells_a_minute": 60 * len(good) / (time.monotonic() - begun),
    }


def run(
    setting: Setting,
    suite: str,
    name: str,
    *options: str,
    seconds: float | None = None,
    cores: Sequence[int] = (),
) -> list[Any]:
    """`compatbench run` into a folder of its own, interrupted after so many seconds (90); the records that it wrote.

    On these `cores`, or on all.
    """
    from compatbench.records.record import read_record

    runs = setting.folder / name
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if setting.device == "cpu" else {}
    call = [
        sys.executable,
        "-m",
        "compatbench",
        "run",
        suite,
        "--runs",
        str(runs),
        "--data",
        str(setting.data),
        *options,
    ]
    log = setting.folder / f"{name}.log"
    with log.open("w") as out:
        process = subprocess.Popen(call, stdout=out, stderr=out, env=os.environ | hidden)
        if cores:
            os.sched_setaffinity(process.pid, cores)
        try:
            process.wait(min(seconds or 90, setting.left))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
    records = [read_record(path) for path in sorted((runs / suite / "records").rglob("*.json"))]
    if not records:
        raise RuntimeError(f"no record: {log.read_text(errors='replace')[-500:]}")
    return records


CHECKS: Mapping[str, tuple[Check, float]] = {
    "scoring": (scoring, 10),
    "training": (training, 20),
    "out_of_memory": (out_of_memory, 20),
    "cells": (cells, 40),
    "frozen_icons": (frozen_icons, 60),
    "trained_icons": (trained_icons, 60),
}
"""Each check, and the seconds that must be left for it to begin."""


def run_checks(checks: Mapping[str, tuple[Check, float]], setting: Setting) -> dict[str, dict[str, Any]]:
    """The result of each check; one that goes wrong stops no other."""
    results = {}
    for name, (check, needed) in checks.items():
        begun = time.monotonic()
        if setting.left < needed:
            result: dict[str, Any] = {"status": "skipped", "reason": "no time left"}
        else:
            try:
                found = check(setting)
                result = {"status": "ok" if found.pop("ok") else "failed", **found}
            except SkippedError as error:
                result = {"status": "skipped", "reason": str(error)}
            except Exception:
                result = {"status": "error", "reason": traceback.format_exc(limit=-3)}
        result["seconds"] = round(time.monotonic() - begun, 2)
        print(f"{name}: {result['status']}, {result['seconds']} s", flush=True)
        results[name] = result
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run all checks and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--seconds", type=float, default=460)
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"))
    chosen = parser.parse_args(arguments)
    import torch

    if chosen.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU here; --device cpu rehearses the checks at tiny sizes", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(chosen.device, chosen.data, Path(folder), time.monotonic() + chosen.seconds)
        results = run_checks(CHECKS, setting)
    machine = torch.cuda.get_device_name() if chosen.device == "cuda" else "CPU, tiny sizes: says nothing of a GPU"
    report = {"device": machine, "torch": torch.__version__, "checks": results}
    chosen.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(one["status"] in ("failed", "error") for one in results.values()))


if __name__ == "__main__":
    sys.exit(main())
