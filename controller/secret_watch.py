"""Watch the Secrets that a service refers to, and no other; only their metadata ever leaves the API server."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from typing import Final

import aiohttp

from controller.cluster import Cluster, annotations_of
from controller.errors import ClusterError, Forbidden
from controller.store import Store
from controller.work_queue import Backoff

_log = logging.getLogger(__name__)

WATCH_S: Final = 300
MOST_WATCHES: Final = 200
PAUSE: Final = Backoff(first_s=2.0, most_s=60.0)

SecretName = tuple[str, str]
"""Namespace and name."""


class SecretWatch:
    """One watch for each referenced Secret, up to 200; Secrets beyond that are read again with each full comparison."""

    def __init__(self, cluster: Cluster, store: Store, changed: Callable[[SecretName], None]) -> None:
        self._cluster = cluster
        self._store = store
        self._changed = changed
        self._tasks: dict[SecretName, asyncio.Task[None]] = {}
        self._known: set[SecretName] = set()

    async def ensure(self, secret: SecretName) -> None:
        """Return when the store knows whether this Secret exists. Raises ClusterError."""
        if secret in self._known:
            return
        annotations = await self._cluster.secret_annotations(*secret)
        if secret in self._known:  # another service asked at the same time
            return
        self._known.add(secret)
        self._remember(secret, annotations)
        if len(self._tasks) < MOST_WATCHES:
            self._tasks[secret] = asyncio.create_task(self._follow(secret), name=f"watch secret {secret[1]}")

    async def refresh(self) -> None:
        """Read every known Secret again, and stop watching those that nobody refers to any more. Raises ClusterError."""
        used = self._store.used("Secret")
        for secret in self._known - used:
            self._known.discard(secret)
            self._store.secrets.pop(secret, None)
            task = self._tasks.pop(secret, None)
            if task is not None:
                task.cancel()
        for secret in list(self._known):
            try:
                await self._read(secret)
            except Forbidden as failure:
                _log.info("secret %s/%s cannot be read: %s", *secret, failure)

    async def close(self) -> None:
        """End all watches."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _read(self, secret: SecretName) -> None:
        self._remember(secret, await self._cluster.secret_annotations(*secret))

    def _remember(self, secret: SecretName, annotations: dict[str, str] | None) -> None:
        before = self._store.secrets.get(secret)
        if annotations is None:
            self._store.secrets.pop(secret, None)
        else:
            self._store.secrets[secret] = annotations
        if before != annotations:
            self._changed(secret)

    async def _follow(self, secret: SecretName) -> None:
        failures = 0
        while True:
            try:
                await self._watch(secret)
                failures = 0
            except (aiohttp.ClientError, ClusterError, OSError, TimeoutError, ValueError) as failure:
                failures += 1
                _log.debug("watch of secret %s/%s ended: %s", *secret, failure)
            except Exception:  # noqa: BLE001 - a defect of ours must not end the watch unseen
                failures += 1
                _log.exception("watch of secret %s/%s: unexpected error", *secret)
            await asyncio.sleep(PAUSE.delay_s(max(1, failures), random.random()))

    async def _watch(self, secret: SecretName) -> None:
        response = await self._cluster.watch_secret(*secret, WATCH_S)
        try:
            response.raise_for_status()
            await self._read(secret)  # a watch begins with what exists, and says nothing of what does not
            async for line in response.content:
                event = json.loads(line)
                if event.get("type") in {"ADDED", "MODIFIED"}:
                    self._remember(secret, annotations_of(event["object"]))
                elif event.get("type") == "DELETED":
                    self._remember(secret, None)
                elif event.get("type") == "ERROR":
                    return
        finally:
            response.close()
