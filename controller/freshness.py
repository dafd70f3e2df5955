"""Which of two statements about an object is the newer one: events, answers and lists overtake each other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

MOST_DELETIONS: Final = 5000


def version_of(document: Mapping[str, Any]) -> int:
    """Return the resource version as a number; within one resource it rises with every write, whatever the object."""
    version = str(document["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0


def is_older(document: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Tell whether a document was overtaken by the known one of the same name, be it the same object or its successor."""
    return version_of(document) < version_of(known)


class Deletions:
    """The last deletions: what was said before one must not bring the object back, as no event would end that."""

    def __init__(self, most: int = MOST_DELETIONS) -> None:
        self._most = most
        self._versions: dict[Hashable, int] = {}

    def add(self, place: Hashable, document: Mapping[str, Any]) -> None:
        """Remember that an object is gone; `document` is the last that was said about it."""
        version = max(version_of(document), self._versions.pop(place, 0))
        self._versions[place] = version
        if len(self._versions) > self._most:
            del self._versions[next(iter(self._versions))]

    def cover(self, place: Hashable, document: Mapping[str, Any]) -> bool:
        """Tell whether a document is from before the deletion of what had this name."""
        return version_of(document) <= self._versions.get(place, -1)
