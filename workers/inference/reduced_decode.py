"""Decode a picture no larger than the model can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2

from sedna_py.estimator import Frame
from sedna_py.protocol.images import ImageHeader
from sedna_py.protocol.media_types import JPEG
from workers.inference.frame_need import FrameNeed, Scale
from workers.inference.image_codec import decode_image

_FLAGS: Final = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}


@dataclass(frozen=True, slots=True)
class ReducedFrame:
    """A picture (height, width, 3) in BGR, smaller than the original by `scale`."""

    frame: Frame
    scale: Scale


def decode_reduced(body: bytes, header: ImageHeader, need: FrameNeed | None) -> Frame | ReducedFrame:
    """Return the picture, reduced where `need` allows it. Raises MalformedBody where it is none."""
    factor = need.reduction(header.width, header.height) if need and header.media_type == JPEG else 1
    if factor == 1:
        return decode_image(body)
    frame = decode_image(body, _FLAGS[factor])
    height, width = frame.shape[:2]
    # The header does not know of a rotation in the EXIF data, which the decoder obeys.
    turned = (width, height) == (-(-header.height // factor), -(-header.width // factor)) and width != height
    full = (header.height, header.width) if turned else (header.width, header.height)
    return ReducedFrame(frame, Scale(full[0] / width, full[1] / height))
