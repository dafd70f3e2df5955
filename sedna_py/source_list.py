"""`video_url` with several sources in it: how it is read, and how an address is shown: pure.

One source is written as it is. Several are a JSON list of texts, or stand beside each other with commas between. Each may have
a name of its own in front: `door=rtsp://...`.

A comma may be part of an address, in a path, a query or a password. So (1) a text that is the path of something that exists is
one source; (2) within a network address a comma divides only where `scheme://`, `file:`, `watch:`, `/`, `./` or `../` comes after
it, with or without a name in front, and never within a password; (3) elsewhere every comma divides. A JSON list says it without
any rule.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sedna_py.errors import SourceError
from sedna_py.settings import redact

WATCH: Final = "watch:"
PUSH: Final = "push://"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
NAME: Final = re.compile(_NAME)
_NAMED = re.compile(rf"({_NAME})=(.+)", re.DOTALL)
_NETWORK = re.compile(rf"\s*(?:{_NAME}=)?[A-Za-z][A-Za-z0-9+.-]*://")
_BEGINS = re.compile(rf"\s*(?:{_NAME}=)?(?:[A-Za-z][A-Za-z0-9+.-]*://|file:|watch:|/|\.\.?/)")
# An address that ends within its user's password: no '@' has come yet, and what follows the colon is no port.
_OPEN = re.compile(r"://[^\s/?#@\[]*:(?!\d{1,5}(?:[/?#]|$))[^@]*$")
# What a camera may be told about who asks, in a query or in a path: `?user=me&pwd=x`, `/user=me_password=x_channel=1`.
_SECRET = re.compile(
    r"([\w-]*(?:pass|pwd|token|key|secret|auth|sig|user|usr|login|cred)[\w-]*=)[^&;/\s]+", re.IGNORECASE
)

Exists = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ListedSource:
    """One source of a list: what is opened, and the name that was written in front of it, if any."""

    address: str
    name: str = ""


def read_sources(text: str, exists: Exists) -> list[ListedSource]:
    """Return the sources that a `video_url` names, at least one. Raises SourceError for one that is not written right.

    `exists` tells whether there is something at a path.
    """
    if exists(text):
        return [ListedSource(text)]
    parts = _json_list(text) if text.lstrip().startswith("[") else _divide(text)
    found = [_read(part, exists) for part in parts]
    for number, source in enumerate(found, start=1):
        if not source.address:
            raise SourceError(f"source {number} of {len(found)} in video_url is empty; write one, or one comma less")
    twice = [name for name, count in Counter(source.name for source in found if source.name).items() if count > 1]
    if twice:
        raise SourceError(f"two sources in video_url have the name {twice[0]!r}; give each a name of its own")
    return found


def write_sources(sources: Sequence[ListedSource]) -> str:
    """Return the `video_url` that `read_sources` reads as these."""
    texts = [f"{source.name}={source.address}" if source.name else source.address for source in sources]
    if len(texts) > 1 and any("," in text for text in texts):
        return json.dumps(texts)
    return ",".join(texts)


def change_paths(text: str, change: Callable[[str], str], exists: Exists = lambda _: False) -> str:
    """Return a `video_url` with every path in it changed, and everything else as it was; also one that cannot be read."""
    try:
        sources = read_sources(text, exists)
    except SourceError:
        return text
    changed = [ListedSource(_change(source.address, change), source.name) for source in sources]
    return text if changed == sources else write_sources(changed)


def unique_names(wanted: Sequence[tuple[str, bool]]) -> list[str]:
    """Return a name for each source; `wanted` is a text and whether somebody chose it, who gets it as it is.

    Of others that are alike the second becomes `<name>-2`.
    """
    taken = {name for name, chosen in wanted if chosen}
    names = []
    for name, chosen in wanted:
        number, free = 1, name
        while not chosen and free in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free)
        names.append(free)
    return names


def shown(address: str) -> str:
    """Return an address as it may stand in a log: without its user, and without what looks like a secret in its query."""
    scheme, mark, rest = redact(address).partition("://")
    return f"{scheme}{mark}{_SECRET.sub(lambda found: found[1] + '***', rest)}" if mark else address


def file_name(source: str) -> str:
    """Return a source's name as it may stand in the name of a file or folder."""
    return re.sub(r"[^\w.-]+", "_", source).strip("._") or "source"


def _json_list(text: str) -> list[str]:
    try:
        parts = json.loads(text)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise SourceError(
            'video_url begins with "[" and is no JSON list of texts; write ["rtsp://camera/1", "rtsp://camera/2"]'
        )
    return parts


def _divide(text: str) -> list[str]:
    first, *rest = text.split(",")
    parts = [first]
    for piece in rest:
        if _NETWORK.match(parts[-1]) and (_OPEN.search(parts[-1]) or not _BEGINS.match(piece)):
            parts[-1] += f",{piece}"
        else:
            parts.append(piece)
    return parts


def _read(part: str, exists: Exists) -> ListedSource:
    address = part.strip()
    named = None if exists(address) else _NAMED.fullmatch(address)
    return ListedSource(named[2].strip(), named[1]) if named else ListedSource(address)


def _change(address: str, change: Callable[[str], str]) -> str:
    if address.startswith(WATCH):
        return WATCH + change(address.removeprefix(WATCH))
    return change(address)
