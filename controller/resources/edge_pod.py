"""What an edge worker's pods need that those of the cloud do not: to outlast a lost link, and to share a node's ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller.resources.keyed_lists import Items, items_of
from sedna_py.api.finding import Place

Pod = dict[str, Any]

_LINK_TAINTS: Final = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
_CONTAINER_LISTS: Final = ("containers", "initContainers")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")


def with_link_tolerations(pod: Pod, place: Place) -> Pod:
    """Return the pod's spec so that its pods stay on a node that is out of reach, for as long as it is.

    What the template says of those taints by itself counts. Kubernetes would else add tolerations of 300 s.
    Raises Unbuildable where the tolerations are no list.
    """
    own = items_of(pod, "tolerations", place)
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute"}
        for key in _LINK_TAINTS
        if not any(_speaks_of(toleration, key) for toleration in own)
    ]
    return {**pod, "tolerations": [*own, *added]} if added else pod


def takes_host_ports(pod: Pod) -> bool:
    """Tell whether a second pod of this kind finds its ports taken on the same node."""
    return any(_is_hosts(port, pod) for container in _containers(pod) for port in container.get("ports", ()))


def without_shared_ports(pod: Pod) -> Pod:
    """Return the pod's spec without the ports that are declared for information only.

    On the host's network the API server makes host ports of them, and only one pod per node has those. Probes that name such
    a port get its number.
    """
    if not pod.get("hostNetwork"):
        return pod
    changed = dict(pod)
    for field in _CONTAINER_LISTS:
        if field in pod:
            changed[field] = [_without_ports(container) for container in pod[field]]
    return changed


def _speaks_of(toleration: Mapping[str, Any], key: str) -> bool:
    # As the admission plugin that adds the tolerations of 300 s reads them.
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


def _containers(pod: Pod) -> Iterator[Pod]:
    for field in _CONTAINER_LISTS:
        yield from pod.get(field, ())


def _is_hosts(port: Mapping[str, Any], pod: Pod) -> bool:
    return bool(port.get("hostPort") or pod.get("hostNetwork"))


def _without_ports(container: Pod) -> Pod:
    ports: Items = container.get("ports", [])
    left = [port for port in ports if port.get("hostPort")]
    if len(left) == len(ports):
        return container
    dropped = [port for port in ports if port not in left and isinstance(port.get("name"), str)]
    numbers = {port["name"]: port.get("containerPort") for port in dropped}
    rest = {field: value for field, value in container.items() if field != "ports"}
    return _with_numbers({**rest, "ports": left} if left else rest, numbers)


def _with_numbers(container: Pod, numbers: Mapping[str, Any]) -> Pod:
    changed = dict(container)
    for field in _PROBES:
        if isinstance(container.get(field), dict):
            changed[field] = _numbered(container[field], numbers)
    if isinstance(container.get("lifecycle"), dict):
        hooks = container["lifecycle"]
        changed["lifecycle"] = {
            name: _numbered(hook, numbers) if name in _HOOKS and isinstance(hook, dict) else hook
            for name, hook in hooks.items()
        }
    return changed


def _numbered(action: Pod, numbers: Mapping[str, Any]) -> Pod:
    """Return a probe or a hook that asks a number where it asked a name."""
    return {
        kind: {**what, "port": numbers.get(what["port"], what["port"])}
        if kind in {"httpGet", "tcpSocket"} and isinstance(what, dict) and isinstance(what.get("port"), str)
        else what
        for kind, what in action.items()
    }
