"""Finding methods: folders, installed packages, broken files, names, parameters, hashes."""

from __future__ import annotations

import multiprocessing
import sys
import textwrap
import traceback

import pytest

from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.method import Need, TrainingMethod
from compatbench.storage.builtin import builtin_folder

METHOD = """
from compatbench.method import Params, TrainingMethod
from pydantic import Field


class Example(TrainingMethod):
    '''An example (ours).

    More of it.
    '''

    name = "{name}"

    class Params(Params):
        weight: float = Field(1.0, ge=0)
"""


def write(folder, stem, text):
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.py"
    path.write_text(textwrap.dedent(text))
    return path


def example(folder, name, stem=None):
    return write(folder, stem or name, METHOD.format(name=name))


def test_every_built_in_file_is_a_method():
    catalogue = discover()
    stems = {path.stem for path in builtin_folder("methods").glob("*.py") if not path.stem.startswith("_")}
    assert catalogue.broken == []
    assert set(catalogue.plugins) == stems
    assert {plugin.kind for plugin in catalogue.plugins.values()} == {"training", "adapter"}


def test_a_folder_adds_its_methods(tmp_path):
    path = example(tmp_path, "mine", stem="any_file_name")
    plugin = discover([tmp_path]).get("mine")
    assert (plugin.path, plugin.kind, plugin.summary) == (path, "training", "An example (ours).")
    assert issubclass(plugin.cls, TrainingMethod)
    assert plugin.needs == frozenset()


def test_needs_are_those_of_the_class():
    assert discover().get("l2").needs == {Need.OLD_ENCODER}


def test_the_same_folder_twice_is_one(tmp_path):
    example(tmp_path, "mine")
    catalogue = discover([tmp_path, tmp_path / ".." / tmp_path.name, builtin_folder("methods")])
    assert "mine" in catalogue.plugins


def test_folders_do_not_see_each_others_files(tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        write(tmp_path / folder, "_shared", f"VALUE = {value}")
        text = "from ._shared import VALUE\n" + METHOD.format(name=f"in_{folder}") + "    value = VALUE\n"
        write(tmp_path / folder, "same_name", text)
    methods = discover([tmp_path / "a", tmp_path / "b"]).plugins
    assert (methods["in_a"].cls.value, methods["in_b"].cls.value) == (1, 2)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"no folder of methods at .*nowhere"):
        discover([tmp_path / "nowhere"])


def test_two_methods_of_one_name_are_refused_with_both_files(tmp_path):
    example(tmp_path, "twin", stem="first")
    example(tmp_path, "twin", stem="second")
    with pytest.raises(RequestError, match=r"'twin': .*first\.py and .*second\.py"):
        discover([tmp_path])


def test_a_built_in_name_cannot_be_taken(tmp_path):
    example(tmp_path, "bct", stem="mine")
    with pytest.raises(RequestError, match=r"'bct': .*bct\.py and .*mine\.py"):
        discover([tmp_path])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_package.inside\n", "needs the package 'no_such_package': install it"),
        ("from ._absent import x\n", "ModuleNotFoundError"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two lines"),
        ("x = 1\n", "found none"),
        (METHOD.format(name="My-Name"), "'My-Name' of Example is not valid"),
    ],
)
def test_a_broken_file_is_listed_and_the_rest_go_on(tmp_path, text, error):
    path = write(tmp_path, "broken", text)
    example(tmp_path, "sound")
    catalogue = discover([tmp_path])
    assert "sound" in catalogue.plugins
    assert [plugin.path for plugin in catalogue.broken] == [path]
    assert error in catalogue.broken[0].error
    assert "\n" not in catalogue.broken[0].error
    with pytest.raises(RequestError, match="'broken' does not load"):
        catalogue.get("broken")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RequestError, match=r"no method 'fixed_heat'; did you mean 'fixed_head'\?"):
        discover().get("fixed_heat")


def test_parameters_are_resolved_with_their_defaults(tmp_path):
    example(tmp_path, "mine")
    plugin = discover([tmp_path]).get("mine")
    assert plugin.resolve({}).model_dump() == {"weight": 1.0}
    assert plugin.resolve({"weight": 2}).model_dump() == {"weight": 2.0}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"weigth": 1}, r"method 'mine': weigth: unknown key; did you mean 'weight'\?"),
        ({"weight": -1}, r"method 'mine': weight: .*greater than or equal to 0 \(got -1\)"),
        ({"weight": True}, "method 'mine': weight is a number, and not true"),
        ({"weight": "much"}, r"method 'mine': weight: .*valid number.*'much'"),
    ],
)
def test_wrong_parameters_are_explained_in_one_line(tmp_path, params, words):
    example(tmp_path, "mine")
    with pytest.raises(RequestError, match=words) as caught:
        discover([tmp_path]).get("mine").resolve(params)
    assert "\n" not in str(caught.value)


def hash_of(folder):
    return discover([folder]).get("mine").source_hash


