"""An edge that is cut off: nothing is heard of its nodes, and its pods go on there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from controller.nodes import Nodes, home_of, is_away
from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.live import block, condition, moment, rfc3339
from controller.status.observed import Observed
from controller.status.pod_state import PodState
from controller.status.wording import joined, one_line

_NODES_NAMED = 8


def with_offline_nodes(states: Sequence[PodState], observed: Observed) -> list[PodState]:
    """Return the states of an edge worker's pods; those on nodes that are away share one cause, which names all of these."""
    if not observed.nodes_known:
        return list(states)
    away = {id(state): home for state in states if not state.ended and (home := _away_home(state, observed.nodes))}
    if not away:
        return list(states)
    went_on = any(state.last_ready for state in states if id(state) in away)
    cause = Cause(Reason.EDGE_OFFLINE, _words(sorted(set(away.values())), observed.nodes, went_on), lasting=False)
    return [replace(state, cause=cause, ready=False) if id(state) in away else state for state in states]


def is_offline(state: PodState) -> bool:
    """Tell whether the pod is on a node that is away."""
    return state.cause is not None and state.cause.reason is Reason.EDGE_OFFLINE


def _away_home(state: PodState, nodes: Nodes) -> str:
    home = home_of(block(state.pod, "spec"), nodes)
    return home if home in nodes and is_away(nodes[home]) else ""


def _words(names: Sequence[str], nodes: Nodes, went_on: bool) -> str:
    since = {name: moment(condition(nodes[name], "Ready"), "lastTransitionTime") for name in names}
    first = min((found for found in since.values() if found is not None), default=None)
    ordered = sorted(names, key=lambda name: (since[name] is not None and since[name] != first, name))
    said = [_node_words(name, since[name], first) for name in ordered[:_NODES_NAMED]]
    more = len(ordered) - len(said)
    whose, it_is = ("its", "it is") if len(names) == 1 else ("their", "they are")
    ending = f"{whose} pods go on there" if went_on else f"{whose} pods begin there when {it_is} back"
    return joined(
        (
            f"edge offline{f' since {rfc3339(first)}' if first else ''}: {', '.join(said)}{f' and {more} more' if more else ''}",
            ending,
        )
    )


def _node_words(name: str, since: datetime | None, first: datetime | None) -> str:
    later = f" since {rfc3339(since)}" if since is not None and since != first else ""
    return f"node {one_line(name)}{later}"
