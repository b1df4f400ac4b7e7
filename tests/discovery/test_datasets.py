"""Finding datasets: built-in ones, folders, installed packages, broken files, names, options."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compatbench.data.dataset import Split
from compatbench.discovery.datasets import check, discover_datasets, family, get, load
from compatbench.errors import RequestError


@pytest.mark.parametrize("name", sorted(discover_datasets().plugins))
def test_every_family_says_what_it_is(name: str) -> None:
    entry = family(name)
    assert entry.name == name
    assert entry.licence
    assert entry.description
    assert "\n" not in entry.description
    assert entry.size is None or entry.size > 0


@pytest.mark.parametrize(
    "call", [lambda n: load(n, 8, Path(), {}), lambda n: get(n, Path(), print), lambda n: check(n, Path(), {})]
)
def test_unknown_names_come_with_the_nearest(call) -> None:
    with pytest.raises(RequestError, match=r"no dataset 'fashion-mnist'; did you mean 'fashion_mnist'\?"):
        call("fashion-mnist")
    with pytest.raises(RequestError, match=r"no dataset 'xyz'; known: beir, bible, cars196, .*, digits, .*, wordnet$"):
        call("xyz")


def test_images_have_the_size_asked_for() -> None:
    dataset = load("digits", 12, Path(), {})
    assert [split.images.shape[1:] for split in (dataset.train, dataset.query)] == [(1, 12, 12)] * 2
    assert dataset.query is dataset.gallery
    assert load("digits", None, Path(), {}).train.image_size == 8


def test_impossible_sizes_and_options_are_named() -> None:
    with pytest.raises(RequestError, match="image_size is -1; it must be at least 1"):
        load("digits", -1, Path(), {})
    with pytest.raises(RequestError, match="dataset 'digits' has images: say their size"):
        load("digits", 0, Path(), {})
    with pytest.raises(RequestError, match="dataset 'digits', option path: unknown key; there are none"):
        load("digits", None, Path(), {"path": "x"})


DATASET = """
from pathlib import Path

import numpy as np

from compatbench.data.dataset import Dataset, Split
from compatbench.data.family import Family, Options