def with_helpers(folder):
    write(folder, "_deep", "DEPTH = 1")
    write(folder, "_shared", "from . import _deep\nVALUE = _deep.DEPTH")
    write(folder, "_unrelated", "x = 1")
    write(folder, "mine", "from ._shared import VALUE\n" + METHOD.format(name="mine") + "    value = VALUE\n")


@pytest.mark.parametrize("stem", ["mine", "_shared", "_deep"])
def test_the_hash_covers_the_file_and_what_it_imports(tmp_path, stem):
    with_helpers(tmp_path)
    before = hash_of(tmp_path)
    path = tmp_path / f"{stem}.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert hash_of(tmp_path) != before


def test_the_hash_covers_nothing_else(tmp_path):
    with_helpers(tmp_path / "a")
    with_helpers(tmp_path / "b")
    before = hash_of(tmp_path / "a")
    write(tmp_path / "a", "_unrelated", "x = 2")
    example(tmp_path / "a", "neighbour")
    assert hash_of(tmp_path / "a") == before == hash_of(tmp_path / "b")


def test_shuffled_prototypes_changes_with_bct():
    """A method that builds on another's file is retrained when that one changes."""
    from compatbench.discovery.source import source_files

    files = {path.name for path in source_files(builtin_folder("methods") / "shuffled_prototypes.py")}
    assert files == {"shuffled_prototypes.py", "bct.py", "_dimensions.py", "_old_rows.py"}


def test_a_changed_helper_is_what_runs_next(tmp_path):
    """Same length, same second: a stale .pyc would hide the change, and the hash would name other code."""
    with_helpers(tmp_path)
    assert discover([tmp_path]).get("mine").cls.value == 1
    write(tmp_path, "_deep", "DEPTH = 2")
    assert discover([tmp_path]).get("mine").cls.value == 2


def test_an_unchanged_file_keeps_its_class(tmp_path):
    example(tmp_path, "mine")
    assert discover([tmp_path]).get("mine").cls is discover([tmp_path]).get("mine").cls


def test_helpers_in_a_circle_are_an_error_and_no_endless_loop(tmp_path):
    write(tmp_path, "_a", "from ._b import x")
    write(tmp_path, "_b", "from ._a import x")
    write(tmp_path, "mine", "from ._a import x\n" + METHOD.format(name="mine"))
    assert [plugin.path.stem for plugin in discover([tmp_path]).broken] == ["mine"]


def test_tracebacks_name_the_real_file(tmp_path):
    path = write(tmp_path, "mine", METHOD.format(name="mine") + "\n    def skip(self, task):\n        raise KeyError\n")
    cls = discover([tmp_path]).get("mine").cls
    with pytest.raises(KeyError) as caught:
        cls.skip(None, None)
    assert traceback.extract_tb(caught.tb)[-1].filename == str(path)


def test_methods_leave_no_generic_module_names():
    discover()
    assert "bct" not in sys.modules
    assert "methods" not in sys.modules
    assert sys.modules["compatbench_methods.bct"].__file__ == str(builtin_folder("methods").resolve() / "bct.py")


def test_a_file_has_one_class(tmp_path):
    two = METHOD.format(name="one") + METHOD.format(name="two").replace("class Example", "class Second")
    write(tmp_path, "two", two)
    [broken] = discover([tmp_path]).broken
    assert broken.error.endswith("found Example, Second")


def test_a_base_class_from_another_file_does_not_count(tmp_path):
    example(tmp_path, "base")
    derived = 'from .base import Example\n\n\nclass Derived(Example):\n    """D (ours)."""\n\n    name = "derived"\n'
    write(tmp_path, "derived", derived)
    assert {"base", "derived"} <= set(discover([tmp_path]).plugins)


def install(site, name, target):
    """A distribution that is installed as far as importlib.metadata can tell."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[compatbench.methods]\n{name} = {target}\n")


def test_installed_packages_add_methods(tmp_path, monkeypatch):
    path = example(tmp_path, "from_package", stem="some_installed_package")
    install(tmp_path, "sound", "some_installed_package:Example")
    install(tmp_path, "absent", "no_such_module:Example")
    install(tmp_path, "wrong", "some_installed_package:Field")
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = discover()
    assert catalogue.get("from_package").path == path
    errors = {plugin.path.name: plugin.error for plugin in catalogue.broken}
    assert errors["absent"] == "needs the package 'no_such_module': install it, e.g. pip install no_such_module"
    assert "must name a subclass of TrainingMethod or Adapter" in errors["wrong"]


def hash_in_child(folder, queue):
    queue.put(hash_of(folder))


def test_a_process_of_the_fork_server_finds_the_same(tmp_path):
    with_helpers(tmp_path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["compatbench.discovery.plugins"])
    queue = context.Queue()
    process = context.Process(target=hash_in_child, args=(tmp_path, queue))
    process.start()
    assert queue.get(timeout=60) == hash_of(tmp_path)
    process.join()
