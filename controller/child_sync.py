"""Bring the children of one service to what is wanted: apply what differs, delete what is no longer wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from controller.children import Child, ChildKey, ChildKind
from controller.cluster import FIELD_MANAGER, Cluster, Object
from controller.desired_state import DesiredState, manifest_bytes
from controller.errors import ClusterError, Conflict, Forbidden, NameTaken, Refused, Unavailable
from controller.foreign_fields import foreign_fields, overwrite, ownership
from controller.reasons import Reason
from controller.store import LiveChild, Store, live_child
from sedna_py.api.child_names import Role, cloud_pods_name, deployment_name, hpa_name

MOST_REPAIRS: Final = 10
MOST_LOOKS: Final = 3
REPAIR_WINDOW_S: Final = 60.0
CONTESTED_PAUSE_S: Final = 5.0
"""Between two repairs of a child that was repaired so often; a person who edits that fast still waits < 10 s."""


class Change(StrEnum):
    """What was done to a child."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    UPDATED = "updated"  # because the service changed
    REPAIRED = "repaired"  # because somebody else changed or deleted the child
    DELETED = "deleted"


@dataclass(frozen=True)
class Owner:
    """The service whose children these are."""

    namespace: str
    name: str
    uid: str


@dataclass
class Outcome:
    """What became of the children: the changes made, and per worker what could not be done."""

    changes: dict[ChildKey, Change] = field(default_factory=dict)
    problems: dict[tuple[ChildKind, Role], tuple[Reason, str]] = field(default_factory=dict)
    contested: list[ChildKey] = field(default_factory=list)
    """Children that somebody changes as fast as they are repaired; they are left alone for a while."""
    failure: ClusterError | NameTaken | None = None
    """The worst of the failures: an Unavailable if there was one, for that is worth an early retry."""

    def note(self, child: Child, failure: ClusterError | NameTaken) -> None:
        """Remember that a child could not be applied."""
        self.problems.setdefault((child.kind, child.role), (_reason(failure), f"{child.key}: {failure}"))
        self.failed(failure)

    def failed(self, failure: ClusterError | NameTaken) -> None:
        """Remember that something has to be tried again."""
        if self.failure is None or isinstance(failure, Unavailable):
            self.failure = failure

    def then(self, later: Outcome) -> Outcome:
        """Return what became of the children in this pass and the one that followed at once."""
        done = {key: change for key, change in self.changes.items() if change is not Change.UNCHANGED}
        return replace(later, changes={**later.changes, **done})


@dataclass(frozen=True)
class _Applied:
    """What was applied last, and the ownership that the server wrote down for it."""

    digest: bytes
    ownership: bytes | None
    uid: str


