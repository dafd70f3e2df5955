"""Damaged requests through the socket of a real worker: none is an internal error, and nothing of them stays behind.

SEDNA_FUZZ_REQUESTS says how many (default: 3000).
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NoReturn

import httpx
import pytest

from sedna_py.metrics import names
from tests.environments import NoEnvironment
from tests.workers.cloud.http_fuzz import BROKEN, KeptConnection, damaged, error_in, good_requests, send_broken
from tests.workers.edge.fakes import until
from tests.workers.edge.programs import Program, Programs, free_port, wait_ready
from tests.workers.foreign_python import CLEAN, INSTALL_S, foreign_python
from tests.workers.inference.tiny_models import save_colour_detector

REQUESTS = int(os.environ.get("SEDNA_FUZZ_REQUESTS", "3000"))
CONNECTIONS = 3
PARTS = 10
MOST_GROWTH_MIB = 64
MOST_AT_ONCE_MIB = 256  # bodies have 1 MB at most, pictures a million pixels
MODEL = "faces"
# 429 and 504: a deadline that has passed, or that will have before its turn. Any other 5xx would be the worker's own doing.
FINE = frozenset({200, 204, 400, 404, 405, 411, 413, 415, 417, 422, 429, 504})

pytestmark = [pytest.mark.processes, pytest.mark.timeout(INSTALL_S + 120 + REQUESTS // 50)]


@dataclass(frozen=True)
class Target:
    """A worker process."""

    program: Program
    port: int

    def metric(self, name: str) -> float:
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False, timeout=10).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.partition(" ")[0] == name)

    def memory_mib(self, what: str) -> float:
        """Return what is resident now (VmRSS) or was at most (VmHWM)."""
        status = Path(f"/proc/{self.program.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{what}:")) / 1024

    def is_idle(self) -> bool:
        return self.metric(names.CLOUD_IN_FLIGHT) == self.metric(names.CLOUD_WAITING) == 0

    def check(self) -> None:
        """It runs, is at rest, answers every good request, and has met nothing that it did not expect."""
        self.program.running()
        until(self.is_idle, "the worker to be at rest")
        connection = KeptConnection(self.port, MODEL)
        for request in good_requests():
            status, body = connection.ask(request)
            assert status == 200, (request.path, request.headers, body)
        connection.close()
        assert connection.opened == 1
        assert "Traceback" not in self.program.log
        assert "a request failed" not in self.program.log


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    programs, port = Programs(folder), free_port()
    program = programs.cloud(
        port,
        MODEL_URL=save_colour_detector(folder / "model"),
        ESTIMATOR="",
        SERVICE_NAME=MODEL,
        MAX_BODY_BYTES=1_000_000,
        MAX_IMAGE_PIXELS=1_000_000,
        LAME_DUCK_S=0,
    )
    try:
        wait_ready(program, port)
        yield Target(program, port)
    finally:
        programs.end()


def send_damaged(port: int, seed: int, count: int) -> tuple[Counter[int], int]:
    """Send so many on one connection after the other; return how often there was which status, and the connections."""
    random, good, connection = Random(seed), good_requests(), KeptConnection(port, MODEL)
    for number in range(count):
        if number % 100 == 99:
            answer = send_broken(port, random.choice(BROKEN))
            assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 422")), answer
        request = damaged(random, good)
        status, body = connection.ask(request)
        assert status in FINE, (seed, number, status, request, body)
        if status >= 400 and request.method != "HEAD":
            assert len(error_in(body)) < 2000, (seed, number, request, body)
            assert error_in(body), (seed, number, request, body)
    connection.close()
    return Counter(connection.statuses), connection.opened


def test_no_damaged_request_is_an_internal_error_or_leaves_anything_behind(target: Target) -> None:
    target.check()
    statuses: Counter[int] = Counter()
    opened = 0
    sizes = []
    ports, counts = [target.port] * CONNECTIONS, [REQUESTS // PARTS // CONNECTIONS] * CONNECTIONS
    with ThreadPoolExecutor(CONNECTIONS) as senders:
        for part in range(PARTS):
            seeds = range(part * CONNECTIONS, (part + 1) * CONNECTIONS)
            for found, connections in senders.map(send_damaged, ports, seeds, counts):
                statuses += found
                opened += connections
            sizes.append(target.memory_mib("VmRSS"))
    peak = target.memory_mib("VmHWM")
    print(f"{sum(statuses.values())} requests on {opened} connections: {dict(sorted(statuses.items()))}")
    print(f"MiB: {sizes}, at most {peak}")
    target.check()
    assert sizes[-1] - sizes[0] < MOST_GROWTH_MIB, sizes
    assert peak - sizes[0] < MOST_AT_ONCE_MIB, peak
    # It was neither all refused before it was read, nor mostly right.
    total = sum(statuses.values())
    assert total / 20 < statuses[200] < total / 2, statuses
    assert {400, 404, 415, 422, 504} <= set(statuses), statuses
    assert opened < total / 10


def test_what_is_made_from_our_openapi_schema_is_never_an_internal_error(
    target: Target, tmp_path: Path, tier_unavailable: Callable[[str, str], NoReturn]
) -> None:
    try:
        python = foreign_python("clients")
    except NoEnvironment as error:
        tier_unavailable("schemathesis", str(error))
    command = [
        str(python.with_name("schemathesis")), "run", f"http://127.0.0.1:{target.port}/openapi.json", "--no-color",
        "--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing", "--max-examples", "50", "--seed", "7",
        "--generation-database", "none",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, env=CLEAN, cwd=tmp_path, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Schema Error" not in ended.stdout
    assert "Tested: 12" in ended.stdout
    target.check()
