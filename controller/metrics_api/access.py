"""Who calls, and whether they may: the API server is asked about both, and its answers are good for seconds."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from controller.errors import ClusterError
from controller.metrics_api.answers import Refusal
from controller.metrics_api.catalogue import GROUP
from controller.metrics_api.front_proxy import Caller, FrontProxy, caller_in_headers
from controller.metrics_api.paths import MetricPath
from controller.metrics_api.remembered import Remembered

TOKEN_S: Final = 10.0
ALLOWED_S: Final = 10.0
DENIED_S: Final = 5.0
MOST_TOKENS: Final = 256
MOST_DECISIONS: Final = 4096
MOST_AT_ONCE: Final = 8
MOST_TOKEN_BYTES: Final = 16 * 1024
_BEARER: Final = "bearer "


class Reviewer(Protocol):
    """Creates reviews; controller.cluster.Cluster does."""

    async def review(self, group: str, plural: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of a review with this spec. Raises ClusterError."""
        ...


class Access:
    """Decides on callers. `proxy` is how the front proxy is known; until it is set nobody can be it."""

    def __init__(self, reviewer: Reviewer, clock: Callable[[], float]) -> None:
        self.proxy = FrontProxy()
        self._reviewer = reviewer
        self._tokens: Remembered[bytes, Caller | None] = Remembered(MOST_TOKENS, clock)
        self._decisions: Remembered[tuple[Any, ...], bool] = Remembered(MOST_DECISIONS, clock)
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)

    async def caller(self, names: Iterable[str], headers: Iterable[tuple[str, str]]) -> Caller:
        """Return who calls: `names` are those of the certificate that TLS has checked. Raises Refusal (401, 503)."""
        headers = list(headers)
        found = caller_in_headers(self.proxy, names, headers)
        if found is None:
            tokens = [value for name, value in headers if name.lower() == "authorization"]
            found = await self._bearer(tokens[0]) if len(tokens) == 1 else None
        if found is None:
            raise Refusal(401, "Unauthorized")
        return found

    async def check(self, caller: Caller, path: str, metric: MetricPath | None) -> None:
        """Return if the caller may get what is at the path. Raises Refusal (403, 503)."""
        attributes = {"path": path, "verb": "get"} if metric is None else _attributes(metric)
        key = (caller, tuple(attributes.items()))
        allowed = self._decisions.get(key)
        if allowed is None:
            allowed = await self._decide(caller, attributes, metric is not None)
            self._decisions.put(key, allowed, ALLOWED_S if allowed else DENIED_S)
        if not allowed:
            what = (
                f"path {path}"
                if metric is None
                else f"{metric.resource}/{metric.metric} in namespace {metric.namespace}"
            )
            raise Refusal(403, f"user {caller.name} may not get {what} of {GROUP}")

    async def _bearer(self, header: str) -> Caller | None:
        if not header.lower().startswith(_BEARER) or len(header) > MOST_TOKEN_BYTES:
            return None
        token = header[len(_BEARER) :].strip()
        key = hashlib.sha256(token.encode()).digest()
        known = self._tokens.get(key)
        if known is not None:
            return known
        status = await self._ask("authentication.k8s.io", "tokenreviews", {"token": token})
        user = status.get("user") or {}
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        extra = tuple(sorted((key, tuple(values)) for key, values in (user.get("extra") or {}).items()))
        found = Caller.known(user["username"], user.get("groups") or (), uid=user.get("uid") or "", extra=extra)
        self._tokens.put(key, found, TOKEN_S)
        return found

    async def _decide(self, caller: Caller, attributes: Mapping[str, str], of_resource: bool) -> bool:
        spec = {
            "user": caller.name,
            "uid": caller.uid,
            "groups": list(caller.groups),
            "extra": {key: list(values) for key, values in caller.extra},
            "resourceAttributes" if of_resource else "nonResourceAttributes": dict(attributes),
        }
        status = await self._ask("authorization.k8s.io", "subjectaccessreviews", spec)
        return status.get("allowed") is True and status.get("denied") is not True

    async def _ask(self, group: str, plural: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            async with self._gate:
                return await self._reviewer.review(group, plural, spec)
        except ClusterError as failure:
            raise Refusal(503, f"{plural} cannot be made now: {failure}") from failure


def _attributes(metric: MetricPath) -> dict[str, str]:
    return {
        "namespace": metric.namespace,
        "verb": "get",
        "group": GROUP,
        "version": metric.version,
        "resource": metric.resource,
        "subresource": metric.metric,
        "name": metric.name,
    }
