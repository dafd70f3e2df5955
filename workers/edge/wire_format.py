"""What a hard frame travels as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sedna_py.client.cloud_client import CloudReply
from sedna_py.estimator import Frame
from sedna_py.protocol import npy, sedna_json
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG, JSON, NPY, PNG
from workers.edge.packed import Packed
from workers.inference.image_codec import encode_jpeg, encode_png

OPEN_INFERENCE_FORMATS: Final = ("jpeg", "png")  # of those below, what a server of that protocol is sent


@dataclass(frozen=True, slots=True)
class WireFormat:
    """A media type, and how a frame (BGR) becomes its bytes, always the same. `encode` raises MalformedBody. It is a Packer."""

    media_type: str
    encode: Callable[[Frame], bytes]

    def pack(self, picture: Frame) -> Packed:
        """Return the whole picture."""
        return Packed(self.encode(picture))

    def answered(self, reply: CloudReply, started: float, now: float) -> None:
        """Learn nothing."""

    def failed(self, cause: OffloadCause, started: float, now: float) -> None:
        """Learn nothing."""


def wire_format(name: str, jpeg_quality: int = 65) -> WireFormat:
    """Return the format of that name: jpeg, png, npy, or json, which every upstream cloud worker understands."""
    formats = {
        "jpeg": WireFormat(JPEG, lambda frame: encode_jpeg(frame, jpeg_quality)),
        "png": WireFormat(PNG, encode_png),
        "npy": WireFormat(NPY, lambda frame: npy.encode(as_rgb(frame))),
        "json": WireFormat(JSON, lambda frame: sedna_json.encode_request(as_rgb(frame), post_process=None)),
    }
    return formats[name]


def as_rgb(frame: Frame) -> Frame:
    """Return a BGR frame in the order that Sedna's JSON has, in memory of its own."""
    return np.ascontiguousarray(frame[..., ::-1])
