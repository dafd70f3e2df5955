"""Scales the processes of a service's workers by the rule of Kubernetes' autoscaler, as `sedna run` does it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from sedna_py.api.child_names import Role
from sedna_py.autoscaling.autoscaler import READ_S, Autoscaler, Goals, Readings, expected_load
from sedna_py.local.replicas import Replicas
from sedna_py.local.supervisor import Say

SYNC_S: Final = 15.0  # Kubernetes' own


@dataclass(frozen=True, slots=True)
class Scaled:
    """A worker's processes and what its autoscaler is told; None: they are read only, for the early warning."""

    replicas: Replicas
    goals: Goals | None


class LocalScaling:
    """Scales each of the workers until it is cancelled."""

    def __init__(self, scaled: Mapping[Role, Scaled], say: Say, sync_s: float = SYNC_S) -> None:
        self._replicas = {role: one.replicas for role, one in scaled.items()}
        self._readings = {role: Readings(one.replicas) for role, one in scaled.items()}
        self._autoscalers = {
            role: Autoscaler(one.replicas, self._readings[role], one.goals, self._expected_load)
            for role, one in scaled.items()
            if one.goals is not None
        }
        self._say = say
        self._sync_s = sync_s

    async def run(self) -> None:
        """Read, look and decide for ever; ends the replicas when it is cancelled."""
        due = time.monotonic() + self._sync_s
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                while True:
                    await asyncio.gather(*(replicas.read(client) for replicas in self._replicas.values()))
                    self._look()
                    if time.monotonic() >= due:
                        due += self._sync_s
                        self._decide()
                    await asyncio.sleep(min(READ_S, max(due - time.monotonic(), 0.05)))
        finally:
            await asyncio.gather(*(self.end(role) for role in tuple(self._replicas)))

    async def end(self, role: Role) -> None:
        """Scale a worker no more, and end all its processes but the first."""
        self._autoscalers.pop(role, None)
        replicas = self._replicas.pop(role, None)
        if replicas is not None:
            await replicas.close()

    def _look(self) -> None:
        for readings in self._readings.values():
            readings.take()
        for autoscaler in self._autoscalers.values():
            autoscaler.look(time.monotonic())

    def _decide(self) -> None:
        for role, autoscaler in self._autoscalers.items():
            before = len(self._replicas[role].pods)
            decision = autoscaler.decide(time.monotonic())
            if decision.replicas != before:
                self._say(role, f"{before} -> {decision.replicas} replicas: {decision.reason.value}")

    def _expected_load(self) -> float | None:
        edge, cloud = self._readings.get(Role.EDGE), self._readings.get(Role.CLOUD)
        return expected_load(edge, cloud) if edge is not None and cloud is not None else None
