"""The examples of docs/adding-a-method.md keep the contract."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from compatbench.discovery.contract import check
from compatbench.method import Batch, Need

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-method.md"
IMPORTS = """
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from compatbench.method import Adapter, Batch, Field, Maps, Need, Params, TrainingMethod
from compatbench.model import View
"""
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_there_is_one_example_of_each_contract():
    assert [re.search(r"\((\w+)\):", example).group(1) for example in EXAMPLES] == ["TrainingMethod", "Adapter"]


@pytest.mark.parametrize("example", EXAMPLES, ids=["method", "adapter"])
def test_an_example_keeps_the_contract(tmp_path, example):
    path = tmp_path / "example.py"
    path.write_text(IMPORTS + re.sub(r'name = "\w+"', 'name = "from_the_page"', example))
    report = check(path)
    assert report.passed, str(report)


def test_the_page_says_what_every_need_gives_and_what_a_batch_has():
    page = PAGE.read_text(encoding="utf-8")
    missing = [need.name for need in Need if f"`{need.name}`" not in page and f"`Need.{need.name}`" not in page]
    missing += [field.name for field in fields(Batch) if f"`{field.name}`" not in page]
    assert not missing
