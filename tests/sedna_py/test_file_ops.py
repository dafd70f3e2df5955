"""FileOps on this machine, against a real web server on loopback, and against a stand-in for minio."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from sedna_py.errors import SednaError
from sedna_py.file_ops import FileError, FileOps, TransferLimits


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A temporary directory of our own, to see what is left in it."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


# --- folders and paths


def test_clean_folder_empties_and_keeps_the_directory_itself(tmp_path):
    target = tmp_path / "out"
    (target / "deep").mkdir(parents=True)
    (target / "deep" / "f").write_text("x")
    inode = target.stat().st_ino
    assert FileOps.clean_folder([str(target)]) == [str(target)]
    assert list(target.iterdir()) == []
    assert target.stat().st_ino == inode


def test_clean_folder_creates_and_does_not_clean_unless_told(tmp_path):
    old, new = tmp_path / "old", tmp_path / "a" / "b"
    old.mkdir()
    (old / "f").write_text("x")
    FileOps.clean_folder([str(old), str(new)], clean=False)
    assert (old / "f").exists()
    assert new.is_dir()


def test_clean_folder_and_a_file_in_the_place(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    FileOps.clean_folder(str(path), clean=False)
    assert path.is_file()
    FileOps.clean_folder(str(path))
    assert path.is_dir()


def test_clean_folder_leaves_what_links_point_to(tmp_path):
    precious, target = tmp_path / "precious", tmp_path / "out"
    precious.mkdir()
    (precious / "f").write_text("x")
    target.mkdir()
    (target / "link").symlink_to(precious)
    FileOps.clean_folder(str(target))
    assert list(target.iterdir()) == []
    assert (precious / "f").exists()


@pytest.mark.parametrize("unset", [None, ""])
def test_clean_folder_leaves_out_what_is_not_set(tmp_path, monkeypatch, unset):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("x")
    assert FileOps.clean_folder([unset]) == [unset]
    assert (tmp_path / "f").exists()


@pytest.mark.parametrize("vital", [".", "..", "link"])
@pytest.mark.parametrize("destroy", [FileOps.clean_folder, FileOps.delete])
def test_working_directory_is_refused(tmp_path, monkeypatch, vital, destroy):
    work = tmp_path / "work"
    work.mkdir()
    (work / "f").write_text("x")
    (work / "link").symlink_to(work)
    monkeypatch.chdir(work)
    if vital == "link" and destroy == FileOps.delete:
        destroy(vital)  # removes the link, not what it points to
    else:
        with pytest.raises(FileError, match="holds the working directory"):
            destroy(vital)
    assert (work / "f").exists()


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("/a",), "/a"),
        (("/a", "b"), "/a/b"),
        (("/a", "/b", "/c"), "/a/b/c"),
        (("a", "b"), "a/b"),
        (("a/", "b"), "a/b"),
        (("s3://bucket", "/k", "f"), "s3://bucket/k/f"),
        (("http://h:80/p", "f"), "http://h:80/p/f"),
    ],
)
def test_join_path(parts, joined):
    assert FileOps.join_path(*parts) == joined


@pytest.mark.parametrize(
    ("src", "remote"),
    [
        ("s3://b/k", True),
        ("gs://b/k", True),
        ("http://h/f", True),
        ("HTTPS://h/f", True),
        ("/a/b", False),
        ("a", False),
        ("file:///a", False),
        ("http:", False),
    ],
)
def test_is_remote(src, remote):
    assert FileOps.is_remote(src) is remote


def test_exists_and_is_local(tmp_path):
    path = tmp_path / "f"
    assert not FileOps.exists(str(path))
    path.write_text("x")
    assert FileOps.exists(str(path))
    assert FileOps.exists(f"file://{path}")
    assert FileOps.exists(str(tmp_path))
    assert not FileOps.exists("http://h/f")
    assert FileOps.is_local(str(path))
    assert FileOps.is_local("file:///no/such")
    assert not FileOps.is_local("s3://b/k")


def test_delete(tmp_path):
    path = tmp_path / "d" / "f"
    path.parent.mkdir()
    path.write_text("x")
    FileOps.delete(str(path))
    assert not path.exists()
    FileOps.delete(str(path.parent))
    assert not path.parent.exists()
    FileOps.delete(str(path.parent))  # nothing there is fine


def test_delete_only_logs_what_cannot_be_removed(tmp_path, monkeypatch, caplog):
    def refuse(self, missing_ok=False):
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "unlink", refuse)
    FileOps.delete(str(tmp_path / "f"))
    assert "cannot be removed: not yours" in caplog.text


# --- copies on this machine


def test_download_copies_a_file(tmp_path):
    src = tmp_path / "m.bin"
    src.write_bytes(b"model")
    dst = tmp_path / "new" / "place.bin"
    assert FileOps.download(f"file://{src}", str(dst)) == str(dst)
    assert dst.read_bytes() == b"model"
    FileOps.download(str(src), str(dst.parent))
    assert sorted(path.name for path in dst.parent.iterdir()) == ["m.bin", "place.bin"]


def test_download_without_a_place_makes_a_temporary_one(tmp_path, temporary):
    src = tmp_path / "m.json"
    src.write_text("{}")
    dst = Path(FileOps.download(str(src)))
    assert dst.name == "m.json"
    assert dst.is_relative_to(temporary)
    assert dst.read_text() == "{}"


def test_download_merges_a_directory(tmp_path):
    src, dst = tmp_path / "src", tmp_path / "dst"
    (src / "deep").mkdir(parents=True)
    (src / "deep" / "f").write_text("new")
    dst.mkdir()
    (dst / "kept").write_text("old")
    FileOps.download(str(src), str(dst))
    assert (dst / "deep" / "f").read_text() == "new"
    assert (dst / "kept").read_text() == "old"


@pytest.mark.parametrize("address", ["/no/such/file", "gs://b/k", "ftp://h/f", "hf://model"])
def test_download_of_nothing_is_an_error_and_leaves_nothing(temporary, address):
    with pytest.raises(FileError, match="write "):
        FileOps.download(address)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("src", "dst"), [("d", "d/inside"), ("d/inside", "d")])
def test_directory_is_not_copied_into_itself(tmp_path, src, dst):
    (tmp_path / "d" / "inside").mkdir(parents=True)
    with pytest.raises(FileError, match="one inside the other"):
        FileOps.upload(str(tmp_path / src), str(tmp_path / dst))
    assert (tmp_path / src).exists()


def test_upload_moves_unless_told_to_copy(tmp_path):
    src, dst = tmp_path / "f", tmp_path / "out" / "g"
    src.write_text("x")
    assert FileOps.upload(str(src), str(dst), clean=False) == str(dst)
    assert src.exists()
    FileOps.upload(str(src), str(dst))
    assert not src.exists()
    assert dst.read_text() == "x"


@pytest.mark.parametrize("place", ["f", "."])
def test_upload_to_its_own_place_keeps_the_file(tmp_path, place):
    src = tmp_path / "f"
    src.write_text("x")
    FileOps.upload(str(src), str(tmp_path / place))
    assert src.read_text() == "x"


# --- objects


@pytest.mark.parametrize("name", ["o.json", "o.pkl", "o"])
def test_dump_and_load(tmp_path, name):
    value = {"a": [1, 2.5, None], "b": "text"}
    path = str(tmp_path / "new" / name)
    assert FileOps.dump(value, path) == path
    assert FileOps.load(path) == value


def test_dump_without_a_place_makes_a_temporary_one():
    assert FileOps.load(FileOps.dump({1, 2})) == {1, 2}


def test_failing_dump_keeps_the_old_file(tmp_path):
    path = tmp_path / "o.json"
    path.write_text('"old"')
    with pytest.raises(TypeError):
        FileOps.dump(object(), str(path))
    assert FileOps.load(str(path)) == "old"


# --- a web server


class Handler(BaseHTTPRequestHandler):
    """Serves a dict of bodies, takes what is put, and misbehaves on demand."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/model.bin")
            self.end_headers()
        elif path == "/torn":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
        elif path == "/silent":
            self.server.released.wait(10)
        elif path in self.server.bodies:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.bodies[path])
        else:
            self.send_error(404)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/forbidden":
            self.send_error(403)
            return
        self.server.bodies[self.path] = body
        self.send_response(201)
        self.end_headers()

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def web():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.bodies = {"/model.bin": b"x" * 1000}
        server.released = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("path", ["/model.bin", "/moved"])
