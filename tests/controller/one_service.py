"""Service shop/helmet with the parts of a controller around it, on a fake API server."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from controller.child_sync import ChildSync
from controller.children import ChildKey, ChildKind
from controller.event_writer import EventWriter
from controller.handlers import Intake
from controller.metrics import ControllerMetrics
from controller.reconciler import Look, Parts, Reconciler
from controller.secret_watch import SecretWatch
from controller.settings import ControllerSettings
from controller.status_sync import StatusSync
from controller.store import ServiceKey, Store
from tests.controller.fakes import FakeCluster
from tests.controller.wanted_objects import PLACEMENT
from tests.refused_documents import changed, model, service

HELMET = ServiceKey("shop", "helmet")
CLOUD = ChildKey(ChildKind.DEPLOYMENT, "helmet-deployment-cloud")
EDGE = ChildKey(ChildKind.DEPLOYMENT, "helmet-deployment-edge")
FRONT = ChildKey(ChildKind.SERVICE, "helmet-cloud")
PODS = ChildKey(ChildKind.SERVICE, "helmet-cloud-pods")
EDGE_HPA = ChildKey(ChildKind.HPA, "hpa-helmet-deployment-edge")


def helmet(uid: str = "one", generation: int = 1, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the service's document; `changes` has values by their paths."""
    document = service()
    for path, value in (changes or {}).items():
        document = changed(document, path, value)
    metadata = {"name": "helmet", "namespace": "shop", "uid": uid, "generation": generation}
    return {**document, "metadata": metadata}


class Site:
    """One controller process's knowledge, and the API server that outlives it: `restart` forgets the one, not the other."""

    def __init__(self, **settings: Any) -> None:
        self.cluster = FakeCluster()
        self.settings = ControllerSettings(**{"STATUS_INTERVAL_S": 0, "REPORT_INTERVAL_S": 0, **settings})
        self.models = {("shop", "m"): self._versioned(model("/models/yolo.xml", "m"))}
        self.clock = 1000.0
        self.restart()

    def restart(self) -> None:
        """Begin as a new process that has listed everything."""
        self.store = Store()
        self.enqueued: list[ServiceKey] = []
        self.intake = Intake(self.store, self.enqueued.append)
        cluster: Any = self.cluster
        metrics = ControllerMetrics(CollectorRegistry())
        writer = EventWriter(cluster, metrics, "pod-1", lambda: self.clock)
        self.secrets = SecretWatch(cluster, self.store, self.intake.secret)
        self.status = StatusSync(cluster, self.store, self.settings, metrics, writer)
        self.children = ChildSync(cluster, self.store, lambda: self.clock)
        self.reconciler = Reconciler(
            Parts(self.store, self.children, self.status, self.secrets, PLACEMENT, not self.settings.namespaces)
        )
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.intake.node(None, {"metadata": {"name": "n", "uid": "uid of n"}, "status": ready})
        for document in self.models.values():
            self.intake.model(None, document)
        self.cluster.told.clear()
        for (_, key), live in self.cluster.objects.items():
            self.intake.child(key.kind, None, copy.deepcopy(live))
        for document in self.cluster.services.values():
            self.intake.service(None, copy.deepcopy(document))

    def _versioned(self, document: dict[str, Any]) -> dict[str, Any]:
        about = {"namespace": "shop", "uid": f"uid of {document['metadata']['name']}", "generation": 1}
        return {
            **document,
            "metadata": {**document["metadata"], **about, "resourceVersion": self.cluster.version()},
        }

    def put(self, document: dict[str, Any]) -> None:
        """Create or change the service; its status stays what it is."""
        metadata = document["metadata"]
        metadata["resourceVersion"] = self.cluster.version()
        before = self.cluster.services.get(HELMET)
        if before is not None and before["metadata"]["uid"] == metadata["uid"] and "status" in before:
            document = {**document, "status": before["status"]}
        self.cluster.services[HELMET] = document
        self.intake.service("MODIFIED", copy.deepcopy(document))

    def end(self) -> None:
        """Delete the service; its children stay, as the garbage collector has not come yet."""
        gone = self.cluster.services.pop(HELMET)
        gone["metadata"]["resourceVersion"] = self.cluster.version()
        self.intake.service("DELETED", gone)

    def put_model(self, document: dict[str, Any]) -> None:
        """Create or change a Model."""
        versioned = self._versioned(document)
        versioned["metadata"]["generation"] = int(versioned["metadata"]["resourceVersion"])
        self.models["shop", document["metadata"]["name"]] = versioned
        self.intake.model("MODIFIED", versioned)

    def put_pod(self, name: str, role: str = "edge", uid: str = "one", **status: Any) -> None:
        """Let a pod of the service be seen."""
        prefix = "jointinferenceservice.sedna.io"
        labels = {f"{prefix}/name": "helmet", f"{prefix}/uid": uid, f"{prefix}/worker-type": role}
        about = {"name": name, "namespace": "shop", "uid": f"uid of {name}", "labels": labels}
        metadata = {**about, "resourceVersion": self.cluster.version(), "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.intake.pod("MODIFIED", {"metadata": metadata, "spec": {"nodeName": "n"}, "status": status})

    def reconcile(self, *, deliver: bool = True) -> Look:
        """Do one pass, and let its events come back."""

        async def one() -> Look:
            try:
                return await self.reconciler.reconcile(HELMET)
            finally:
                await self.secrets.close()

        look = asyncio.run(one())
        if deliver:
            self.cluster.deliver(self.intake)
        return look

    def calls(self) -> list[str]:
        """Return the requests since the last look."""
        calls, self.cluster.calls = self.cluster.calls, []
        return calls

    def writes(self) -> list[str]:
        """Return the requests since the last look that alter something."""
        return [call for call in self.calls() if not call.startswith(("get", "list", "events of", "watch"))]

    def told(self) -> list[str]:
        """Return the events since the last look, as `Reason message`."""
        events, self.cluster.events = self.cluster.events, []
        return [f"{event['reason']} {event['message']}" for event in events]

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Return status, reason and message of a condition as it was last written."""
        conditions = self.cluster.services[HELMET]["status"]["conditions"]
        found = next(item for item in conditions if item["type"] == kind)
        return found["status"], found["reason"], found["message"]
