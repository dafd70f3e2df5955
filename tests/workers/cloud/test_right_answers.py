"""Whose answer is whose: many clients, each with pictures of its own, through both protocols, with and without batches.

SEDNA_RIGHT_ANSWERS sets how many requests each case makes; the issue's figure is 20,000.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from sedna_py.protocol.open_inference.pictures import decode_detections, encode_picture_request
from tests.workers.inference.tiny_models import MeanColour
from workers.inference.engine import EngineOptions
from workers.inference.predictor import HookPredictor

pytestmark = pytest.mark.timeout(600)

REQUESTS = int(os.environ.get("SEDNA_RIGHT_ANSWERS", "1000"))
CLIENTS = 64


def colour_of(number: int) -> tuple[int, int, int]:
    """A colour that no other request has."""
    return number % 251, number // 251 % 251, number // 251**2 % 251


def picture(number: int) -> bytes:
    frame = np.empty((12, 36, 3), np.uint8)
    frame[:] = colour_of(number)[::-1]
    return bytes(cv2.imencode(".png", frame)[1])


async def ask_sedna(client: httpx.AsyncClient, body: bytes) -> Any:
    response = await client.post("/sedna/predict", content=body, headers={"Content-Type": "image/png"})
    return response.json()["result"]


async def ask_open_inference(client: httpx.AsyncClient, body: bytes) -> Any:
    packed, headers = encode_picture_request(body)
    response = await client.post("/v2/models/model/infer", content=packed, headers=headers)
    return decode_detections(response.content, int(response.headers["Inference-Header-Content-Length"]))


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("ask", [ask_sedna, ask_open_inference])
def test_every_client_gets_the_answer_to_its_own_picture(serve: Callable[..., Any], ask: Any, batch: int) -> None:
    options = EngineOptions(batch_size=batch, batch_delay_s=0.002)
    worker = serve(HookPredictor(MeanColour(), "", options), waiting=CLIENTS)  # type: ignore[arg-type]
    wrong: list[tuple[int, Any]] = []
    numbers = iter(range(1, REQUESTS + 1))

    async def go_on() -> None:
        async with httpx.AsyncClient(base_url=worker.url, timeout=60, trust_env=False) as client:
            for number in numbers:
                answer = await ask(client, picture(number))
                if answer != [[*map(float, colour_of(number)), 0.0, 0.0, 0.0]]:
                    wrong.append((number, answer))

    async def all_clients() -> None:
        await asyncio.gather(*(go_on() for _ in range(CLIENTS)))

    asyncio.run(all_clients())
    assert wrong == []
    assert worker.metric("sedna_cloud_requests_total", outcome="ok") == REQUESTS
    if batch > 1:
        together = worker.metric("sedna_cloud_batch_size_sum") / worker.metric("sedna_cloud_batch_size_count")
        assert together > 1.5
    worker.wait_until_idle()
