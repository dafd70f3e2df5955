"""The process: its HTTP side, its leadership, and one term of work after the other."""

from __future__ import annotations

import asyncio
import logging
import signal

from kubernetes.aio.client import ApiClient
from prometheus_client import CollectorRegistry

from controller.children import ChildKind
from controller.connection import connect
from controller.http_api import HttpApi, HttpApiHooks
from controller.leader import Elector
from controller.metrics import ControllerMetrics
from controller.reports import RoutedReport
from controller.settings import ControllerSettings
from controller.tasks import first_of
from controller.term import Term

_log = logging.getLogger(__name__)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Controller:
    """The process: HTTP side, leadership, and one term after the other."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self._metrics = ControllerMetrics(CollectorRegistry())
        self._elector: Elector | None = None
        self._term: Term | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises ControllerError when it cannot go on."""
        stop = self._stop
        self._take_signals()
        http = HttpApi(self._hooks(), self._metrics)
        port = await http.start(self._settings.http_host, self._settings.http_port)
        _log.info("health, metrics and reports on port %d", port)
        try:
            client = await connect(connections=self._settings.concurrency * 2 + 300)
            try:
                await self._terms(client, port, stop)
            finally:
                if self._elector is not None:
                    await self._elector.release()
                await client.close()
        finally:
            await http.stop()

    def _take_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    async def _terms(self, client: ApiClient, port: int, stop: asyncio.Event) -> None:
        if not self._settings.leader_election:
            await self._lead(client, stop)
            return
        # The same for all terms: a lease that nobody else took while the API server was away is still this replica's.
        self._elector = elector = Elector(
            client,
            name=self._settings.lease_name,
            namespace=self._settings.pod_namespace,
            holder=(self._settings.pod_name, _address(self._settings.pod_ip, port)),
            duration_s=self._settings.lease_duration_s,
        )
        while not stop.is_set():
            await self._one_term(elector, client, stop)

    async def _one_term(self, elector: Elector, client: ApiClient, stop: asyncio.Event) -> None:
        """Wait for the lease, lead while it is held, and return when it is lost or the process shall end."""
        election = asyncio.create_task(elector.run(), name="election")
        try:
            await first_of(elector.leading.wait, stop.wait, election)
            if elector.leading.is_set():
                over = asyncio.Event()
                lead = asyncio.create_task(self._lead(client, over), name="lead")
                await first_of(stop.wait, election, lead)
                over.set()
                await lead
        finally:
            if not election.done():
                election.cancel()
                await asyncio.gather(election, return_exceptions=True)
        if election.done() and not election.cancelled():
            election.result()  # a defect in the election is not to be taken for a lost lease

    async def _lead(self, client: ApiClient, over: asyncio.Event) -> None:
        may_write = self._elector.may_write if self._elector is not None else lambda: True
        self._term = Term(client, self._settings, self._metrics, started=self._take_signals, may_write=may_write)
        self._observe(self._term)
        self._metrics.leads(True)
        try:
            await self._term.run(over)
        finally:
            self._metrics.leads(False)
            self._term = None

    def _observe(self, term: Term) -> None:
        store = term.store
        self._metrics.watch_queue(lambda: len(term.queue))
        self._metrics.watch_services(term.status.count)
        self._metrics.watch_objects("jointinferenceservices", lambda: len(store.services))
        self._metrics.watch_objects("models", lambda: len(store.models))
        self._metrics.watch_objects("pods", lambda: len(store.all_pods()))
        for kind in ChildKind:
            self._metrics.watch_objects(kind.plural, lambda kind=kind: len(store.children(kind)))  # type: ignore[misc]

    def _hooks(self) -> HttpApiHooks:
        return HttpApiHooks(
            not_alive=lambda: None,  # an event loop that does not turn does not answer either
            not_ready=lambda: None,  # a replica that waits for its turn is ready: it passes reports on
            leads=lambda: self._term is not None,
            leader_address=lambda: self._elector.leader_address() if self._elector else None,
            accept=self._accept,
            service_of_pod=self._service_of_pod,
        )

    def _accept(self, report: RoutedReport) -> bool:
        return self._term is not None and self._term.accept(report)

    def _service_of_pod(self, namespace: str, name: str) -> str | None:
        return self._term.service_of_pod(namespace, name) if self._term else None
