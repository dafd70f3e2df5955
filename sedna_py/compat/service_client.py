"""`sedna.service.client`: upstream's small HTTP clients, with a bound on the time they take."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sedna_py.client.local_controller import InferenceCounts, WorkerIdentity, build_report
from sedna_py.errors import SednaError
from sedna_py.http_request import RequestFailed, RetryPolicy, request_once_or_more
from sedna_py.job import LOGGER
from sedna_py.protocol import sedna_json

_POLICY = RetryPolicy()
_REPORT = RetryPolicy(attempts=1, total_s=2.0)


def http_request(
    url: str,
    method: str | None = None,
    timeout: float | None = None,
    binary: bool = True,
    no_decode: bool = False,
    **kwargs: Any,
) -> Any:
    """Return the body of an answer with status 200: parsed JSON, text if not `binary`, bytes if `no_decode`.

    At most five attempts, 3 s apart, within `timeout` seconds in all (300). `kwargs` are those of `requests` that httpx
    has too. Raises RequestFailed, where upstream raises tenacity's RetryError; a lasting 4xx is not tried again.
    """
    policy = replace(_POLICY, total_s=timeout) if timeout else _POLICY
    response = request_once_or_more((method or "GET").upper(), url, policy=policy, **_as_httpx(kwargs))
    if no_decode:
        return response.content
    if not binary:
        return response.text
    try:
        return response.json()
    except ValueError as error:
        raise RequestFailed(f"{url} answered with something that is not JSON: {error}") from error


class ModelClient:
    """Ask a big model by its address; the caller waits."""

    def __init__(
        self,
        service_name: str,
        version: str = "",
        host: str = "127.0.0.1",
        port: str | int = "8080",
        protocol: str = "http",
    ) -> None:
        self.server_name = f"{service_name}{version}"
        self.endpoint = f"{protocol}://{host}:{port}/{service_name}"

    def inference(self, x: Any, **kwargs: Any) -> Any:
        """Return the whole reply, `{"result": [...]}`. Raises RequestFailed, and MalformedBody for data that is no list."""
        body = sedna_json.encode_request(x, **kwargs)
        headers = {"Content-Type": "application/json"}
        return http_request(f"{self.endpoint}/predict", method="POST", content=body, headers=headers)

    def check_server_status(self) -> bool:
        """Return whether the server answers."""
        try:
            request_once_or_more("GET", self.endpoint, policy=_REPORT)
        except SednaError:
            return False
        return True


class LCClient:
    """Send reports to the local controller."""

    @classmethod
    def send(cls, lc_server: str, worker_name: str, message: Mapping[str, Any]) -> Any:
        """Return the controller's answer. Raises RequestFailed."""
        url = f"{lc_server.rstrip('/')}/sedna/workers/{worker_name}/info"
        return request_once_or_more("POST", url, policy=_REPORT, json=dict(message)).json()


class LCReporter(threading.Thread):
    """Report counts every `period_interval` seconds if there are new ones; start it like any thread, end it with `stop`.

    `message` has the worker's name, namespace and ownerName; what else it holds is sent as it is.
    """

    def __init__(self, lc_server: str, message: Mapping[str, Any], period_interval: float = 30) -> None:
        super().__init__(name="sedna-lc-reporter", daemon=True)
        self.lc_server = lc_server
        self.message = dict(message)
        self.period_interval = float(period_interval)
        self.inference_number = 0
        self.hard_example_number = 0
        self.period_increment = 0
        self.lock = threading.Lock()
        self._stopping = threading.Event()

    def update_for_edge_inference(self) -> None:
        """Count an example that the edge answered."""
        self._count(hard=0)

    def update_for_collaboration_inference(self) -> None:
        """Count an example that the cloud was asked about."""
        self._count(hard=1)

    def run(self) -> None:
        """Report until `stop`, then once more."""
        begun = time.time()
        stopped = False
        while not stopped:
            stopped = self._stopping.wait(self.period_interval)
            if self._report(begun):
                begun = time.time()

    def stop(self) -> None:
        """Let the thread end after one last report."""
        self._stopping.set()

    def _count(self, hard: int) -> None:
        with self.lock:
            self.inference_number += 1
            self.hard_example_number += hard
            self.period_increment += 1

    def _report(self, begun: float) -> bool:
        with self.lock:
            counts = InferenceCounts(self.inference_number, self.hard_example_number)
            increment = self.period_increment
        if not increment:
            return True
        identity = WorkerIdentity(*(str(self.message.get(key, "")) for key in ("name", "namespace", "ownerName")))
        report = {**build_report(identity, counts, begun, time.time()), **self.message}
        try:
            LCClient.send(self.lc_server, identity.worker, report)
        except (SednaError, ValueError) as error:
            LOGGER.warning("no report to the local controller: %s", error)
            return False
        with self.lock:
            self.period_increment -= increment
        return True


def _as_httpx(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the keywords of `requests` that httpx calls otherwise."""
    given = dict(kwargs)
    given["follow_redirects"] = given.pop("allow_redirects", True)
    if isinstance(given.get("data"), str | bytes):
        given["content"] = given.pop("data")
    return given
