"""A model of upstream's edge, written down from its contract (4.2 and 5.2 of it), to be measured beside ours.

    MODEL_URL=... python -m tests.bench.offload.upstream_client CLIP PORT HARD_SHARE SECONDS

One loop does everything in turn: read a frame, ask the little model, ask the cloud if the frame is hard, go on. The frame
travels as JSON, a list of its pixels; each request has a connection of its own and no time limit; any status but 200 is tried
again, as any error is, five times in all, 3 s apart; then the little model's answer stands. The frames and the little model
are ours, and what takes the requests does not read the JSON: in both, this model is faster than what it stands for.

Prints frames/s.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import sys
import threading
import time
from typing import Any, Final

import numpy as np

from workers.edge.sources import open_source
from workers.inference.predictor import Predictor, create_predictor

TRIES: Final = 5
PAUSE_S: Final = 3.0
HOST: Final = "127.0.0.1"


def http_request(port: int, body: bytes) -> Any:
    """Return the parsed answer; None after the last try."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S)
        connection = http.client.HTTPConnection(HOST, port)
        try:
            connection.request("POST", "/sedna/predict", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            if reply.status == 200:
                return json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError):
            continue
        finally:
            connection.close()
    return None


def inference(predictor: Predictor, picture: np.ndarray, port: int, *, hard: bool) -> Any:
    """Return a frame's answer: the cloud's for a hard frame if there is one, else the little model's."""
    answered = threading.Event()
    edge: list[Any] = []
    predictor.submit(picture, lambda result: (edge.append(result), answered.set()))
    answered.wait()
    if not hard:
        return edge[0]
    body = json.dumps({"data": picture[..., ::-1].tolist(), "post_process": None}).encode()
    reply = http_request(port, body)
    return edge[0] if reply is None else reply["result"]


def frames_per_second(clip: str, port: int, hard_share: float, seconds: float) -> float:
    """Return frames/s; the frame at the end of the time is waited for, and counts."""
    predictor = create_predictor(os.environ["MODEL_URL"], estimator=os.environ.get("ESTIMATOR"))
    chance = random.Random(1)
    pictures = itertools.chain.from_iterable(open_source(clip) for _ in itertools.count())
    inference(predictor, next(pictures), port, hard=False)  # warm
    frames, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        inference(predictor, next(pictures), port, hard=chance.random() < hard_share)
        frames += 1
        spent = time.perf_counter() - begun
    predictor.close()
    return frames / spent


if __name__ == "__main__":
    print(frames_per_second(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
