"""One thing to say about a document: where, what is wrong, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sedna_py.api.wording import path_text

Level = Literal["error", "warning"]
Place = Sequence[str | int]


@dataclass(frozen=True)
class Finding:
    """`path` is the field as people write it (empty: the whole document), `message` one line."""

    level: Level
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def error(place: Place, message: str) -> Finding:
    """Make a finding that makes the document unusable."""
    return Finding("error", path_text(place), message)


def warning(place: Place, message: str) -> Finding:
    """Make a finding that does not keep the document from being used."""
    return Finding("warning", path_text(place), message)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Return whether any of the findings makes the document unusable."""
    return any(finding.level == "error" for finding in findings)