def test_http_download(web, tmp_path, path):
    dst = tmp_path / "new" / "m.bin"
    assert FileOps.download(web.url + path, str(dst)) == str(dst)
    assert dst.read_bytes() == b"x" * 1000
    assert [item.name for item in dst.parent.iterdir()] == ["m.bin"]


def test_http_download_into_a_directory(web, tmp_path):
    FileOps.download(f"{web.url}/model.bin?v=1", str(tmp_path))
    assert (tmp_path / "model.bin").read_bytes() == b"x" * 1000


def test_fetched_file_has_the_usual_mode(web, tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    FileOps.download(f"{web.url}/model.bin", str(tmp_path / "fetched"))
    assert (tmp_path / "fetched").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    ("path", "limits", "message"),
    [
        ("/no-such", TransferLimits(), "/no-such answered 404 Not Found"),
        ("/torn", TransferLimits(), "/torn cannot be fetched: "),
        ("/model.bin", TransferLimits(max_bytes=999), "/model.bin is larger than 999 bytes"),
        ("/silent", TransferLimits(idle_seconds=0.05), "/silent cannot be fetched: timed out"),
    ],
)
def test_failed_http_download_keeps_the_old_file(web, tmp_path, path, limits, message):
    dst = tmp_path / "out" / "m.bin"
    dst.parent.mkdir()
    dst.write_bytes(b"old")
    with pytest.raises(FileError, match=message):
        FileOps.download(web.url + path, str(dst), limits)
    assert dst.read_bytes() == b"old"
    assert [item.name for item in dst.parent.iterdir()] == ["m.bin"]


