"""Upstream's helper for files that may be here, on a web server or in an object store.

A file is never seen half written: it is written under another name beside its place and renamed when it is complete.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sedna_py import _http_files, _local_files, _s3_files
from sedna_py._local_files import DEFAULT_LIMITS, FileError, TransferLimits, local, replacing, scheme, shown

__all__ = ["DEFAULT_LIMITS", "FileError", "FileOps", "TransferLimits"]

_log = logging.getLogger(__name__)

_REMOTE_SCHEMES = frozenset({"http", "https", "s3", "gs"})


class FileOps:
    """Files by path or URL. Paths are text, as upstream's; `file://` may stand before a local one."""

    @classmethod
    def clean_folder(cls, target: str | Iterable[str | None], clean: bool = True) -> list[str | None]:
        """Create directories, and empty those that exist if `clean`; return what was given.

        None and "" (a variable that is not set) are left out, as upstream does. A directory itself stays, because it may
        be a mount point. Raises FileError for one that holds the working directory.
        """
        targets: list[str | None] = [target] if isinstance(target, str) else list(target)
        for path in [local(name) for name in targets if name]:
            if clean:
                _local_files.empty(path)
            if not path.is_file():
                path.mkdir(parents=True, exist_ok=True)
        return targets

    @classmethod
    def join_path(cls, first: str, *rest: str) -> str:
        """Join the parts of a path or URL; a later part never makes the path start anew."""
        if not rest:
            return first
        root = "/" if first.startswith("/") else ""
        return os.path.join(root + first.lstrip("/"), *(part.lstrip("/") for part in rest))  # noqa: PTH118 - URLs too

    @classmethod
    def exists(cls, folder: str) -> bool:
        """Return whether a local file or directory exists; a URL does not."""
        return not cls.is_remote(folder) and local(folder).exists()

    @classmethod
    def is_remote(cls, src: str) -> bool:
        """Return whether `src` is an http, https, s3 or gs URL."""
        return scheme(src) in _REMOTE_SCHEMES

    @classmethod
    def is_local(cls, src: str) -> bool:
        """Return whether `src` is a file:// URL or exists on this machine."""
        return src.startswith(_local_files.LOCAL_PREFIX) or cls.exists(src)

    @classmethod
    def delete(cls, path: str) -> None:
        """Remove a local file or directory with all that is in it; as upstream, what cannot be removed is only logged.

        Raises FileError for a directory that holds the working directory.
        """
        try:
            _local_files.remove(local(path))
        except FileError:
            raise
        except OSError as error:
            _log.warning("%s cannot be removed: %s", path, error)

    @classmethod
    def download(cls, src: str, dst: str | None = None, limits: TransferLimits = DEFAULT_LIMITS) -> str:
        """Copy a file or directory from a path or URL to `dst` (a new temporary path if None), and return `dst`.

        A file goes into `dst` if that is a directory. A directory is merged into `dst`.
        Raises FileError with the address, without its credentials.
        """
        if dst is not None:
            cls._fetch(src, dst, limits)
            return dst
        directory = _local_files.temporary_directory()
        target = str(directory / _local_files.base_name(src))
        try:
            cls._fetch(src, target, limits)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return target

    @classmethod
    def upload(cls, src: str, dst: str | None = None, clean: bool = True) -> str:
        """Move a file or directory (copy it, if not `clean`) to a path or URL, and return `dst`.

        http and https are written by PUT, files only. A remote `src` is fetched first, and stays.
        Raises FileError; `src` is then still there.
        """
        if cls.is_remote(src):
            fetched = cls.download(src)
            try:
                return cls.upload(fetched, dst, clean=False)
            finally:
                shutil.rmtree(Path(fetched).parent, ignore_errors=True)
        target = dst if dst is not None else str(_local_files.temporary_directory() / _local_files.base_name(src))
        cls._store(src, target)
        if clean and not cls._is_place_of(src, target):
            cls.delete(src)
        return target

    @classmethod
    def dump(cls, obj: Any, dst: str | None = None) -> str:
        """Write `obj` to a path or URL and return that: JSON where the name ends in .json, a pickle otherwise."""
        if dst is not None and not cls.is_remote(dst):
            return _write(obj, dst)
        directory = _local_files.temporary_directory()
        staged = _write(obj, str(directory / _local_files.base_name(dst or "object.pkl")))
        if dst is None:
            return staged
        try:
            return cls.upload(staged, dst)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    @classmethod
    def load(cls, src: str) -> Any:
        """Read what `dump` wrote, from a path or URL.

        A pickle can run any code while it is read: load only files of your own making.
        """
        if not cls.is_remote(src):
            return _read(local(src))
        fetched = Path(cls.download(src))
        try:
            return _read(fetched)
        finally:
            shutil.rmtree(fetched.parent, ignore_errors=True)

    @classmethod
    def http_download(
        cls, src: str, dst: str, limits: TransferLimits = DEFAULT_LIMITS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Fetch one file by GET (into `dst` if that is a directory). Raises FileError; `dst` is then as it was."""
        _http_files.get_file(src, _local_files.into(local(dst), _local_files.base_name(src)), limits, clock)

    @classmethod
    def http_upload(cls, src: str, dst: str, limits: TransferLimits = DEFAULT_LIMITS) -> None:
        """Write one file by PUT. Raises FileError."""
        _http_files.put_file(local(src), dst, limits)

    @classmethod
    def s3_download(cls, src: str, dst: str, limits: TransferLimits = DEFAULT_LIMITS) -> None:
        """Fetch an object, or every object under a prefix into the directory `dst`. Raises FileError."""
        _s3_files.get_objects(_object_store(), src, local(dst), limits)

    @classmethod
    def s3_upload(cls, src: str, dst: str) -> None:
        """Write a file to a key, or every file of a directory under a prefix. Raises FileError."""
        _s3_files.put_objects(_object_store(), local(src), dst)

    @classmethod
    def _fetch(cls, src: str, dst: str, limits: TransferLimits) -> None:
        match scheme(src):
            case "s3":
                cls.s3_download(src, dst, limits)
            case "http" | "https":
                cls.http_download(src, dst, limits)
            case "" | "file":
                _local_files.copy(local(src), local(dst))
            case _:
                raise FileError(f"{shown(src)} cannot be fetched; write an s3, http or https URL, or a path")

    @classmethod
    def _store(cls, src: str, dst: str) -> None:
        match scheme(dst):
            case "s3":
                cls.s3_upload(src, dst)
            case "http" | "https":
                cls.http_upload(src, dst)
            case "" | "file":
                _local_files.copy(local(src), local(dst))
            case _:
                raise FileError(f"{shown(dst)} cannot be written; write an s3, http or https URL, or a path")

    @classmethod
    def _is_place_of(cls, src: str, dst: str) -> bool:
        if cls.is_remote(dst):
            return False
        source, target = local(src), local(dst)
        place = _local_files.into(target, source.name) if source.is_file() else target
        return place.exists() and place.samefile(source)


def _object_store() -> _s3_files.ObjectStore:
    return _s3_files.ObjectStore(
        endpoint=os.environ.get("S3_ENDPOINT_URL") or "http://s3.amazonaws.com",
        access_key=os.environ.get("ACCESS_KEY_ID") or None,
        secret_key=os.environ.get("SECRET_ACCESS_KEY") or None,
    )


def _write(obj: Any, target: str) -> str:
    path = local(target)
    data = json.dumps(obj).encode() if path.suffix == ".json" else pickle.dumps(obj)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return target


def _read(path: Path) -> Any:
    data = path.read_bytes()
    return json.loads(data) if path.suffix == ".json" else pickle.loads(data)  # noqa: S301 - documented in `load`
