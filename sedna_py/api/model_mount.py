"""Where a Model's url appears in the worker: contract section 2.4.

Two of upstream's defects are repaired. A directory written with a trailing slash is mounted where MODEL_URL says it is,
and MODEL_URL of a downloaded archive is the directory it is unpacked into, as the archive itself is deleted.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from sedna_py.api.wording import show
from sedna_py.errors import ManifestError

HOST_PATH_PREFIX: Final = "/home/data"
DOWNLOAD_DIRECTORY: Final = "/downloads"
DOWNLOAD_VOLUME: Final = "sedna-storage-initializer"
ROOT_VOLUME: Final = "sedna-default-volume-name"
VOLUME_NAME_MAX: Final = 63

_DOWNLOADED: Final = frozenset({"s3", "http", "https"})
ARCHIVES: Final = (".tar", ".tar.gz", ".zip")
CHECKSUM: Final = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE | re.ASCII)  # a fragment that is verified
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-f]{2})[!-~]{0,2}", re.IGNORECASE | re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class MountKind(StrEnum):
    """How the model reaches the worker."""

    HOST_PATH = "host_path"  # a directory of the node is mounted
    DOWNLOAD = "download"  # an init container fetches it into an empty volume
    PASSTHROUGH = "passthrough"  # the worker deals with the url itself


@dataclass(frozen=True)
class ModelMount:
    """What MODEL_URL becomes and which volume has to be mounted for it.

    `host_directory` None with a volume name means an empty volume that an init container, called with `download_args`, fills.
    """

    kind: MountKind
    model_url: str
    host_directory: str | None = None
    container_directory: str | None = None
    volume_name: str | None = None
    download_args: tuple[str, ...] = ()


def model_mount(url: str) -> ModelMount:
    """Return how the model at `url` is brought into a worker; ManifestError when the url cannot be used."""
    reason = url_problem(url)
    if reason is not None:
        raise ManifestError([f"url: {reason}"])
    scheme = _scheme(url)
    if not scheme:
        return _host_path(url)
    return _download(url) if scheme in _DOWNLOADED else ModelMount(MountKind.PASSTHROUGH, url)


def url_problem(url: str) -> str | None:
    """Return what is wrong with a Model's url and what to write instead, or None."""
    if not url:
        return "is empty; write a path on the node such as /models/yolo.xml, or an s3, http or https URL"
    decoded = unquote(url)
    if _CONTROL.search(decoded):
        return f"is {show(url)}, which has control characters; remove them"
    escape = _BAD_ESCAPE.search(url)
    if escape:
        return f"is {show(url)}, where {escape[0]} is not an escape; write %25 for a percent sign"
    scheme = _scheme(url)
    if scheme and scheme not in _DOWNLOADED:
        return None
    if ".." in decoded.split("/"):
        return f"is {show(url)}; write the path without '..'"
    return _address_problem(url) if scheme else _path_problem(url)


def _path_problem(path: str) -> str | None:
    if not path.startswith("/"):
        return f"is {show(path)}, a relative path; write an absolute path on the node, such as /models/yolo.xml"
    return None


def _address_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and not re.search(r"\s", parts.netloc) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        example = "s3://bucket/path/model.xml" if _scheme(url) == "s3" else "https://host/path/model.xml"
        return f"is {show(url)}, which has no usable host; write it as {example}"
    if parts.fragment.lower().startswith("sha256") and not CHECKSUM.fullmatch(parts.fragment):
        return f"is {show(url)}, whose checksum cannot be read; write #sha256= and 64 hexadecimal digits"
    return None


def _host_path(path: str) -> ModelMount:
    directory, name = posixpath.split(re.sub("/+", "/", path))
    host_directory = directory.rstrip("/") + "/"
    # Upstream decodes escapes in the container's path and not in the host's; a file keeps the name it has on the host.
    container_directory = posixpath.normpath(HOST_PATH_PREFIX + unquote(host_directory)) + "/"
    return ModelMount(
        MountKind.HOST_PATH,
        model_url=(container_directory + name).rstrip("/"),
        host_directory=host_directory,
        container_directory=container_directory,
        volume_name=_volume_name(host_directory),
    )


def _download(url: str) -> ModelMount:
    parts = urlsplit(url)
    path = posixpath.normpath(f"{DOWNLOAD_DIRECTORY}/{_host(parts)}{unquote(parts.path)}")
    directory = posixpath.dirname(path) + "/"
    return ModelMount(
        MountKind.DOWNLOAD,
        model_url=directory.rstrip("/") if path.endswith(ARCHIVES) else path,
        container_directory=DOWNLOAD_DIRECTORY,
        volume_name=DOWNLOAD_VOLUME,
        download_args=(url, directory),
    )


def _scheme(url: str) -> str:
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _volume_name(directory: str) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", directory.lower()).lstrip("-")[:VOLUME_NAME_MAX]
    if name.endswith("-"):
        name = name[:-1] + "z"
    return name or ROOT_VOLUME
