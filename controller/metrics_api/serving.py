"""One server for as long as this replica leads: certificate, listener, and what leads callers to it, in the right order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from controller.errors import ClusterError, ControllerError, Forbidden
from controller.metrics import ControllerMetrics
from controller.metrics_api.access import Access, Reviewer
from controller.metrics_api.certificates import ServingCertificate, make_certificate
from controller.metrics_api.front_proxy import CONFIG_MAP, FrontProxy, front_proxy
from controller.metrics_api.registration import NotServed, Objects, Registration, Standing, server_names
from controller.metrics_api.server import MetricsServer, Source
from controller.metrics_api.tls import server_context
from controller.settings import ControllerSettings
from controller.status.live import block

_log = logging.getLogger(__name__)

CHECK_S: Final = 20.0
"""Between two comparisons of what is with what should be."""

AGAIN_S: Final = 2.0
"""After an API server that did not answer."""

KNOWN_S: Final = 10.0
"""How long a new authority is known before a certificate of it is shown: callers hear of it a moment after it was written."""

OVERLAP_S: Final = 60.0
"""Since a new authority is known: how long the one before it is trusted, too."""

_LOUD: Final = frozenset({Standing.FOREIGN, Standing.FORBIDDEN, Standing.FAILED})


class ApiServer(Objects, Reviewer, Protocol):
    """What is asked of the API server; controller.cluster.Cluster is one."""


def why_off(settings: ControllerSettings) -> str | None:
    """Return why the settings leave the API out, None where they do not."""
    if not settings.metrics_api:
        return "METRICS_API is false"
    if settings.namespaces:
        return "only some namespaces are served, and the API is the whole cluster's"
    return None


class Serving:
    """Serves what `source` knows."""

    def __init__(
        self,
        api_server: ApiServer,
        source: Source,
        settings: ControllerSettings,
        metrics: ControllerMetrics,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api_server = api_server
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._wall_clock = wall_clock
        self._access = Access(api_server, clock)
        self._server = MetricsServer(self._access, source, metrics.metrics_answer)
        self._registration = Registration(api_server, settings.pod_namespace, settings.pod_ip)
        self._shown: ServingCertificate | None = None
        self._newest: ServingCertificate | None = None  # the same one, or the one that follows
        self._known_since: float | None = None  # since when callers trust the authority of the newest
        self._said = ""

    async def run(self) -> None:
        """Serve until cancelled."""
        self._say(Standing.STARTING, "")
        try:
            while True:
                pause_s = await self._step()
                await asyncio.sleep(pause_s)
        finally:
            await self._server.stop()

    async def stay_off(self, reason: str) -> None:
        """Say that there is no API, and take back what an earlier setting has registered."""
        self._say(Standing.OFF, reason)
        if self._settings.namespaces:
            return  # whoever serves some namespaces has no rights beyond them
        try:
            await self._registration.end()
        except ClusterError as failure:
            _log.info("APIServices of an earlier setting, if there are any, stay: %s", failure)

    async def _step(self) -> float:
        """Bring everything to what it should be; return after how many seconds to look again."""
        try:
            await self._keep()
        except NotServed as reason:
            self._say(reason.standing, str(reason))
        except Forbidden as failure:
            self._say(Standing.FORBIDDEN, f"{failure}; apply deploy again for its roles")
        except ControllerError as failure:
            self._say(Standing.FAILED, str(failure), kind=type(failure).__name__)
            return AGAIN_S
        except Exception:  # noqa: BLE001 - the rest of the controller goes on, and so does this
            self._say(Standing.FAILED, "unexpected error", kind="defect")
            _log.exception("the metrics API: unexpected error; again in %g s", CHECK_S)
        else:
            self._say(Standing.SERVING, f"on port {self._server.port}")
        return CHECK_S

    async def _keep(self) -> None:
        found = await self._registration.look()
        proxy = await self._front_proxy()
        now = self._wall_clock()
        newest, shown = self._newest, self._shown
        # One after the other: callers are told of two authorities at most.
        if newest is None or (newest is shown and newest.is_due(now)):
            newest = self._newest = make_certificate(server_names(self._settings.pod_namespace), now)
            self._known_since = None
        known_s = 0.0 if self._known_since is None else self._clock() - self._known_since
        if shown is None or not shown.is_valid(now) or known_s >= KNOWN_S:
            shown = newest
        if shown is not self._shown or proxy != self._access.proxy:
            await self._listen(shown, proxy)
        alone = known_s >= OVERLAP_S
        await self._registration.keep(found, self._server.port, newest.authority, now, alone=alone)
        if self._known_since is None:
            self._known_since = self._clock()

    async def _listen(self, certificate: ServingCertificate, proxy: FrontProxy) -> None:
        context = server_context(certificate, proxy.authority)
        if self._server.port:
            self._server.renew(context)
        else:
            await self._server.start(self._settings.http_host, self._settings.metrics_api_port, context)
        self._shown, self._access.proxy = certificate, proxy

    async def _front_proxy(self) -> FrontProxy:
        namespace, name = CONFIG_MAP
        found = await self._api_server.get_object("v1", "configmaps", namespace, name)
        return front_proxy(block(found, "data")) if found is not None else FrontProxy()

    def _say(self, standing: Standing, message: str, kind: str = "") -> None:
        self._metrics.metrics_api(standing)
        said = f"{standing} {kind or message}"
        if said != self._said:
            level = logging.WARNING if standing in _LOUD else logging.INFO
            _log.log(
                level, "metrics API: %s", ": ".join(part for part in (standing.replace("_", " "), message) if part)
            )
        self._said = said
