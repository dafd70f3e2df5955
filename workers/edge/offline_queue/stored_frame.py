"""What one file of the offline queue says: the frame's picture and the record that closed it. Pure but for the decoding."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Final

import cv2

from sedna_py.decision_log import DecisionRecord, Emit, Latency, Path, read_records
from sedna_py.errors import MalformedBody
from sedna_py.estimator import Frame
from workers.edge.decision import CloudAnswer, above
from workers.edge.frames import SourceFrame
from workers.edge.packed import Packed
from workers.inference.frame_need import Scale
from workers.inference.image_codec import decode_image

_MAGIC: Final = b"sednaoq1"
# Checksum of all that follows it, lengths of record and picture, score (not a number: none), time of capture.
_HEAD: Final = struct.Struct(">8sIIIdd")
_CHECKED_FROM: Final = len(_MAGIC) + 4
HEAD_BYTES: Final = _HEAD.size


@dataclass(frozen=True, slots=True)
class Head:
    """What is needed to know a file's place in the backlog; `size` is what the whole file should have."""

    score: float | None
    captured: float
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A frame as it waits: the record that closed it, and its picture as it is sent."""

    record: DecisionRecord
    media_type: str
    packed: Packed

    def pack(self) -> bytes:
        """Return the file: one piece, so that it is whole or recognisably not."""
        scale, body = self.packed.scale, self.packed.body
        kind = self.media_type if scale is None else f"{self.media_type} {scale.across!r} {scale.down!r}"
        text = f"{kind}\n{self.record.to_line()}".encode()
        score = math.nan if self.record.score is None else self.record.score
        rest = _HEAD.pack(_MAGIC, 0, len(text), len(body), score, self.record.captured)[_CHECKED_FROM:]
        checksum = zlib.crc32(body, zlib.crc32(text, zlib.crc32(rest)))
        return b"".join((_MAGIC, struct.pack(">I", checksum), rest, text, body))


def read_head(start: bytes) -> Head:
    """Return what a file's first HEAD_BYTES say. Raises MalformedBody."""
    if len(start) < HEAD_BYTES or not start.startswith(_MAGIC):
        raise MalformedBody("it does not begin as a stored frame does")
    _, _, text, body, score, captured = _HEAD.unpack_from(start)
    if not math.isfinite(captured):
        raise MalformedBody("its time of capture is no number")
    return Head(None if math.isnan(score) else score, captured, HEAD_BYTES + text + body)


def unpack(data: bytes) -> Stored:
    """Return what was packed. Raises MalformedBody for anything but the very bytes that were written."""
    head = read_head(data)
    if len(data) != head.size or zlib.crc32(data[_CHECKED_FROM:]) != int.from_bytes(data[8:12], "big"):
        raise MalformedBody("its length or its checksum is not the one that was written")
    _, _, length, _, _, _ = _HEAD.unpack_from(data)
    kind, _, line = data[HEAD_BYTES : HEAD_BYTES + length].decode().partition("\n")
    media_type, *sides = kind.split(" ")
    packed = Packed(data[HEAD_BYTES + length :], Scale(float(sides[0]), float(sides[1])) if sides else None)
    return Stored(next(iter(read_records([line]))), media_type, packed)


class StoredFrame(SourceFrame):
    """The frame of a late answer: its picture is decoded for the first sink that looks at it, as most look at none.

    One that was made smaller for the cloud is brought back to the frame's size, as the boxes are in its pixels.
    """

    __slots__ = ("_body", "_shown", "_size", "name")
    _shown: Frame | None

    def __init__(self, stored: Stored, name: str) -> None:
        record = stored.record
        self._body = stored.packed.body
        self._size = (record.width, record.height)
        self.name = name
        super().__init__(record.frame, record.source, None, 0.0, record.captured)  # type: ignore[arg-type]

    @property
    def picture(self) -> Frame:
        """The picture, BGR. Raises OSError where it cannot be decoded, as a sink may."""
        if self._shown is None:
            try:
                self._shown = _enlarged(decode_image(self._body), self._size)
            except MalformedBody as error:
                raise OSError(f"frame {self.number}: {error}") from error
        return self._shown

    @picture.setter
    def picture(self, shown: Frame | None) -> None:
        self._shown = shown


def _enlarged(picture: Frame, size: tuple[int, int]) -> Frame:
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]  # as in video.py


def late_record(stored: Stored, answer: CloudAnswer, threshold: float, now: float, bytes_sent: int) -> DecisionRecord:
    """Return the record of the cloud's answer to a frame that was closed without it; `now` is of the epoch.

    `bytes_sent` are those of all tries since it was stored.
    """
    assert answer.result is not None  # noqa: S101 - it is an answer
    closed = stored.record
    return replace(
        closed,
        emit=Emit.LATE,
        path=Path.CLOUD,
        cause=None,
        cloud=answer.result,
        result=above(answer.result, threshold),
        bytes_sent=bytes_sent,
        emitted=round(now, 6),
        latency_ms=Latency(
            wait=closed.latency_ms.wait,
            edge=closed.latency_ms.edge,
            cloud=None if answer.cloud_ms is None else round(answer.cloud_ms, 3),
            total=round(max(now - closed.captured, 0.0) * 1000, 3),
        ),
    )