def test_largest_allowed_file_is_fetched(web, tmp_path):
    FileOps.download(f"{web.url}/model.bin", str(tmp_path / "m"), TransferLimits(max_bytes=1000))
    assert (tmp_path / "m").stat().st_size == 1000


def test_slow_http_download_ends(web, tmp_path):
    seconds = count(step=40)
    with pytest.raises(FileError, match="took longer than 30 s"):
        FileOps.http_download(
            f"{web.url}/model.bin", str(tmp_path / "m"), TransferLimits(total_seconds=30), clock=lambda: next(seconds)
        )
    assert not (tmp_path / "m").exists()


def test_unreachable_server_is_an_error_without_secrets(web, tmp_path):
    port = web.server_address[1]
    web.shutdown()
    web.server_close()
    with pytest.raises(FileError) as caught:
        FileOps.download(f"http://user:secret@127.0.0.1:{port}/f?token=secret", str(tmp_path / "f"))
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}/f cannot be fetched: ")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, SednaError)
    assert isinstance(caught.value, OSError)


def test_http_upload_and_back(web, tmp_path, temporary):
    src = tmp_path / "f"
    src.write_bytes(b"to store")
    FileOps.upload(str(src), f"{web.url}/stored")
    assert web.bodies["/stored"] == b"to store"
    assert not src.exists()
    FileOps.upload(f"{web.url}/stored", f"{web.url}/copy")
    assert web.bodies["/copy"] == b"to store"
    assert list(temporary.iterdir()) == []


def test_refused_http_upload_keeps_the_file(web, tmp_path):
    src = tmp_path / "f"
    src.write_text("x")
    with pytest.raises(FileError, match="/forbidden answered 403"):
        FileOps.upload(str(src), f"{web.url}/forbidden")
    assert src.exists()


def test_http_upload_of_a_directory_is_refused(web, tmp_path):
    with pytest.raises(FileError, match="is not a file"):
        FileOps.upload(str(tmp_path), f"{web.url}/d")


@pytest.mark.parametrize("name", ["o.json", "o.pkl"])
def test_dump_and_load_over_http(web, temporary, name):
    url = f"{web.url}/{name}"
    assert FileOps.dump({"a": 1}, url) == url
    assert FileOps.load(url) == {"a": 1}
    assert list(temporary.iterdir()) == []


def test_json_is_stored_as_json(web):
    FileOps.dump([1], f"{web.url}/o.json")
    assert json.loads(web.bodies["/o.json"]) == [1]


# --- an object store


