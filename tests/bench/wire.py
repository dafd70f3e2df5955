"""Bytes of a hard frame on the wire, as we send it and as upstream does, and what the encoding does to the answers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sedna_py.local.figures import agreement
from tests.bench.budget.answers import Jpeg, Scene, answers
from tests.bench.budget.cases import records
from tests.bench.pairs import Pair
from workers.edge.sources import open_source
from workers.inference.image_codec import encode_jpeg

QUALITY = 65  # the edge worker's default
SAMPLES = 12


@dataclass(frozen=True)
class Encoded:
    """Bytes a frame of one way to encode, and how far the model's answers are those to the raw pixels."""

    encoding: Jpeg
    size: float  # the median
    listed: float  # bytes of upstream's JSON list of the same frames, the median of some
    frames: int
    agreeing: float  # share of the frames
    f1: float


def measure_bytes(pair: Pair) -> tuple[int, int, tuple[int, int]]:
    """Return the median bytes of a JPEG and of the JSON list of the same frames as upstream's library writes it, and the size.

    It posts with `requests`, whose JSON has a blank behind every comma.
    """
    jpegs, lists, size = [], [], (0, 0)
    source = open_source(str(pair.clip))
    step = max(source.frames // SAMPLES, 1)
    for index, picture in enumerate(source):
        if index % step:
            continue
        size = (picture.shape[1], picture.shape[0])
        jpegs.append(len(encode_jpeg(picture, QUALITY)))
        lists.append(listed_bytes(picture))
    source.close()
    return int(statistics.median(jpegs)), int(statistics.median(lists)), size


def listed_bytes(picture) -> int:
    """Return the bytes of a frame's request as upstream's library writes it."""
    return len(json.dumps({"data": picture[..., ::-1].tolist(), "post_process": None}))


def measure_encodings(
    model: Mapping[str, str], scene: Scene, display: float, encodings: Sequence[Jpeg]
) -> list[Encoded]:
    """Ask the model about the raw frames and about those of each encoding, decoded as the cloud worker does it."""
    reference = records(answers(model, scene), scene, display)
    pictures = list(scene.pictures())
    listed = statistics.median(listed_bytes(picture) for picture in pictures[:: max(len(pictures) // SAMPLES, 1)])
    found = []
    for encoding in encodings:
        told = answers(model, scene, encoding)
        agreed = agreement(records(told, scene, display), reference)
        size = statistics.median(told.sizes)
        found.append(Encoded(encoding, size, listed, agreed.frames, agreed.share or 0.0, agreed.f1 or 0.0))
    return found
