"""Which taint keeps a pod away from the nodes that it could run on: newer schedulers only count the nodes that have one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.nodes import Nodes
from controller.status.live import LiveObject, block, items, text
from controller.status.wording import joined, one_line

_MOST_NAMED: Final = 3
_KEEPS_AWAY: Final = frozenset({"NoSchedule", "NoExecute"})


def untolerated_taints(pod: LiveObject, nodes: Nodes) -> str:
    """Return the taints that the pod does not tolerate, each with one node of those that its nodeSelector allows; "" for none."""
    found: dict[str, str] = {}
    for name in sorted(nodes):
        if _is_selected(pod, nodes[name]):
            for taint in _in_the_way(pod, nodes[name]):
                found.setdefault(_taint_words(taint), name)
    said = [f"{taint} of node {one_line(name)}" for taint, name in sorted(found.items())]
    more = len(said) - _MOST_NAMED
    return joined((*said[:_MOST_NAMED], f"{more} more" if more > 0 else ""), ", ")


def _is_selected(pod: LiveObject, node: LiveObject) -> bool:
    labels = block(node, "metadata", "labels")
    return all(labels.get(key) == value for key, value in block(pod, "spec", "nodeSelector").items())


def _in_the_way(pod: LiveObject, node: LiveObject) -> Iterator[LiveObject]:
    tolerations = items(pod, "spec", "tolerations")
    for taint in items(node, "spec", "taints"):
        tolerated = any(_tolerates(toleration, taint) for toleration in tolerations)
        if text(taint, "effect") in _KEEPS_AWAY and not tolerated:
            yield taint


def _tolerates(toleration: LiveObject, taint: LiveObject) -> bool:
    """Tell whether one toleration is enough for the taint, as the scheduler does: what is empty fits anything."""
    if text(toleration, "effect") not in {"", text(taint, "effect")}:
        return False
    exists = text(toleration, "operator") == "Exists"
    if not text(toleration, "key"):
        return exists
    return text(toleration, "key") == text(taint, "key") and (
        exists or text(toleration, "value") == text(taint, "value")
    )


def _taint_words(taint: LiveObject) -> str:
    value = text(taint, "value")
    return one_line(f"{text(taint, 'key')}{f'={value}' if value else ''}:{text(taint, 'effect')}")
