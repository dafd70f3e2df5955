"""Which container lacks the request that its autoscaler needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from controller.status.live import LiveObject, block, is_going, items, moment, text
from sedna_py.api.joint_inference_service import Worker


@dataclass(frozen=True)
class MissingRequest:
    """A container (None: there is none of that name) without a request for the resource."""

    resource: str
    container: str
    exists: bool = True


def missing_requests(
    worker: Worker, relative: Iterable[tuple[str, str | None]], pods: Sequence[LiveObject]
) -> list[MissingRequest]:
    """Return what keeps utilization from being computed: in the newest live pod, else in the template.

    `relative` has (resource, container or None for all) of each metric that is a share of the requests. A live pod has what a
    LimitRange put into it, and the containers that a webhook added.
    """
    spec = _newest_spec(pods) or worker.template.spec.model_dump(by_alias=True, exclude_none=True)
    return list(dict.fromkeys(missing for pair in relative for missing in _missing(spec, *pair)))


def _newest_spec(pods: Sequence[LiveObject]) -> LiveObject:
    live = [pod for pod in pods if not is_going(pod) and text(pod, "status", "phase") not in {"Failed", "Succeeded"}]
    dated = [(created.timestamp(), index) for index, pod in enumerate(live) if (created := _created(pod))]
    return block(live[max(dated)[1]], "spec") if dated else {}


def _created(pod: LiveObject) -> Any:
    return moment(pod, "metadata", "creationTimestamp") if items(pod, "spec", "containers") else None


def _missing(spec: LiveObject, resource: str, only: str | None) -> Iterator[MissingRequest]:
    if only is None and _requests(spec, resource):  # the pod as a whole has one
        return
    sidecars = [item for item in items(spec, "initContainers") if item.get("restartPolicy") == "Always"]
    containers = [*items(spec, "containers"), *sidecars]
    if only is not None and all(text(container, "name") != only for container in containers):
        yield MissingRequest(resource, only, exists=False)
    for container in containers:
        name = text(container, "name")
        if only in {None, name} and not _requests(container, resource):
            yield MissingRequest(resource, name)


def _requests(owner: LiveObject, resource: str) -> bool:
    resources = block(owner, "resources")
    return any(block(resources, kind).get(resource) is not None for kind in ("requests", "limits"))
