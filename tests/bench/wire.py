"""Bytes of a hard frame on the wire, as we send it and as upstream does."""

from __future__ import annotations

import json
import statistics

from tests.bench.pairs import Pair
from workers.edge.sources import open_source
from workers.inference.image_codec import encode_jpeg

QUALITY = 65  # the edge worker's default
SAMPLES = 12


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
        body = {"data": picture[..., ::-1].tolist(), "post_process": None}
        lists.append(len(json.dumps(body)))
    source.close()
    return int(statistics.median(jpegs)), int(statistics.median(lists)), size
