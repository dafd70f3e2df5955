"""How values, places and near misses are put into one line of text."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

LONGEST_VALUE: Final = 60
_LONGEST_WORD: Final = 300  # comparing costs quadratic time; the longest name of an object has 253 characters
_PLAIN_KEY: Final = re.compile(r"[\w$-]+")


def show(value: Any) -> str:
    """Return the value as YAML would have it, on one line, cut when it is long."""
    match value:
        case None | "":
            return "empty"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            return _quoted(value)
        case int():
            # The decimal text of a huge integer costs quadratic time, and Python refuses it beyond 4300 digits.
            return str(value) if value.bit_length() <= 64 else "a huge number"
        case float():
            return repr(value)
        case _:
            return f"a {type(value).__name__}"


def _quoted(text: str) -> str:
    cut = text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
    # A line break or a control code of a user's text must not reach a log or a terminal.
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1]
        for character in json.dumps(cut, ensure_ascii=False)
    )


def plain(number: float) -> str:
    """Return a finite number as people write it: 1000000 and 0.01, never 1e+06 or 1000000.0."""
    return str(int(number)) if number == int(number) else repr(number)


def path_text(place: Sequence[str | int]) -> str:
    """Return a place in a document as people write it: `spec.containers[0].name`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part) and len(part) <= LONGEST_VALUE:
            text += f".{part}" if text else part
        else:
            text += f"[{_quoted(part)}]"
    return text


def near_miss(word: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the candidate that was probably meant (0 <= cutoff <= 1: how similar it must be), or None."""
    if len(word) > _LONGEST_WORD:
        return None
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean X?`, or nothing where no candidate is near."""
    candidate = near_miss(word, candidates)
    return f"; did you mean {candidate}?" if candidate is not None else ""