class Stripes(Family[Options]):
    '''Stripes of ten widths (ours).'''

    name = "{name}"
    description = "stripes"
    size = None
    licence = "CC0"
    options_type = Options

    def load(self, root, options, image_size):
        labels = np.arange(200) % 10
        images = (np.arange(8) // (labels[:, None] + 1) % 2 * 255).astype(np.uint8)[:, None, :, None].repeat(8, 3)
        test = Split.of(images[100:], labels[100:], 100)
        return Dataset(self.name, tuple("0123456789"), Split.of(images[:100], labels[:100], 0), test, test)

    def get(self, root, options, notify):
        return f"{{self.name}}: made here"
"""


def write(folder: Path, stem: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{stem}.py").write_text(text)
    return folder / f"{stem}.py"


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("return Dataset(", "Dataset(", "TypeError: load() returned NoneType, not a Dataset"),
        ("% 10\n", "% 10 / 2\n", "TypeError at broken.py:22 in load(): labels are whole numbers, class ids from 0"),
        ("labels = np", "open(root / 'none'); labels = np", "FileNotFoundError at broken.py:20 in load(): "),
    ],
)
def test_a_load_that_fails_is_one_line_with_its_place(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    write(tmp_path, "broken", DATASET.format(name="stripes").replace(right, wrong))
    with pytest.raises(RequestError) as caught:
        load("stripes", 16, tmp_path, {}, [tmp_path])
    assert str(caught.value).startswith(f"dataset 'stripes': {told}")
    assert "\n" not in str(caught.value)


def test_labels_may_be_a_list() -> None:
    images = np.zeros((3, 1, 8, 8), np.uint8)
    assert Split.of(images, [2, 0, 1], 0).labels.tolist() == [2, 0, 1]
    with pytest.raises(TypeError, match="labels are whole numbers, class ids from 0, and not <U1"):
        Split.of(images, ["2", "0", "1"], 0)


def test_a_built_in_file_has_the_name_of_its_dataset() -> None:
    found = discover_datasets()
    assert found.broken == []
    assert {name: path.stem for name, path in found.paths.items()} == {name: name for name in found.plugins}


def test_a_folder_adds_its_datasets(tmp_path: Path) -> None:
    write(tmp_path, "any_file_name", DATASET.format(name="stripes"))
    dataset = load("stripes", 16, tmp_path, {}, [tmp_path])
    assert (len(dataset.train), len(dataset.query), dataset.train.image_size) == (100, 100, 16)
    assert get("stripes", tmp_path, print, folders=[tmp_path]) == "stripes: made here"
    assert check("stripes", tmp_path, {}, folders=[tmp_path]) == (
        "stripes: ok, 100 train, 100 query = gallery images, 10 classes"
    )
    with pytest.raises(RequestError, match="no dataset 'stripe'; did you mean 'stripes'"):
        family("stripe", [tmp_path])


def test_only_the_file_that_is_asked_for_is_executed(tmp_path: Path) -> None:
    write(tmp_path, "stripes", DATASET.format(name="stripes"))
    write(tmp_path, "other", DATASET.format(name="other") + "raise ValueError('executed')\n")
    assert family("stripes", [tmp_path]).name == "stripes"
    with pytest.raises(RequestError, match=r"dataset 'other' does not load: .*other.py: ValueError: executed"):
        family("other", [tmp_path])


def test_a_broken_file_is_listed_and_the_rest_go_on(tmp_path: Path) -> None:
    write(tmp_path, "stripes", DATASET.format(name="stripes"))
    for stem, text in {"syntax": "def broken(:\n", "package": "import no_such_package\n", "empty": "x = 1\n"}.items():
        write(tmp_path, stem, text)
    found = discover_datasets([tmp_path])
    assert "stripes" in found.plugins
    errors = {plugin.path.stem: plugin.error for plugin in found.broken}
    assert errors["package"] == "needs the package 'no_such_package': install it, e.g. pip install no_such_package"
    assert errors["empty"] == "the file must define one subclass of Family with a `name`; found none"
    assert errors["syntax"].startswith("SyntaxError")
    with pytest.raises(RequestError, match="dataset 'syntax' does not load"):
        family("syntax", [tmp_path])


@pytest.mark.parametrize("find", [lambda folder: discover_datasets([folder]), lambda folder: family("svhn", [folder])])
def test_two_datasets_of_one_name_are_refused_with_both_files(tmp_path: Path, find) -> None:
    write(tmp_path, "mine", DATASET.format(name="digits"))
    with pytest.raises(RequestError, match=r"two datasets are named 'digits': .*digits\.py and .*mine\.py; rename one"):
        find(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no folder of datasets at .*nowhere; give a folder with one .py file a"):
        family("digits", [tmp_path / "nowhere"])


def test_installed_packages_add_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "some_installed_dataset", DATASET.format(name="from_package"))
    info = tmp_path / "sound-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sound\nVersion: 1.0\n")
    lines = ("any = some_installed_dataset:Stripes", "absent = no_such_module:X", "wrong = some_installed_dataset:Path")
    (info / "entry_points.txt").write_text("\n".join(("[compatbench.datasets]", *lines)) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(load("from_package", 8, tmp_path, {}).train) == 100
    errors = {plugin.path.name: plugin.error for plugin in discover_datasets().broken}
    assert errors["absent"] == "needs the package 'no_such_module': install it, e.g. pip install no_such_module"
    assert "must name a subclass of Family" in errors["wrong"]


def test_datasets_are_listed_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from compatbench.cli import app\n"
        f"app(['data', 'list', '--data', {str(tmp_path)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "svhn: 99,289 colour images" in done.stdout
