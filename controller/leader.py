"""Leader election by a Lease: of several replicas one works, the others wait warm at the API server's door."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient, V1Lease, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

_log = logging.getLogger(__name__)

RETRY_S: Final = 1.5
HELD_SHARE: Final = 0.9
"""Of the lease's duration: how long after the start of its last renewal this replica still leads."""
_SEPARATOR: Final = "_"


class Elector:
    """Compete for a Lease. `leading` is set while this replica holds it; `run` returns when it lost it."""

    def __init__(
        self, client: ApiClient, *, name: str, namespace: str, holder: tuple[str, str], duration_s: int
    ) -> None:
        """`holder` is the name of this replica and the host:port at which others reach it."""
        # The suffix keeps two processes of one name apart: both would believe that the lease is theirs.
        self.identity = _SEPARATOR.join((*holder, uuid.uuid4().hex[:8]))
        self.leading = asyncio.Event()
        self._lock = _BoundedLock(name, namespace, self.identity, client, timeout_s=duration_s / 4)
        self._duration_s = duration_s
        self._said = ""
        self._election: LeaderElection | None = None

    async def run(self) -> None:
        """Wait for the Lease, hold it, and return when it is lost."""
        self._election = LeaderElection(
            Config(
                self._lock,
                lease_duration=self._duration_s,
                renew_deadline=self._duration_s * 0.65,
                retry_period=min(RETRY_S, self._duration_s / 4),
                onstarted_leading=self._started,
                onstopped_leading=self._stopped,
            )
        )
        election = asyncio.create_task(self._election.run(), name="lease")
        try:
            while not election.done() and (left := self._left_s()) > 0:
                await asyncio.wait([election], timeout=left)
                self._say_who_leads()
        finally:
            self.leading.clear()
            election.cancel()
            await asyncio.gather(election, return_exceptions=True)
        if election.cancelled():
            await self._stopped()
        else:
            election.result()

    def _say_who_leads(self) -> None:
        said = self._lock.problem or (f"{self.leader()} leads" if self.leader() else "nobody leads yet")
        if not self.leading.is_set() and said != self._said:
            _log.info("this replica waits: %s", said)
            self._said = said

    def _left_s(self) -> float:
        """Return for how long the Lease is surely held: slow requests can keep the library from its own deadline."""
        if not self.leading.is_set():
            return RETRY_S
        return self._lock.renewed_at + self._duration_s * HELD_SHARE - time.monotonic()

    def may_write(self) -> bool:
        """Return whether the Lease is surely held now: a process that was held up goes on before it can learn of a loss."""
        return self.leading.is_set() and self._left_s() > 0

    async def release(self) -> None:
        """Give the Lease up, so that the next replica need not wait for it to run out."""
        if self._election is None or self.leader() != self.identity:
            return
        try:
            await self._lock.give_up()
        except (ApiException, aiohttp.ClientError, OSError, TimeoutError) as failure:
            _log.info("the lease could not be released and has to run out: %s", failure)

    def leader(self) -> str | None:
        """Return the identity of the replica that was last seen to lead."""
        record = self._election.observed_record if self._election else None
        return record.holder_identity if record else None

    def leader_address(self) -> str | None:
        """Return http://host:port of the leader; None when there is none or it is this replica."""
        parts = (self.leader() or "").rsplit(_SEPARATOR, 2)
        return f"http://{parts[1]}" if len(parts) == 3 and self.leader() != self.identity else None

    async def _started(self) -> None:
        _log.info("this replica leads (%s)", self.identity)
        self.leading.set()

    async def _stopped(self) -> None:
        _log.warning("the lease could not be renewed; this replica does not lead any more")


class _BoundedLock(LeaseLock):
    """The Lease, with requests that end: the library's wait five minutes and let connection errors through."""

    def __init__(self, name: str, namespace: str, identity: str, client: ApiClient, *, timeout_s: float) -> None:
        super().__init__("", namespace, identity, client)
        self.name = name
        self.renewed_at = 0.0  # time.monotonic() before the request
        self.problem = ""  # of the last request
        self._timeout_s = timeout_s

    async def get(self, name: str, namespace: str) -> Any:
        return await self._bounded(lambda: super(_BoundedLock, self).get(name, namespace), failed=_no_answer)

    async def create(self, name: str, namespace: str, election_record: Any) -> bool:
        # Not by the library's own method: it asks for pretty=True, which the client of the same library refuses.
        lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
        return await self._held(lambda: self._created(namespace, lease))

    async def _created(self, namespace: str, lease: V1Lease) -> bool:
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException as refusal:  # another replica was faster, or there is no permission
            _log.info("the lease could not be created: %s", refusal.reason)
            return False
        return True

    async def update(self, name: str, namespace: str, updated_record: Any) -> bool:
        return await self._held(lambda: super(_BoundedLock, self).update(name, namespace, updated_record))

    async def give_up(self) -> None:
        """Leave the Lease without a holder, if it has not changed hands."""
        async with asyncio.timeout(self._timeout_s):
            # Read anew: the version that the library keeps is the one before our own last update.
            lease = await self.api_instance.read_namespaced_lease(self.name, self.namespace)
            if lease.spec is None or lease.spec.holder_identity != self.identity:
                return
            lease.spec.holder_identity = ""
            await self.api_instance.replace_namespaced_lease(self.name, self.namespace, lease)

    async def _held(self, request: Callable[[], Any]) -> bool:
        begun = time.monotonic()
        held: bool = await self._bounded(request, failed=lambda _: False)
        if held:
            self.renewed_at = begun
        return held

    async def _bounded(self, request: Callable[[], Any], failed: Callable[[Exception], Any]) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await request()
        except (aiohttp.ClientError, OSError, TimeoutError) as failure:
            self.problem = f"the API server does not answer ({type(failure).__name__})"
            return failed(failure)
        self.problem = ""
        return answer


def _no_answer(failure: Exception) -> tuple[bool, ApiException]:
    return False, ApiException(status=0, reason=f"{type(failure).__name__}: {failure}")
