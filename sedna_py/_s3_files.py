"""Files in an S3 object store, for FileOps; needs the package `minio`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sedna_py._local_files import FileError, TransferLimits, into, replacing, shown


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Where the store is, and who asks; without a key the requests are anonymous. Without a scheme it is https."""

    endpoint: str
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)

    def connect(self) -> Any:
        """Return a minio client. Raises FileError if the package is missing."""
        try:
            minio = importlib.import_module("minio")
        except ImportError as error:
            raise FileError("s3 URLs need the package minio; run: pip install minio") from error
        url = urlsplit(self.endpoint if "://" in self.endpoint else f"https://{self.endpoint}")
        return minio.Minio(
            endpoint=url.netloc,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=url.scheme == "https",
        )


def get_objects(store: ObjectStore, url: str, dst: Path, limits: TransferLimits) -> None:
    """Fetch one object to `dst`, or every object under a prefix to its place below `dst`.

    Raises FileError: nothing there, too large, refused, or minio is missing.
    """
    bucket, key = _bucket_and_key(url)
    client = store.connect()
    with _store_errors(url):
        listed = client.list_objects(bucket_name=bucket, prefix=key, recursive=True, use_api_v1=True)
        found = [item for item in listed if not item.is_dir and _is_under(item.object_name, key)]
        if not found:
            raise FileError(f"{shown(url)} does not exist; write the URL of an object or of a prefix")
        if sum(item.size or 0 for item in found) > limits.max_bytes:
            raise FileError(f"{shown(url)} is larger than {limits.max_bytes} bytes")
        for item in found:
            with replacing(_place(dst, key, item.object_name)) as partial:
                client.fget_object(bucket_name=bucket, object_name=item.object_name, file_path=str(partial))


def put_objects(store: ObjectStore, src: Path, url: str) -> None:
    """Write a file to a key (below it if it ends in /), or every file of a directory below a prefix.

    Raises FileError: nothing to write, refused, or minio is missing.
    """
    bucket, key = _bucket_and_key(url)
    client = store.connect()
    with _store_errors(url):
        for path, name in _named(src, key):
            client.fput_object(bucket_name=bucket, object_name=name, file_path=str(path))


def _named(src: Path, key: str) -> list[tuple[Path, str]]:
    if src.is_file():
        return [(src, key + src.name if not key or key.endswith("/") else key)]
    files = sorted(path for path in src.rglob("*") if path.is_file())
    if not files:
        raise FileError(f"{src} is no file and holds none; write the path of a file or of a directory with files")
    return [(path, str(PurePosixPath(key) / path.relative_to(src).as_posix())) for path in files]


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.partition("://")[2].partition("/")
    if not bucket:
        raise FileError(f"{url} names no bucket; write s3://bucket/key")
    return bucket, key


def _is_under(name: str, key: str) -> bool:
    return not key or name == key or name.startswith(key.rstrip("/") + "/")


def _place(dst: Path, key: str, name: str) -> Path:
    if name == key:
        return into(dst, PurePosixPath(name).name)
    path = dst / name.removeprefix(key.rstrip("/")).lstrip("/")
    if not path.resolve().is_relative_to(dst.resolve()):
        raise FileError(f"object {name} would be written outside {dst}")
    return path


@contextmanager
def _store_errors(url: str) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        raise FileError(f"{shown(url)} failed: {error}") from error
