"""Reads workers' counters where only the edge node reaches them: `python -m tests.bench.autoscaling.edge_counters`.

A line with addresses on standard input is answered by a line of JSON: address -> [offered, dropped], of those that answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from sedna_py.metrics import names
from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e.pods import samples_on
from tests.e2e.scaled_services import POD_HTTP_PORT

TIMEOUT_S = 2.0


@dataclass(frozen=True)
class EdgeCounters:
    """The other side: asks the program."""

    process: subprocess.Popen[str]

    def read(self, addresses: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Return (frames offered, frames dropped) since each worker began, by address; of those that answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(addresses) + "\n")
        self.process.stdin.flush()
        found: dict[str, list[float]] = json.loads(self.process.stdout.readline())
        return {address: (offered, dropped) for address, (offered, dropped) in found.items()}


@contextmanager
def edge_counters(cluster: E2eCluster) -> Iterator[EdgeCounters]:
    """Run the program in the edge node's network."""
    words = [sys.executable, "-m", "tests.bench.autoscaling.edge_counters"]
    with cluster.run_in_edge_netns(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield EdgeCounters(process)
        finally:
            process.kill()


def counted(client: httpx.Client, address: str) -> tuple[float, float] | None:
    """Return what a worker has counted, None where it does not answer."""
    try:
        page = client.get(f"http://{address}:{POD_HTTP_PORT}/metrics").raise_for_status().text
    except httpx.HTTPError:
        return None
    offered, dropped = (sum(samples_on(page, name).values()) for name in (names.WORKER_OFFERED, names.WORKER_DROPPED))
    return offered, dropped


def main() -> None:
    """Answer until the input ends."""
    # One client for all questions: each new one reads the system's certificates again.
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        for line in sys.stdin:
            found = {address: both for address in line.split() if (both := counted(client, address)) is not None}
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
