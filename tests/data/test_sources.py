import hashlib
import io
import stat
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from compatbench.data import sources
from compatbench.data.sources import FetchError, archive, debian_package, fetch, mirror, npm_package
from compatbench.errors import RequestError

FILES = {"a.gz": b"first file", "b.gz": b"second file" * 5000}
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


class Server:
    """A web server on this machine whose answers a test scripts, path by path and request by request."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.broken: dict[str, list[str]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                outer.requests[name] += 1
                fault = outer.broken.get(name, []).pop(0) if outer.broken.get(name) else ""
                if fault == "missing":
                    self.send_error(404)
                    return
                content = FILES[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:5] if fault == "cut" else content[::-1] if fault == "wrong" else content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data/"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_mirror_brings_all_files(server: Server, tmp_path: Path) -> None:
    assert contents(mirror(server.url, HASHES)(tmp_path)) == FILES
    assert server.requests == {"a.gz": 1, "b.gz": 1}


@pytest.mark.parametrize("fault", ["missing", "cut", "wrong"])
def test_mirror_tries_again(server: Server, tmp_path: Path, fault: str) -> None:
    server.broken["b.gz"] = [fault, fault]
    assert contents(mirror(server.url, HASHES)(tmp_path)) == FILES
    assert server.requests["b.gz"] == 3


@pytest.mark.parametrize(("fault", "message"), [("missing", "a.gz: HTTPError"), ("wrong", "a.gz: sha256 differs")])
def test_mirror_gives_up_with_the_reason(server: Server, tmp_path: Path, fault: str, message: str) -> None:
    server.broken["a.gz"] = [fault] * 9
    with pytest.raises(FetchError, match=message):
        mirror(server.url, HASHES)(tmp_path)
    assert server.requests == {"a.gz": 1 + sources.RETRIES}
    assert contents(tmp_path) == {}


def test_mirror_without_connection_is_left_at_once(server: Server, tmp_path: Path) -> None:
    server.http.server_close()
    with pytest.raises(FetchError, match="no connection"):
        mirror(server.url, HASHES)(tmp_path)


def source_of(files: dict[str, bytes]) -> sources.Source:
    def bring(scratch: Path) -> Path:
        for name, content in files.items():
            (scratch / name).write_bytes(content)
        return scratch

    return bring


def failing(scratch: Path) -> Path:
    (scratch / "a.gz").write_bytes(b"half a file")
    raise FetchError("broke off")


def verify(folder: Path) -> None:
    if contents(folder) != FILES:
        raise RequestError("not the right files")


def test_fetch_takes_the_first_source_that_is_right(tmp_path: Path) -> None:
    said: list[str] = []
    offered = {"one": failing, "two": source_of({"a.gz": b"x"}), "three": source_of(FILES), "four": failing}
    assert fetch(offered, tmp_path / "target", verify, said.append) == "three"
    assert contents(tmp_path / "target") == FILES
    assert said == ["trying one", "trying two", "trying three"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_fetch_reports_every_failure_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"^one: broke off; two: not the right files$"):
        fetch({"one": failing, "two": source_of({})}, tmp_path / "target", verify, lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_fetching_twice_at_once_leaves_whole_files(tmp_path: Path) -> None:
    """Renames in place: whoever reads in between sees the files of one of the two, never a part."""
    target, barrier = tmp_path / "target", threading.Barrier(4)

    def slow_verify(folder: Path) -> None:
        verify(folder)
        barrier.wait(timeout=30)

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(fetch, {"s": source_of(FILES)}, target, slow_verify, lambda _: None) for _ in range(4)]
        assert [run.result() for run in runs] == ["s"] * 4
    assert contents(target) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for, beside the shell's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


FOLDER = Path("/usr/share/datasets/toy")


def test_debian_package_is_unpacked_not_installed(tmp_path: Path, programs: Path) -> None:
    install(programs, "apt-get", '[ "$*" = "download toy-data" ] && : > toy-data_1.0_all.deb')
    install(
        programs,
        "dpkg-deb",
        '[ "$*" = "-x toy-data_1.0_all.deb unpacked" ] && /bin/mkdir -p unpacked/usr/share/datasets/toy '
        "&& echo content > unpacked/usr/share/datasets/toy/a.gz",
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folder = debian_package("toy-data", FOLDER)(scratch)
    assert folder.is_relative_to(scratch)
    assert contents(folder) == {"a.gz": b"content\n"}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo W: old lists >&2; echo E: Unable to locate package >&2; exit 100",
            "E: Unable to locate package$",
        ),
        ("exit 1", "apt-get: no message"),
        ("exit 0", "apt-get wrote no package file"),
    ],
)
def test_debian_package_says_what_apt_said(tmp_path: Path, programs: Path, script: str, message: str) -> None:
    install(programs, "apt-get", script)
    install(programs, "dpkg-deb", "exit 0")
    with pytest.raises(FetchError, match=message):
        debian_package("toy-data", FOLDER)(tmp_path)


def test_debian_package_needs_debian(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(FetchError, match="no dpkg-deb on this machine"):
        debian_package("toy-data", FOLDER)(tmp_path)


def test_debian_package_does_not_wait_for_ever(tmp_path: Path, programs: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "COMMAND_TIMEOUT", 0.05)
    install(programs, "apt-get", "exec /bin/sleep 5")
    install(programs, "dpkg-deb", "exit 0")
    with pytest.raises(FetchError, match=r"apt-get took longer than 0.05 s"):
        debian_package("toy-data", FOLDER)(tmp_path)


def test_npm_packs_what_is_not_installed(tmp_path: Path, programs: Path) -> None:
    with pytest.raises(FetchError, match="no npm on this machine"):
        npm_package("@toys/data", "1.2.3")(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    install(
        programs, "npm", '[ "$*" = "pack --ignore-scripts @toys/data@1.2.3" ] && echo content > toys-data-1.2.3.tgz'
    )
    assert contents(npm_package("@toys/data", "1.2.3")(scratch)) == {"toys-data-1.2.3.tgz": b"content\n"}
    install(programs, "npm", "echo npm error code E404 >&2; exit 1")
    with pytest.raises(FetchError, match="npm: npm error code E404"):
        npm_package("@toys/data", "1.2.3")(scratch)


def packed(kind: str, members: dict[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    """A tar or zip file of these members, which may have any names."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive_file:
            for name, content in members.items():
                archive_file.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive_file:
        if link is not None:
            entry = tarfile.TarInfo(link[0])
            entry.type, entry.linkname = tarfile.SYMTYPE, link[1]
            archive_file.addfile(entry)
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive_file.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def offer(server: Server, monkeypatch: pytest.MonkeyPatch):
    """Puts a file on the server; returns the source that unpacks it."""

    def put(content: bytes, sha256: str = "") -> sources.Source:
        monkeypatch.setitem(FILES, "set.tgz", content)
        return archive(f"{server.url}set.tgz", sha256 or hashlib.sha256(content).hexdigest())

    return put


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_are_unpacked(offer, tmp_path: Path, kind: str) -> None:
    folder = offer(packed(kind, {"set/list.txt": b"list", "set/images/1.jpg": b"image"}))(tmp_path)
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"set/list.txt": b"list", "set/images/1.jpg": b"image"}
    assert not (tmp_path / "set.tgz").exists()


