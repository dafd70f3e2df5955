"""What replicas on one node say to each other: pure.

A taker (DEALER) sends a letter and its counters; the capturer (ROUTER) answers with a letter, and a frame's header and bytes
behind it. A frame comes as its raw pixels: copying them is cheaper than any encoding, and on one node they cross no network.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sedna_py.errors import MalformedBody
from sedna_py.estimator import Frame
from workers.edge.frames import SourceFrame

# From a taker
TAKE: Final = b"T"  # with one more credit
HERE: Final = b"H"  # with none
LEAVE: Final = b"L"  # takes no more; its credit is void
BYE: Final = b"B"  # every frame that it took has left
# From the capturer
WELCOME: Final = b"W"  # to a replica's first word
FRAME: Final = b"F"
LEFT: Final = b"K"  # nothing comes behind this until it takes again
END: Final = b"E"  # the sources have ended

_COUNTERS: Final = struct.Struct("<16sQQ")  # run, frames of it that were taken, and that have left


@dataclass(frozen=True, slots=True)
class Word:
    """What a taker says: how many frames of which run came to it, and how many of them have left it."""

    kind: bytes
    run: str
    taken: int
    finished: int


def word(said: Word) -> list[bytes]:
    """Return the parts of a taker's message."""
    return [said.kind, _COUNTERS.pack(said.run.encode(), said.taken, said.finished)]


def read_word(parts: Sequence[bytes]) -> Word | None:
    """Return what a taker said; None for what none says."""
    if len(parts) != 2 or parts[0] not in (TAKE, HERE, LEAVE, BYE) or len(parts[1]) != _COUNTERS.size:
        return None
    run, taken, finished = _COUNTERS.unpack(parts[1])
    return Word(parts[0], run.rstrip(b"\0").decode(errors="replace"), taken, finished)


def header(frame: SourceFrame, run: str, picture: str, *, captured: bool) -> bytes:
    """Return everything about a frame but its pixels; `picture` says what those come as.

    `captured` False leaves the monotonic time out, which another machine could make nothing of.
    """
    values: dict[str, Any] = {
        "run": run,
        "source": frame.source,
        "number": frame.number,
        "lap": frame.lap,
        "index": frame.index,
        "ordinal": frame.ordinal,
        "captured_at": frame.captured_at,
        "waiting": frame.frames_waiting,
        "moved": frame.moved,
        "picture": picture,
    }
    if captured:
        values["captured"] = frame.captured
    return json.dumps(values, separators=(",", ":")).encode()


def read_header(raw: bytes) -> dict[str, Any]:
    """Return what `header` wrote. Raises MalformedBody."""
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise MalformedBody(f"a frame's header is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise MalformedBody("a frame's header is no JSON object")
    return values


def frame_of(values: dict[str, Any], picture: Frame, captured: float) -> SourceFrame:
    """Return the frame with this header. Raises MalformedBody where something of it is missing."""
    try:
        return SourceFrame(
            int(values["number"]),
            str(values["source"]),
            picture,
            captured,
            float(values["captured_at"]),
            frames_waiting=int(values["waiting"]),
            lap=int(values["lap"]),
            index=int(values["index"]),
            ordinal=int(values["ordinal"]),
            run=str(values["run"]),
            moved=None if values["moved"] is None else bool(values["moved"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBody(f"a frame's header is not whole: {error}") from None


def shape_text(picture: Frame) -> str:
    """Return the shape of a picture (height, width, colours) of bytes as text."""
    return "x".join(str(size) for size in picture.shape)


def pixels(raw: Any, shape: str) -> Frame:
    """Return the picture with that shape in a buffer of bytes, without a copy. Raises MalformedBody where they do not fit."""
    try:
        return np.frombuffer(raw, np.uint8).reshape([int(size) for size in shape.split("x")])
    except ValueError as error:
        raise MalformedBody(f"a frame's pixels are not {shape}: {error}") from None
