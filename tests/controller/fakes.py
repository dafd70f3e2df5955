"""An API server in memory, with the method signatures of controller.cluster.Cluster, and a controller's parts around it.

It keeps resource versions, uids and the owners of fields as a real one does, as far as the controller looks at them. What it
writes is told to a store only by `deliver`, so that a test decides what overtakes what.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp

from controller.children import ChildKey, ChildKind
from controller.cluster import FIELD_MANAGER
from controller.errors import ClusterError, Conflict, NotFound
from controller.handlers import Intake

Object = dict[str, Any]
_BY_SERVER = ("name", "namespace", "uid", "resourceVersion", "managedFields", "deletionTimestamp")


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody sets an event for a test
            await asyncio.sleep(0.001)


class FakeCluster:
    """`calls` has each request as `apply Deployment x`; `failures` what they answer instead, one after the other."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, ChildKey], Object] = {}
        self.services: dict[tuple[str, str], Object] = {}
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.others: dict[tuple[str, str, str], Object] = {}  # objects that are no children: by plural, namespace, name
        self.lists: dict[str, list[Object]] = {}
        self.pod_events: dict[str, list[Object]] = {}
        self.calls: list[str] = []
        self.statuses: list[Mapping[str, Any]] = []
        self.events: list[Mapping[str, Any]] = []
        self.failures: dict[str, list[ClusterError]] = {}
        self.before_answer: dict[str, Callable[[], object]] = {}  # what the server adds to what is applied
        self.meanwhile: dict[str, Callable[[], object]] = {}
        """What happens, once, after a request has done its work and before its answer arrives."""
        self.watches: list[Callable[[str, str], Awaitable[Any]]] = []
        self.told: list[tuple[ChildKind, str, Object]] = []
        self._versions = itertools.count(100)

    # what tests do to it

    def deliver(self, intake: Intake) -> None:
        """Tell the store everything that happened to children."""
        told, self.told = self.told, []
        for kind, event, document in told:
            intake.child(kind, event, copy.deepcopy(document))

    def edit(self, namespace: str, key: ChildKey, path: str, value: Any, manager: str = "kubectl-edit") -> None:
        """Set a field, as a person or a program other than the controller does."""
        live = self.objects[namespace, key]
        *parents, last = path.split(".")
        at = live
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = value
        tree = _tree(_nested(path, value))
        fields = live["metadata"]["managedFields"]
        for entry in fields:
            entry["fieldsV1"] = _minus(entry["fieldsV1"], tree)
        fields.append({"manager": manager, "operation": "Update", "fieldsV1": tree})
        self._changed(namespace, key, "MODIFIED")

    def touch(self, namespace: str, key: ChildKey, status: Mapping[str, Any]) -> None:
        """Write a status, as the controller-manager does all the time."""
        self.objects[namespace, key]["status"] = dict(status)
        self._changed(namespace, key, "MODIFIED")

    def remove(self, namespace: str, key: ChildKey) -> None:
        """Delete a child."""
        live = self.objects.pop((namespace, key))
        live["metadata"]["resourceVersion"] = self.version()
        self.told.append((key.kind, "DELETED", live))

    def put(self, namespace: str, kind: ChildKind, manifest: Mapping[str, Any]) -> Object:
        """Make an object that the controller did not make."""
        live: Object = copy.deepcopy(dict(manifest))
        live["metadata"] = {"namespace": namespace, "uid": f"uid-{self.version()}", **live["metadata"]}
        live["metadata"].setdefault("managedFields", [])
        key = ChildKey(kind, live["metadata"]["name"])
        self.objects[namespace, key] = live
        return self._changed(namespace, key, "ADDED")

    def version(self) -> str:
        return str(next(self._versions))

    def _changed(self, namespace: str, key: ChildKey, event: str) -> Object:
        live = self.objects[namespace, key]
        live["metadata"]["resourceVersion"] = self.version()
        self.told.append((key.kind, event, copy.deepcopy(live)))
        return copy.deepcopy(live)

    async def _called(self, call: str) -> None:
        await asyncio.sleep(0)  # as every request lets others go on
        self.calls.append(call)
        if self.failures.get(call):
            raise self.failures[call].pop(0)

    def _answer(self, call: str, answer: Any) -> Any:
        answer = copy.deepcopy(answer)
        self.meanwhile.pop(call, lambda: None)()
        return answer

    # what the controller asks of it

    async def close(self) -> None:
        return None

    async def get_child(self, namespace: str, key: ChildKey) -> Object | None:
        await self._called(f"get {key}")
        return self._answer(f"get {key}", self.objects.get((namespace, key)))

    async def apply_child(
        self, namespace: str, kind: ChildKind, manifest: Mapping[str, Any], uid: str | None
    ) -> Object:
        key = ChildKey(kind, manifest["metadata"]["name"])
        await self._called(f"apply {key}")
        live = self.objects.get((namespace, key))
        if uid and uid != (live or {"metadata": {"uid": None}})["metadata"]["uid"]:
            raise Conflict("uid mismatch", 409, "Conflict")
        before = copy.deepcopy(live)
        if live is None:
            live = self.objects[namespace, key] = {"metadata": {"namespace": namespace, "uid": f"uid-{self.version()}"}}
        self._merge(live, manifest)
        self.before_answer.pop(f"apply {key}", lambda: None)()
        if live != before:
            self._changed(namespace, key, "ADDED" if before is None else "MODIFIED")
        return self._answer(f"apply {key}", live)

    def _merge(self, live: Object, manifest: Mapping[str, Any]) -> None:
        tree = _tree(manifest)
        entries = [entry for entry in live["metadata"].get("managedFields", ()) if entry["manager"] != FIELD_MANAGER]
        for entry in entries:
            entry["fieldsV1"] = _minus(entry["fieldsV1"], tree)
        _merge(live, copy.deepcopy(dict(manifest)))
        ours = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": tree}
        live["metadata"]["managedFields"] = [ours, *(entry for entry in entries if entry["fieldsV1"])]

    async def patch_child(self, namespace: str, key: ChildKey, operations: Sequence[Mapping[str, Any]]) -> Object:
        await self._called(f"patch {key}")
        live = self.objects[namespace, key]
        versions = [step["value"] for step in operations if step["path"] == "/metadata/resourceVersion"]
        if any(version != live["metadata"]["resourceVersion"] for version in versions):
            raise Conflict("the object has been modified", 409, "Conflict")
        for operation in operations:
            *parents, last = operation["path"].strip("/").split("/")
            at = live
            for part in parents:
                at = at[part]
            if operation["op"] == "remove":
                del at[last]
            else:
                at[last] = copy.deepcopy(operation["value"])
        return self._answer(f"patch {key}", self._changed(namespace, key, "MODIFIED"))

    async def scale_child(self, namespace: str, key: ChildKey, version: str, patch: Mapping[str, Any]) -> Object:
        await self._called(f"scale {key}")
        live = self.objects.get((namespace, key))
        if live is None:
            raise NotFound("there is no such child", 404, "NotFound")
        if version != live["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", 409, "Conflict")
        merged = _merge_patch(live, patch)
        live.clear()
        live.update(merged)
        return self._answer(f"scale {key}", self._changed(namespace, key, "MODIFIED"))

    async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> Object | None:
        await self._called(f"get {plural} {name}")
        return self._answer(f"get {plural} {name}", self.others.get((plural, namespace or "", name)))

    async def apply_object(self, plural: str, namespace: str | None, manifest: Mapping[str, Any]) -> Object:
        name = manifest["metadata"]["name"]
        await self._called(f"apply {plural} {name}")
        self.others[plural, namespace or "", name] = copy.deepcopy(dict(manifest))
        return self._answer(f"apply {plural} {name}", manifest)

    async def delete_named(self, api_version: str, plural: str, namespace: str, name: str) -> bool:
        await self._called(f"delete {plural} {name}")
        return self.others.pop((plural, namespace, name), None) is not None

    async def delete_object(self, plural: str, namespace: str | None, found: Mapping[str, Any]) -> bool:
        name = found["metadata"]["name"]
        await self._called(f"delete {plural} {name}")
        return self.others.pop((plural, namespace or "", name), None) is not None

    async def review(self, group: str, plural: str, spec: Mapping[str, Any]) -> Object:
        await self._called(f"review {plural}")
        return {}

    async def delete_child(self, namespace: str, key: ChildKey, uid: str) -> bool:
        await self._called(f"delete {key}")
        live = self.objects.get((namespace, key))
        if live is None:
            return False
        if live["metadata"]["uid"] != uid:
            raise Conflict("the UID in the precondition does not match", 409, "Conflict")
        self.remove(namespace, key)
        return True

    async def is_kept(self, namespace: str, name: str, uid: str) -> bool:
        await self._called(f"get service {name}")
        service = self.services.get((namespace, name), {"metadata": {}})["metadata"]
        return service.get("uid") == uid and "deletionTimestamp" not in service

    async def write_status(self, namespace: str, name: str, uid: str, status: Mapping[str, Any]) -> Object:
        await self._called(f"status {name}")
        service = self.services.get((namespace, name))
        if service is None:
            raise NotFound("there is no such service", 404, "NotFound")
        if service["metadata"]["uid"] != uid:
            raise Conflict("the UID in the precondition does not match", 409, "Conflict")
        self.statuses.append(copy.deepcopy(status))
        service["status"] = _merge_patch(service.get("status"), status)
        service["metadata"]["resourceVersion"] = self.version()
        return self._answer(f"status {name}", service)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        await self._called("event")
        self.events.append(event)

    async def events_about(self, namespace: str, uid: str) -> list[Object]:
        await self._called(f"events of {uid}")
        return self.pod_events.get(uid, [])

    async def secret_annotations(self, namespace: str, name: str) -> dict[str, str] | None:
        await self._called(f"get Secret {name}")
        return self._answer(f"get Secret {name}", self.secrets.get((namespace, name)))

    async def list_objects(self, api_version: str, plural: str, namespace: str | None, selector: str) -> list[Object]:
        call = f"list {plural}" + (f" in {namespace}" if namespace else "")
        await self._called(call)
        found = self.lists.get(plural, [])
        return self._answer(call, [item for item in found if namespace in {None, item["metadata"].get("namespace")}])

    async def watch_secret(self, namespace: str, name: str, seconds: int) -> aiohttp.ClientResponse:
        await self._called(f"watch Secret {name}")
        response: aiohttp.ClientResponse = await self.watches.pop(0)(namespace, name)
        return response


def _merge_patch(live: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge_patch(merged.get(name), value)
    return merged


def _merge(live: Object, wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if isinstance(value, dict) and isinstance(live.get(name), dict):
            _merge(live[name], value)
        else:
            live[name] = value


def _tree(value: Any) -> Object:
    """Return the fields of a value as managedFields has them; a list is one field here."""
    if not isinstance(value, dict):
        return {}
    return {
        f"f:{name}": _tree(below) for name, below in value.items() if name not in ("apiVersion", "kind", *_BY_SERVER)
    }


def _nested(path: str, value: Any) -> Object:
    first, _, rest = path.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _minus(tree: Mapping[str, Any], taken: Mapping[str, Any]) -> Object:
    left = {}
    for name, below in tree.items():
        if name not in taken:
            left[name] = below
        elif below and taken[name]:
            rest = _minus(below, taken[name])
            if rest:
                left[name] = rest
    return left
