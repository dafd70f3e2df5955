"""Which pod gets how many requests, and how long they take, with the edge's own client: three pods alike, or one slow by 3x.

The pods are far clouds that work on one request at a time, as a worker with one stream. Slow or not, they use none of this
machine's processors; an edge with one more in flight waits a service time longer for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.pod_lookup import PodSource
from sedna_py.client.settings import ClientSettings
from sedna_py.local.ports import free_port
from sedna_py.protocol.media_types import JPEG
from tests.bench.offload.edge_run import percentile
from tests.faults.far_cloud import FarCloud, far_cloud

WORK_S: Final = 0.1
SLOW: Final = 3.0
BODY: Final = bytes(16_000)
WARM: Final = 40  # requests until the client knows its pods
NOWHERE: Final = "http://127.0.0.1:9"
EQUAL: Final = (1.0, 1.0, 1.0)
ONE_SLOW: Final = (1.0, 1.0, 1 / SLOW)
# As much capacity in sum as ONE_SLOW, in equal parts: beside it only the balance differs.
SAME_SUM: Final = (sum(ONE_SLOW) / 3,) * 3


@dataclass(frozen=True, slots=True)
class Balanced:
    """Requests that each pod answered, over what its share of the capacity would be, and milliseconds."""

    shares: tuple[float, ...]
    p50: float
    p95: float

    @property
    def uneven(self) -> float:
        """How far the worst pod is from its share, as a part of it."""
        return max(abs(share - 1) for share in self.shares)


def balance(speeds: Sequence[float], at_once: int, seconds: float) -> Balanced:
    """Ask pods of these speeds, `at_once` requests at a time."""
    with ExitStack() as running:
        port = free_port()
        pods = [
            running.enter_context(far_cloud(port, WORK_S / speed, 1, f"127.0.0.{number}"))
            for number, speed in enumerate(speeds, start=2)
        ]
        before = [0] * len(pods)
        spent = asyncio.run(_ask(pods, at_once, seconds, before))
        counts = [pod.answered() - began for pod, began in zip(pods, before, strict=True)]
    wanted = [speed / sum(speeds) * sum(counts) for speed in speeds]
    shares = tuple(count / want for count, want in zip(counts, wanted, strict=True))
    return Balanced(shares, percentile(spent, 0.5), percentile(spent, 0.95))


async def _ask(pods: Sequence[FarCloud], at_once: int, seconds: float, before: list[int]) -> list[float]:
    addresses = [f"{pod.host}:{pod.port}" for pod in pods]
    client = CloudClient(
        NOWHERE,
        settings=ClientSettings(max_connections=at_once, deadline_s=10.0),
        pods=PodSource("pods.bench", 5000, lambda *_: addresses),
    )
    spent: list[float] = []
    try:
        await client.start()
        async with asyncio.timeout(10):
            while client.figures().pods["ready"] < len(pods):  # noqa: ASYNC110 - nothing says so by itself
                await asyncio.sleep(0.01)
        await _loop(client, at_once, lambda: len(spent) < WARM, spent)
        spent.clear()
        before[:] = [await asyncio.to_thread(pod.answered) for pod in pods]
        until = time.perf_counter() + seconds
        await _loop(client, at_once, lambda: time.perf_counter() < until, spent)
    finally:
        await client.aclose()
    return spent


async def _loop(client: CloudClient, at_once: int, go_on, spent: list[float]) -> None:
    async def worker() -> None:
        while go_on():
            spent.append((await client.predict(BODY, JPEG)).latency_s * 1000)

    await asyncio.gather(*(worker() for _ in range(at_once)))