def test_an_archive_of_another_hash_is_refused(offer, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"set.tgz: sha256 differs"):
        offer(packed("tar", {"a": b"b"}), "0" * 64)(tmp_path)


def test_an_archive_that_was_cut_is_refused(offer, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"set.tgz cannot be unpacked"):
        offer(packed("tar", {"a": bytes(10_000)})[:-40])(tmp_path)


@pytest.mark.parametrize(
    ("kind", "members", "link"),
    [
        ("tar", {"../evil": b"x"}, None),
        ("tar", {"../../evil": b"x"}, None),
        ("tar", {"out/evil": b"x"}, ("out", "../..")),
        ("tar", {}, ("evil", "/etc/passwd")),
        ("zip", {"../evil": b"x"}, None),
        ("zip", {"../../evil": b"x"}, None),
    ],
)
def test_nothing_leaves_the_folder(offer, tmp_path: Path, kind: str, members: dict[str, bytes], link) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with suppress(FetchError):
        offer(packed(kind, members, link))(scratch)
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(scratch / "unpacked")]
    assert {path.name for path in outside} <= {"scratch", "set.tgz"}
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_fetching_replaces_a_tree_that_was_not_complete(tmp_path: Path) -> None:
    (tmp_path / "target" / "set").mkdir(parents=True)
    (tmp_path / "target" / "set" / "half").write_bytes(b"half a file")

    def source(scratch: Path) -> Path:
        (scratch / "set" / "deep").mkdir(parents=True)
        (scratch / "set" / "deep" / "1.jpg").write_bytes(b"image")
        return scratch

    fetch({"one": source}, tmp_path / "target", lambda folder: None, lambda line: None)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "target/set/deep/1.jpg"
    ]
