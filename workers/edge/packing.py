"""A hard frame as the body that travels: no larger than the big model sees it, in the quality that the link can bear.

The cloud says beside its answers how large its model's input is (sedna_py.protocol.model_input). A larger picture would be made
smaller there; it is made smaller here instead, by the same bilinear resize as the models' own, so that the model's is left with
nothing to do. Until the cloud has spoken, and where it says nothing, pictures travel in full. The boxes that come back are in the
pixels of what was sent, and are enlarged here: so it does not matter which worker answers, an older one among them.

A reduced picture has no detail to spare: its colours are kept in full (4:4:4), and its quality is better. With that a big
model agrees with itself on raw pixels at least as well as on the whole picture (docs/worth-sending.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import cv2

from sedna_py.client.cloud_client import CloudReply
from sedna_py.estimator import Frame
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG
from sedna_py.protocol.model_input import ModelInput
from workers.edge.link_quality import LinkQuality
from workers.edge.packed import Packed
from workers.inference.frame_need import Scale
from workers.inference.image_codec import encode_jpeg

WORTH_IT: Final = 1 / 5  # of the pixels may be left at most; each of them takes four to five times the bytes
MORE_QUALITY: Final = 30
ENOUGH_QUALITY: Final = 95
HEARD_S: Final = 10.0  # how long a worker's word counts beside another's: pods of two versions take turns
_MODEL_STAGES: Final = ("queue", "decode", "infer", "encode")


class Packer(Protocol):
    """Makes bodies, and hears what became of them, in several threads. `started`, `now`: seconds of one clock."""

    @property
    def media_type(self) -> str:
        """That of the bodies."""

    def pack(self, picture: Frame) -> Packed:
        """Return the body of a BGR picture. Raises MalformedBody."""

    def answered(self, reply: CloudReply, started: float, now: float) -> None:
        """Note the answer to a frame."""

    def failed(self, cause: OffloadCause, started: float, now: float) -> None:
        """Note a frame that was not answered."""


@dataclass(frozen=True, slots=True)
class PackFigures:
    """The quality now, and width and height of the last picture (0 before it)."""

    quality: int
    width: int = 0
    height: int = 0


class InputSizes:
    """What the cloud's workers said of their models' inputs; where they differ, the largest counts."""

    def __init__(self) -> None:
        self._heard: dict[ModelInput | None, float] = {}

    def told(self, size: ModelInput | None, now: float) -> None:
        """Note a worker's word, None for its saying nothing; what was last said HEARD_S before it is forgotten."""
        # A new dictionary, as another thread may be reading the old one.
        self._heard = {said: at for said, at in self._heard.items() if now - at < HEARD_S} | {size: now}

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the size at which a picture of this one is to be sent: smaller, or the same."""
        sizes = [said.fit(width, height) if said else (width, height) for said in self._heard] or [(width, height)]
        across, down = max(size[0] for size in sizes), max(size[1] for size in sizes)
        return (across, down) if across * down <= WORTH_IT * width * height else (width, height)


class FittedJpeg:
    """A Packer of JPEGs. With `fit` they are no larger than the cloud's model needs."""

    media_type: str = JPEG

    def __init__(self, quality: LinkQuality, *, fit: bool) -> None:
        self._quality = quality
        self._sizes = InputSizes() if fit else None
        self._last = (0, 0)

    def pack(self, picture: Frame) -> Packed:
        """As in Packer."""
        height, width = picture.shape[:2]
        size = self._sizes.fit(width, height) if self._sizes else (width, height)
        quality, self._last = self._quality.quality, size
        if size == (width, height):
            return Packed(encode_jpeg(picture, quality))
        small: Any = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        body = encode_jpeg(small, reduced_quality(quality), full_colour=True)
        return Packed(body, Scale(width / size[0], height / size[1]))

    def answered(self, reply: CloudReply, started: float, now: float) -> None:
        """As in Packer."""
        if self._sizes is not None:
            self._sizes.told(reply.model_input, now)
        timing = reply.server_timing
        if "read" in timing:
            model_ms = sum(timing.get(stage, 0.0) for stage in _MODEL_STAGES)
            self._quality.answered(started, now, upload_s=timing["read"] / 1000, model_s=model_ms / 1000)

    def failed(self, cause: OffloadCause, started: float, now: float) -> None:
        """As in Packer."""
        self._quality.failed(cause, started, now)

    def figures(self) -> PackFigures:
        """Return what a reader of metrics wants to know."""
        return PackFigures(self._quality.quality, *self._last)


def reduced_quality(quality: int) -> int:
    """Return the quality of a reduced picture: better by MORE_QUALITY as far as that is worth its bytes, never worse."""
    return max(min(quality + MORE_QUALITY, ENOUGH_QUALITY), quality)
