"""Any image dataset with labels on the Hugging Face hub, https://huggingface.co/datasets.

The library `datasets` (an extra) brings it once, as files and a manifest; from then on it is read like a folder of
one's own: without the library, without network, and without the hub's copy changing under a benchmark.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from compatbench.data.families.folder import FolderFamily, FolderOptions
from compatbench.data.family import Notify, Options
from compatbench.data.image_file import open_image
from compatbench.data.listing import Listed
from compatbench.errors import RequestError, check_installed
from compatbench.storage.canonical import digest
from compatbench.storage.files import write_whole

MANIFEST = "manifest.parquet"


class HubOptions(Options):
    """Options of the dataset `hub`."""

    path: str
    """Name on the hub, such as `owner/name`, or a folder that `datasets` can read."""
    revision: str | None = None
    """Commit or tag on the hub; the newest where absent. What was fetched is in the fingerprint either way."""
    config: str | None = None
    image: str = "image"
    """Column of the images."""
    label: str = "label"
    """Column of the labels."""
    splits: dict[str, str] = Field(default_factory=lambda: {"train": "train", "test": "test"})
    """The benchmark's splits (train and test, or train, query and gallery), and their names on the hub."""


class Hub(FolderFamily[HubOptions]):
    """Train and test, or train, query and gallery, as the option `splits` says."""

    name = "hub"
    description = "any labelled image dataset on the Hugging Face hub (pip install compatbench[hub])"
    size = None
    licence = "that of the dataset, see its card on the hub"
    options_type = HubOptions

    def get(self, root: Path, options: HubOptions, notify: Notify) -> str:
        """Download it with `datasets`, and write each image unchanged to a file."""
        folder = Path(self.as_folder(root, options).path)
        if self.missing(root, options):
            rows = [
                row for split, source in options.splits.items() for row in self._rows(folder, split, source, options)
            ]
            manifest = pd.DataFrame(rows, columns=["path", "label", "split"])
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / "options.json", json.dumps(options.model_dump(), indent=1))
            manifest.to_parquet(folder / f".{MANIFEST}")
            (folder / f".{MANIFEST}").replace(folder / MANIFEST)
        self.look(root, options, notify)
        return f"{self.name}: {options.path} ready in {folder}"

    def as_folder(self, root: Path, options: HubOptions) -> FolderOptions:
        """One folder for each choice of options, so that other columns or splits are other data."""
        name = "__".join(part for part in (options.path, options.config, options.revision) if part)
        chosen = digest(options.model_dump(mode="json"))[:8]
        folder = root / self.name / f"{name.strip('/').replace('/', '--')}__{chosen}"
        return FolderOptions(path=str(folder.resolve()), manifest=MANIFEST)

    def _list(self, root: Path, options: HubOptions) -> tuple[Path, Listed]:
        if self.missing(root, options):
            raise RequestError(
                f"dataset '{options.path}' of the hub is not on this machine; run `compatbench data get hub --set "
                f"path={options.path}`"
            )
        return super()._list(root, options)

    def _rows(self, folder: Path, split: str, source: str, options: HubOptions) -> list[tuple[str, str, str]]:
        """Write the images of one split; their paths, labels and split."""
        table = _open(source, options)
        named = getattr(table.features[options.label], "names", None)
        rows = []
        (folder / split).mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(table):
            content = row[options.image]["bytes"] or Path(row[options.image]["path"]).read_bytes()
            path = f"{split}/{number:07d}{_suffix(content)}"
            (folder / path).write_bytes(content)
            label = row[options.label]
            rows.append((path, str(named[label] if named else label), split))
        return rows


def _open(source: str, options: HubOptions) -> Any:
    check_installed("datasets", "dataset 'hub'", "hub")
    import datasets

    try:
        table = datasets.load_dataset(options.path, options.config, split=source, revision=options.revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise RequestError(f"dataset '{options.path}' of the hub: {str(error).splitlines()[0]}") from error
    absent = [column for column in (options.image, options.label) if column not in table.column_names]
    if absent:
        raise RequestError(
            f"dataset '{options.path}' of the hub has no column '{absent[0]}'; it has {', '.join(table.column_names)}; "
            "set the options image and label"
        )
    return table.cast_column(options.image, datasets.Image(decode=False))


def _suffix(content: bytes) -> str:
    """The manifest's reader goes by content, and names what is no image; a suffix is for people."""
    try:
        with open_image(content) as image:
            return f".{(image.format or 'bin').lower()}"
    except Exception:  # Pillow's decoders raise almost anything on a damaged file
        return ".bin"
