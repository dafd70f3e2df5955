"""Label selectors in the form in which they stand in a URL: `app=a,tier in (x,y),!old`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 4096
_LABEL: Final = r"[A-Za-z0-9]?[A-Za-z0-9._/-]*"
_SET: Final = re.compile(rf"\s*({_LABEL})\s+(in|notin)\s*\(([^()]*)\)\s*")
_EQUAL: Final = re.compile(rf"\s*({_LABEL})\s*(==|=|!=|>|<)\s*([A-Za-z0-9._-]*)\s*")
_EXISTS: Final = re.compile(rf"\s*(!?)\s*({_LABEL})\s*")


class SelectorError(ValueError):
    """The text is no label selector; str() says what to write instead."""


@dataclass(frozen=True, slots=True)
class _Requirement:
    key: str
    operator: str  # in, notin, exists, absent, >, <
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.operator in {"notin", "absent"}:
            return value is None or (self.operator == "notin" and value not in self.values)
        if value is None:
            return False
        if self.operator in {">", "<"}:
            return _compares(value, self.operator, self.values[0])
        return self.operator == "exists" or value in self.values


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements at once; one without any selects everything."""

    requirements: tuple[_Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        return all(requirement.holds(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Return the selector. Raises SelectorError."""
    if len(text) > MOST_BYTES:
        raise SelectorError(f"the selector is longer than {MOST_BYTES} characters")
    if not text.strip():
        return Selector()
    return Selector(tuple(_requirement(part) for part in _split(text)))


def _split(text: str) -> list[str]:
    """Return what stands between the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _requirement(part: str) -> _Requirement:
    if (found := _SET.fullmatch(part)) is not None and found[1]:
        return _Requirement(found[1], found[2], tuple(value.strip() for value in found[3].split(",")))
    if (found := _EQUAL.fullmatch(part)) is not None and found[1]:
        operator = {"=": "in", "==": "in", "!=": "notin"}.get(found[2], found[2])
        if operator in {">", "<"} and not _is_whole(found[3]):
            raise SelectorError(f"{part.strip()[:80]!r} compares with no whole number")
        return _Requirement(found[1], operator, (found[3],))
    if (found := _EXISTS.fullmatch(part)) is not None and found[2]:
        return _Requirement(found[2], "absent" if found[1] else "exists")
    raise SelectorError(f"{part.strip()[:80]!r} is no requirement; write key=value, key in (a,b), key or !key")


def _is_whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal()


def _compares(value: str, operator: str, bound: str) -> bool:
    if not _is_whole(value):
        return False
    return int(value) > int(bound) if operator == ">" else int(value) < int(bound)
