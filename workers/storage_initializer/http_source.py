"""Files on a web server."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from workers.storage_initializer.errors import Denied, Interrupted, Missing, TransferError
from workers.storage_initializer.incoming import Incoming, Patience
from workers.storage_initializer.job import Job

_MAX_REDIRECTS: Final = 5
_AGAIN: Final = frozenset({408, 425, 429})  # the 4xx that may go away by themselves
_ALGORITHMS: Final = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}
# RFC 9530 has name=:base64:, its predecessor name=base64.
_DIGEST: Final = re.compile(r"([a-z0-9-]+)=(:?)([A-Za-z0-9+/]+={0,2})\2", re.IGNORECASE)


@contextmanager
def open_http(job: Job, patience: Patience) -> Iterator[Incoming]:
    """Ask for the file; redirects are followed. Raises TransferError, Missing and Interrupted, also while it is read."""
    timeout = httpx.Timeout(patience.idle_s, connect=patience.connect_s)
    with (
        _errors(job),
        httpx.Client(follow_redirects=True, max_redirects=_MAX_REDIRECTS, timeout=timeout) as client,
        client.stream("GET", job.address, headers={"Accept-Encoding": "identity"}) as reply,
    ):
        _check_status(job, reply)
        yield _incoming(job, reply)


def _check_status(job: Job, reply: httpx.Response) -> None:
    said = f"{job.shown} answered {reply.status_code} {reply.reason_phrase}".rstrip()
    match reply.status_code:
        case 200:
            return
        case 404 | 410:
            raise Missing(f"{said}; write the URL of a file that exists in the Model's url")
        case 401 | 403:
            raise Denied(f"{said}; write a URL that may be read without signing in, or one with a signature")
        case status if status >= 500 or status in _AGAIN:
            raise Interrupted(said)
    raise TransferError(f"{said}; write the URL of the file itself in the Model's url")


def _incoming(job: Job, reply: httpx.Response) -> Incoming:
    # The pieces are as the network brings them: to wait for a full one would keep a slow server's download past its time.
    # A server that calls model.tar.gz a gzipped model.tar means the file; one that packs another file means its content.
    packed = reply.headers.get("content-encoding", "identity").lower() != "identity" and not job.name.endswith(".gz")
    version = reply.headers.get("etag") or reply.headers.get("last-modified")
    if packed:
        return Incoming(reply.iter_bytes(), version=version)
    announced = reply.headers.get("content-length", "")
    return Incoming(
        reply.iter_raw(),
        size=int(announced) if announced.isascii() and announced.isdecimal() else None,
        version=version,
        digests=server_digests(reply.headers),
    )


def server_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums in a reply's headers, hex by algorithm; those that cannot be read are left out."""
    fields = [headers.get(name, "") for name in ("digest", "content-digest", "repr-digest")]
    found = [(name.lower(), text) for field in fields for name, _, text in _DIGEST.findall(field)]
    found.append(("md5", headers.get("content-md5", "")))
    return {_ALGORITHMS[name]: digest for name, text in found if name in _ALGORITHMS and (digest := _hex(text))}


def _hex(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        return ""


@contextmanager
def _errors(job: Job) -> Iterator[None]:
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
        raise TransferError(f"{job.shown} leads nowhere: {error}; write the URL of the file itself") from error
    except httpx.HTTPError as error:
        raise Interrupted(f"{job.shown} cannot be fetched: {str(error) or type(error).__name__}") from error
