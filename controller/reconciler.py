"""One pass over one service: read what is known, decide what shall be, apply it, say how it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.child_sync import CONTESTED_PAUSE_S, ChildSync, Outcome, Owner
from controller.children import ChildKey, ChildKind
from controller.desired_state import DesiredState, Placement, Surroundings, desired_state
from controller.errors import ClusterError, Forbidden, NameTaken, Refused
from controller.exposure_view import seen_exposure
from controller.handlers import ANY_NODE
from controller.nodes import home_of
from controller.parsed import Parser, service_findings
from controller.reasons import Reason
from controller.resources.cloud_address import SeenExposure, needs_node
from controller.secret_watch import SecretWatch
from controller.status_sync import Situation, StatusSync
from controller.store import ServiceKey, Store
from sedna_py.api.child_names import Role, cloud_service_name, deployment_name
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model


@dataclass(frozen=True)
class Parts:
    """What a reconciler works with."""

    store: Store
    children: ChildSync
    status: StatusSync
    secrets: SecretWatch
    placement: Placement
    nodes_known: bool = True
    learn: Callable[[ServiceKey, JointInferenceService], None] = lambda *_: None
    """Told of each service that can be read, before anything is done about it."""
    forget: Callable[[ServiceKey], None] = lambda _: None


@dataclass(frozen=True)
class Look:
    """When the next pass is due, None if events will tell; what of this one has to be tried again; how it went."""

    after_s: float | None = None
    failure: ClusterError | NameTaken | None = None
    blocked: bool = False
    """A worker waits for something that is not there or cannot be used."""


class Reconciler:
    """Brings services to what they should be, one at a time per service."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._services: Parser[JointInferenceService] = Parser(JointInferenceService)
        self._models: Parser[Model] = Parser(Model)
        self._uids: dict[ServiceKey, str] = {}

    async def reconcile(self, key: ServiceKey) -> Look:
        """Do one pass; a failure that is returned is in the status already. Raises ClusterError for one that is not."""
        document = self._parts.store.services.get(key)
        uid = document["metadata"]["uid"] if document else None
        self._forget_earlier(key, uid)
        if document is None or uid is None:
            return Look()
        self._uids[key] = uid
        if document["metadata"].get("deletionTimestamp"):
            return Look()  # the garbage collector has it; making a child again would only fight with it
        parsed = self._services.parse(document)
        findings = service_findings(parsed)
        if parsed.resource is None:
            # What exists stays as it is: a service that cannot be read is no reason to stop one that works.
            unread = Situation(None, findings, DesiredState(()), Outcome())
            return Look(await self._parts.status.sync(key, document, unread), blocked=True)
        self._parts.learn(key, parsed.resource)
        owner = Owner(key.namespace, key.name, uid)
        wanted, unread_secret = await self._wanted(key, parsed.resource)
        outcome = await self._parts.children.sync(owner, wanted)
        if _awaits_address(wanted):  # the Service that was applied just now may have it already
            wanted, unread_secret = await self._wanted(key, parsed.resource)
            if not _awaits_address(wanted):
                outcome = outcome.then(await self._parts.children.sync(owner, wanted))
        said = (*findings, *wanted.remarks)
        again = await self._parts.status.sync(key, document, Situation(parsed.resource, said, wanted, outcome))
        if outcome.contested:
            again = min(again or CONTESTED_PAUSE_S, CONTESTED_PAUSE_S)
        return Look(again, outcome.failure or unread_secret, blocked=bool(wanted.blocked))

    async def _wanted(
        self, key: ServiceKey, service: JointInferenceService
    ) -> tuple[DesiredState, ClusterError | None]:
        """Return what shall be, and why a Secret could not be read. Raises Unavailable where no status can be written."""
        names = {service.spec.edge_worker.model.name, service.spec.cloud_worker.model.name}
        models: dict[str, Model] = {}
        unusable: dict[str, str] = {}
        for name in sorted(names):
            document = self._parts.store.models.get((key.namespace, name))
            if document is not None:
                parsed = self._models.parse(document)
                if parsed.resource is not None:
                    models[name] = parsed.resource
                else:
                    unusable[name] = parsed.problem
        credentials = {model.spec.credential_name for model in models.values() if model.spec.credential_name}
        self._parts.store.uses(key, self._things(key, service, names, credentials))
        failures = await self._unread(key.namespace, credentials)
        for name, model in list(models.items()):
            if (failure := failures.get(model.spec.credential_name or "")) is not None:
                unusable[name] = f"its Secret {model.spec.credential_name} cannot be read: {failure}"
                del models[name]
        secrets = self._secrets(key.namespace, credentials)
        around = Surroundings(models, unusable, secrets, self._exposure(key, service))
        return desired_state(service, around, self._parts.placement), next(iter(failures.values()), None)

    async def _unread(self, namespace: str, secrets: set[str]) -> dict[str, ClusterError]:
        """Learn of the Secrets; return those that may not be read. Raises the other ClusterErrors."""
        names = sorted(secrets)
        reads = (self._parts.secrets.ensure((namespace, name)) for name in names)
        failures = dict(zip(names, await asyncio.gather(*reads, return_exceptions=True), strict=True))
        for failure in failures.values():
            if failure is not None and not isinstance(failure, (Forbidden, Refused)):
                raise failure
        return {name: failure for name, failure in failures.items() if isinstance(failure, ClusterError)}

    def _secrets(self, namespace: str, names: set[str]) -> Mapping[str, Mapping[str, str]]:
        known = {name: self._parts.store.secrets.get((namespace, name)) for name in sorted(names)}
        return {name: annotations for name, annotations in known.items() if annotations is not None}

    def _exposure(self, key: ServiceKey, service: JointInferenceService) -> SeenExposure:
        """Return what the cluster tells of the way to the cloud worker."""
        store, uid = self._parts.store, service.metadata.uid or ""
        front = store.owned_child(key.namespace, ChildKey(ChildKind.SERVICE, cloud_service_name(key.name)), uid)
        edge = store.owned_child(
            key.namespace, ChildKey(ChildKind.DEPLOYMENT, deployment_name(key.name, Role.EDGE)), uid
        )
        return seen_exposure(front, edge, store.nodes if self._parts.nodes_known else None)

    def _things(
        self, key: ServiceKey, service: JointInferenceService, models: set[str], secrets: set[str]
    ) -> set[tuple[str, str, str]]:
        """Return everything whose change concerns the service."""
        workers = (service.spec.edge_worker, service.spec.cloud_worker)
        known = self._parts.store.nodes
        pods = [worker.template.spec.placing for worker in workers]
        nodes = {
            home_of(spec, known) for spec in (*pods, *(pod.get("spec", {}) for pod in self._parts.store.pods(key)))
        }
        if needs_node(service):
            nodes.add(ANY_NODE)
        return {
            *(("Model", key.namespace, name) for name in models),
            *(("Secret", key.namespace, name) for name in secrets),
            *(("Node", "", name) for name in nodes if name),
        }

    def _forget_earlier(self, key: ServiceKey, uid: str | None) -> None:
        """Forget what is remembered of a service that is gone, also when another one has its name now."""
        before = self._uids.get(key)
        if before is None or before == uid:
            return
        del self._uids[key]
        self._services.forget(before)
        self._parts.children.forget(before)
        self._parts.status.forget(before)
        self._parts.forget(key)


def _awaits_address(wanted: DesiredState) -> bool:
    return any(blocked.reason is Reason.CLOUD_ADDRESS_PENDING for blocked in wanted.blocked)
