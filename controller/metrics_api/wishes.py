"""What autoscalers want of each pod, and over which windows, as the services say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.status.live import LiveObject, block, text
from sedna_py.api.child_names import Role
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.scale_metric import signal_targets, window_settings
from sedna_py.autoscaling.scale_to_zero import may_sleep
from sedna_py.autoscaling.windows import WindowSettings


@dataclass(frozen=True)
class Wish:
    """What a worker's autoscaler aims at, by metric; no panic for a metric without a target."""

    targets: Mapping[str, float] = field(default_factory=dict)
    windows: WindowSettings = field(default_factory=WindowSettings)
    sleeps: bool = False  # its last pod may be taken: it is read also where nobody is served its values


_NOTHING: dict[Role, Wish] = {role: Wish() for role in Role}


class Wishes:
    """Reads each version of a service once; bounded by the services that `keep` names."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, Mapping[Role, Wish]]] = {}  # by the service's uid

    def of(self, document: LiveObject) -> Mapping[Role, Wish]:
        """Return what a service says of both workers; of one that cannot be read, nothing."""
        uid = text(document, "metadata", "uid")
        version = block(document, "metadata").get("generation"), dict(block(document, "metadata", "annotations"))
        known = self._known.get(uid)
        if known is None or known[0] != version:
            known = self._known[uid] = version, _read(document)
        return known[1]

    def keep(self, uids: Iterable[str]) -> None:
        """Forget all other services."""
        kept = set(uids)
        self._known = {uid: known for uid, known in self._known.items() if uid in kept}


def _read(document: LiveObject) -> Mapping[Role, Wish]:
    service, _ = parse_document({key: value for key, value in document.items() if key != "status"})
    if not isinstance(service, JointInferenceService):
        return _NOTHING
    windows = WindowSettings(*window_settings(service.metadata.annotations))
    sleeps = may_sleep(service)
    return {role: Wish(signal_targets(service, role), windows, sleeps and role is Role.CLOUD) for role in Role}