@pytest.fixture
def store(monkeypatch):
    """A stand-in for minio that keeps objects in a dict and remembers how it was made."""
    objects, made = {}, []

    class Minio:
        def __init__(self, **options):
            made.append(options)

        def list_objects(self, bucket_name, prefix, recursive, use_api_v1):
            for name, body in sorted(objects.items()):
                if name.startswith(f"{bucket_name}/{prefix}"):
                    key = name.partition("/")[2]
                    yield SimpleNamespace(object_name=key, size=len(body), is_dir=key.endswith("/"))

        def fget_object(self, bucket_name, object_name, file_path):
            Path(file_path).write_bytes(objects[f"{bucket_name}/{object_name}"])

        def fput_object(self, bucket_name, object_name, file_path):
            if bucket_name == "closed":
                raise RuntimeError("access denied")
            objects[f"{bucket_name}/{object_name}"] = Path(file_path).read_bytes()

    minio = ModuleType("minio")
    minio.Minio = Minio
    monkeypatch.setitem(sys.modules, "minio", minio)
    for name in ("S3_ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return SimpleNamespace(objects=objects, made=made)


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, {"endpoint": "s3.amazonaws.com", "access_key": None, "secret_key": None, "secure": False}),
        (
            {"S3_ENDPOINT_URL": "https://s3.local:9000", "ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key"},
            {"endpoint": "s3.local:9000", "access_key": "id", "secret_key": "key", "secure": True},
        ),
        (
            {"S3_ENDPOINT_URL": "s3.local:9000"},
            {"endpoint": "s3.local:9000", "access_key": None, "secret_key": None, "secure": True},
        ),
    ],
)
def test_s3_client_follows_the_environment(store, monkeypatch, tmp_path, variables, options):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store.objects["b/k"] = b"x"
    FileOps.download("s3://b/k", str(tmp_path / "k"))
    assert store.made == [options]


def test_s3_download_of_one_object(store, tmp_path):
    store.objects.update({"b/k/y.pb": b"model", "b/k/y.pb.bak": b"old", "b/k/": b""})
    FileOps.download("s3://b/k/y.pb", str(tmp_path / "m.pb"))
    assert (tmp_path / "m.pb").read_bytes() == b"model"
    FileOps.download("s3://b/k/y.pb", str(tmp_path))
    assert (tmp_path / "y.pb").read_bytes() == b"model"


@pytest.mark.parametrize("url", ["s3://b/k", "s3://b/k/"])
def test_s3_download_of_a_prefix(store, tmp_path, url):
    store.objects.update({"b/k/": b"", "b/k/a": b"1", "b/k/deep/b": b"2", "b/kin/c": b"3"})
    FileOps.download(url, str(tmp_path / "out"))
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"a", "deep/b"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://b/none", "s3://b/none does not exist"),
        ("s3://b/big", "s3://b/big is larger than 10 bytes"),
        ("s3://b/evil", "would be written outside"),
        ("s3:///k", "names no bucket"),
    ],
)
def test_s3_download_errors(store, tmp_path, url, message):
    store.objects.update({"b/big": b"x" * 11, "b/evil/../../up": b"x"})
    with pytest.raises(FileError, match=message):
        FileOps.download(url, str(tmp_path / "out"), TransferLimits(max_bytes=10))
    assert not (tmp_path / "up").exists()


def test_s3_upload(store, tmp_path):
    src = tmp_path / "d"
    (src / "deep").mkdir(parents=True)
    (src / "f").write_text("1")
    (src / "deep" / "g").write_text("2")
    FileOps.upload(str(src), "s3://b/p", clean=False)
    FileOps.upload(str(src / "f"), "s3://b/p/renamed", clean=False)
    FileOps.upload(str(src / "f"), "s3://b/into/")
    assert store.objects == {"b/p/f": b"1", "b/p/deep/g": b"2", "b/p/renamed": b"1", "b/into/f": b"1"}
    assert not (src / "f").exists()


@pytest.mark.parametrize(("name", "url"), [("f", "s3://closed/k"), ("nothing", "s3://b/k")])
def test_failed_s3_upload_keeps_the_file(store, tmp_path, name, url):
    (tmp_path / "f").write_text("1")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileError):
        FileOps.upload(str(tmp_path / name), url)
    assert (tmp_path / name).exists()


def test_s3_without_minio_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minio", None)
    with pytest.raises(FileError, match="pip install minio"):
        FileOps.load("s3://b/k")