class ChildSync:
    """Knows what it applied, so that a child that nobody touched costs no request."""

    def __init__(self, cluster: Cluster, store: Store, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._store = store
        self._clock = clock
        self._repairs: dict[str, dict[ChildKey, list[float]]] = {}  # when, by the service's uid
        self._applied: dict[str, dict[ChildKey, _Applied]] = {}  # by the service's uid

    def forget(self, uid: str) -> None:
        """Forget a service that is gone."""
        self._applied.pop(uid, None)
        self._repairs.pop(uid, None)

    async def sync(self, owner: Owner, wanted: DesiredState) -> Outcome:
        """Apply and prune. What fails is in the outcome; a failure of one child does not keep the others waiting."""
        outcome = Outcome()
        for child in wanted.children:
            if self._is_contested(owner, child):
                outcome.contested.append(child.key)
                continue
            try:
                change = await self._apply(owner, child)
            except (ClusterError, NameTaken) as failure:
                outcome.note(child, failure)
            else:
                outcome.changes[child.key] = change
                if change is Change.REPAIRED:
                    self._repairs.setdefault(owner.uid, {}).setdefault(child.key, []).append(self._clock())
        await self._prune(owner, wanted, outcome)
        return outcome

    def _is_contested(self, owner: Owner, child: Child) -> bool:
        """Tell whether a child was repaired so often that another program must be working against us."""
        times = self._repairs.get(owner.uid, {}).get(child.key)
        if not times:
            return False
        now = self._clock()
        times[:] = [moment for moment in times if now - moment < REPAIR_WINDOW_S]
        return len(times) >= MOST_REPAIRS and now - times[-1] < CONTESTED_PAUSE_S

    async def _apply(self, owner: Owner, child: Child) -> Change:
        known = self._applied.setdefault(owner.uid, {})
        before = known.get(child.key)
        digest = hashlib.sha256(manifest_bytes(child)).digest()
        live = self._store.child(owner.namespace, child.key)
        if live is None:
            live = await self._find(owner, child)
        if live is not None:
            await self._claim(owner, child, live)
            if live.deleting:
                return Change.UNCHANGED  # it is made again when it is gone
            if before == _Applied(digest, live.ownership, live.uid) and not live.foreign:
                return Change.UNCHANGED
        try:
            answer = await self._write(owner, child, live)
            answer = await self._remove_foreign(owner, child, answer)
        except Conflict as failure:
            await self._look_again(owner, child, live)
            raise Unavailable(f"changed at the same time: {failure.message}", failure.code, failure.reason) from failure
        self._store.put_child(child.kind, answer)
        now = live_child(answer)  # not what the store has: an edit that came meanwhile must still be seen as one
        known[child.key] = _Applied(digest, now.ownership, now.uid)
        return _change(before, live, now, digest)

    async def _find(self, owner: Owner, child: Child) -> LiveChild | None:
        """Look for an object of this name that the watch does not show: somebody else's, or ours without its labels."""
        found = await self._cluster.get_child(owner.namespace, child.key)
        return None if found is None else live_child(found)

    async def _look_again(self, owner: Owner, child: Child, live: LiveChild | None) -> None:
        """Learn what there is of a child that is not what was thought: its event may have been missed."""
        found = await self._cluster.get_child(owner.namespace, child.key)
        if found is not None:
            self._store.put_child(child.kind, found)
        elif live is not None:
            self._store.drop_child(child.kind, live.manifest)

    async def _claim(self, owner: Owner, child: Child, live: LiveChild) -> None:
        """Return if the object is the service's, or has only lost its owner. Raises NameTaken, or Unavailable."""
        if live.owner_uid == owner.uid:
            return
        before = self._applied.get(owner.uid, {}).get(child.key)
        known = before is not None and before.uid == live.uid
        if live.owner_uid is not None or not (known or live.service_uid == owner.uid):
            raise _taken(child, live)
        # Deleting a service with --cascade=orphan looks the same for a moment: what was set free on purpose stays free.
        if not await self._cluster.is_kept(owner.namespace, owner.name, owner.uid):
            raise Unavailable("the service is being deleted")

    async def _write(self, owner: Owner, child: Child, live: LiveChild | None) -> Object:
        try:
            return await self._cluster.apply_child(
                owner.namespace, child.kind, child.manifest, live.uid if live else None
            )
        except Refused:
            if live is None:
                raise
            return await self._overwrite(owner, child, live)

    async def _overwrite(self, owner: Owner, child: Child, live: LiveChild) -> Object:
        """Replace what others put in, where it does not go together with what is applied; Refused if that is not why."""
        await self._cluster.patch_child(owner.namespace, child.key, overwrite(live.manifest, child.manifest))
        return await self._cluster.apply_child(owner.namespace, child.kind, child.manifest, live.uid)

    async def _remove_foreign(self, owner: Owner, child: Child, answer: Object) -> Object:
        """Remove what others added; what the server fills in for it may need a second look."""
        for _ in range(MOST_LOOKS):
            operations = foreign_fields(answer, FIELD_MANAGER)
            if not operations:
                break
            try:
                answer = await self._cluster.patch_child(owner.namespace, child.key, operations)
            except Conflict:  # most often the controller-manager wrote its status meanwhile
                found = await self._cluster.get_child(owner.namespace, child.key)
                if found is None or _marks(found) != _marks(answer):
                    raise  # somebody edited or replaced it: that must not be taken for what was applied
                answer = found
        return answer

    async def _prune(self, owner: Owner, wanted: DesiredState, outcome: Outcome) -> None:
        keep = {child.key.name for child in wanted.children}
        for blocked in wanted.blocked:  # what there is of a worker that has to wait stays as it is
            keep |= {deployment_name(owner.name, blocked.role), hpa_name(owner.name, blocked.role)}
            if blocked.role is Role.EDGE:  # it may still ask for the pods there
                keep.add(cloud_pods_name(owner.name) or "")
        for key, live in list(self._store.children_of(owner.uid)):
            if key.name in keep or live.deleting:
                continue
            try:
                deleted = await self._cluster.delete_child(owner.namespace, key, live.uid)
            except Conflict:
                continue  # another object by now; its own event brings us back
            except ClusterError as failure:
                outcome.failed(failure)
                continue
            self._applied.get(owner.uid, {}).pop(key, None)
            if deleted:
                outcome.changes[key] = Change.DELETED
            else:
                self._store.drop_child(key.kind, live.manifest)


def _marks(manifest: Object) -> tuple[str, bytes | None]:
    return str(manifest["metadata"].get("uid")), ownership(manifest, FIELD_MANAGER)


def _change(before: _Applied | None, live: LiveChild | None, now: LiveChild, digest: bytes) -> Change:
    if live is None:
        return Change.CREATED if before is None else Change.REPAIRED
    if _is_same(live, now):
        return Change.UNCHANGED
    return Change.UPDATED if before is None or before.digest != digest else Change.REPAIRED


def _is_same(live: LiveChild, now: LiveChild) -> bool:
    """Tell whether nothing of ours changed; the version alone does not say it, as statuses are written all the time."""
    return live.version == now.version or (live.ownership == now.ownership and _wanted_part(live) == _wanted_part(now))


def _wanted_part(child: LiveChild) -> Object:
    metadata = {name: child.manifest["metadata"].get(name) for name in ("labels", "ownerReferences")}
    spec = {name: value for name, value in (child.manifest.get("spec") or {}).items() if name != "replicas"}
    return {"metadata": metadata, "spec": spec}


def _taken(child: Child, live: LiveChild) -> NameTaken:
    if live.owner_uid:
        return NameTaken("belongs to an earlier service of this name and is being removed; this goes on by itself")
    return NameTaken(f"exists and is not this service's; delete {child.key} or give the service another name")


_REASONS: Mapping[type[Exception], Reason] = {
    Refused: Reason.REFUSED,
    Forbidden: Reason.FORBIDDEN,
    NameTaken: Reason.NAME_TAKEN,
}


def _reason(failure: Exception) -> Reason:
    return _REASONS.get(type(failure), Reason.API_UNAVAILABLE)
