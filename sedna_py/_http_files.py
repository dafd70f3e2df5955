"""Files on a web server, for FileOps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from sedna_py._local_files import FileError, TransferLimits, replacing, shown


def get_file(url: str, path: Path, limits: TransferLimits, clock: Callable[[], float]) -> None:
    """Fetch `url` to `path`; redirects are followed.

    Raises FileError: not reachable, another status than 200, too large, or too slow.
    """
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=_timeout(limits)) as reply,
            replacing(path) as partial,
        ):
            _check_status(reply, url, 200)
            with partial.open("xb") as stream:
                for piece in _bounded(reply, url, limits, clock):
                    stream.write(piece)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FileError(f"{shown(url)} cannot be fetched: {_why(error)}") from error


def put_file(path: Path, url: str, limits: TransferLimits) -> None:
    """Write the file at `path` to `url`. Raises FileError: not reachable, or another status than 200, 201 or 204."""
    if not path.is_file():
        raise FileError(f"{path} is not a file; write the path of one to put it to {shown(url)}")
    try:
        with path.open("rb") as stream:
            size = str(path.stat().st_size)  # many servers refuse a chunked body
            reply = httpx.put(url, content=stream, headers={"Content-Length": size}, timeout=_timeout(limits))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FileError(f"{shown(url)} cannot be written: {_why(error)}") from error
    _check_status(reply, url, 200, 201, 204)


def _timeout(limits: TransferLimits) -> httpx.Timeout:
    return httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds)


def _check_status(reply: httpx.Response, url: str, *accepted: int) -> None:
    if reply.status_code not in accepted:
        raise FileError(f"{shown(url)} answered {reply.status_code} {reply.reason_phrase}")


def _bounded(reply: httpx.Response, url: str, limits: TransferLimits, clock: Callable[[], float]) -> Iterator[bytes]:
    started, received = clock(), 0
    for piece in reply.iter_bytes():
        received += len(piece)  # after decompression, which is what the disk has to hold
        if received > limits.max_bytes:
            raise FileError(f"{shown(url)} is larger than {limits.max_bytes} bytes")
        if clock() - started > limits.total_seconds:
            raise FileError(f"{shown(url)} took longer than {limits.total_seconds:g} s")
        yield piece


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
