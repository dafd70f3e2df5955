"""What the cloud path costs beside the bare model: the real server process over loopback against inference in this process."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.settings import ClientSettings
from sedna_py.local.ports import free_port
from sedna_py.protocol.media_types import JPEG
from tests.bench.pairs import ROOT, Pair
from workers.edge.sources import open_source
from workers.inference.image_codec import decode_image, encode_jpeg
from workers.inference.predictor import create_predictor

READY_S = 180  # on a busy machine


@dataclass(frozen=True)
class CloudFigures:
    """Median milliseconds a frame, one at a time; each list has one figure a round."""

    bare: list[float]  # frame in memory -> boxes
    decode: list[float]  # JPEG -> frame -> boxes
    http: list[float]  # JPEG over HTTP -> boxes
    json: list[float]  # the JSON list of upstream over HTTP -> boxes, to the same server


def measure_cloud(pair: Pair, rounds: int, frames: int) -> CloudFigures:
    """Measure the three in turn, one frame at a time, `rounds` times over the same `frames` frames."""
    pictures = take(pair, frames)
    jpegs = [encode_jpeg(picture, 85) for picture in pictures]
    predictor = create_predictor(pair.big["MODEL_URL"], estimator=pair.big.get("ESTIMATOR"))
    figures = CloudFigures([], [], [], [])
    with serving(pair) as port:
        for _ in range(rounds):
            figures.bare.append(median_ms(lambda i: predict(predictor, pictures[i]), frames))
            figures.decode.append(median_ms(lambda i: predict(predictor, decode_image(jpegs[i])), frames))
            figures.http.append(asyncio.run(over_http(port, jpegs)))
            figures.json.append(json_over_http(port, pictures[: max(frames // 10, 3)]))
    predictor.close()
    return figures


def take(pair: Pair, frames: int) -> list:
    """Return `frames` pictures at even distances."""
    source = open_source(str(pair.clip))
    step = max(source.frames // frames, 1)
    taken = [picture for index, picture in enumerate(source) if index % step == 0][:frames]
    source.close()
    return taken


def predict(predictor, picture) -> object:
    """Run one frame through the predictor and wait for it."""
    from threading import Event

    done, answers = Event(), []
    predictor.submit(picture, lambda answer: (answers.append(answer), done.set()))
    done.wait(60)
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


def median_ms(work, count: int) -> float:
    """Return the median milliseconds of `work(i)`."""
    spent = []
    for index in range(count):
        begun = time.perf_counter()
        work(index)
        spent.append((time.perf_counter() - begun) * 1000)
    return statistics.median(spent)


async def over_http(port: int, jpegs: list[bytes]) -> float:
    """Return the median milliseconds of the edge's own client, one request at a time."""
    client = CloudClient(f"http://127.0.0.1:{port}", settings=ClientSettings(deadline_s=30))
    spent = []
    try:
        for jpeg in jpegs:
            begun = time.perf_counter()
            await client.predict(jpeg, JPEG)
            spent.append((time.perf_counter() - begun) * 1000)
    finally:
        await client.aclose()
    return statistics.median(spent)


def json_over_http(port: int, pictures: list) -> float:
    """Return the median milliseconds of a frame sent as upstream's library does: `tolist`, JSON, POST."""
    with httpx.Client(trust_env=False, timeout=60) as client:

        def ask(index: int) -> None:
            body = {"data": pictures[index][..., ::-1].tolist(), "post_process": None}
            client.post(f"http://127.0.0.1:{port}/sedna/predict", json=body).raise_for_status()

        return median_ms(ask, len(pictures))


@contextmanager
def serving(pair: Pair, port: int | None = None) -> Iterator[int]:
    """Run the cloud worker of the pair, on a free port or on this one; yields its port once it is ready."""
    port = port or free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **pair.big,
        "BIG_MODEL_BIND_IP": "127.0.0.1",
        "BIG_MODEL_BIND_PORT": str(port),
        "LAME_DUCK_S": "0",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "workers.cloud"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_ready(port, process)
            yield port
        finally:
            process.terminate()


def wait_ready(port: int, process: subprocess.Popen) -> None:
    """Return when /readyz says 200. Raises TimeoutError, or RuntimeError if the worker has ended."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the cloud worker ended before it was ready")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the cloud worker was not ready in time")
