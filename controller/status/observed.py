"""What was seen of a service's objects at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.status.live import LiveObject
from sedna_py.api.child_names import Role


@dataclass(frozen=True)
class Observed:
    """Live objects as the API server gives them; they may be older than they should be, or going.

    `nodes` has those of the cluster by name and counts only where `nodes_known`. `pod_events` has what was asked for
    (see `questions`), by uid of the pod; a node of KubeEdge sends none.
    """

    deployments: Mapping[Role, LiveObject | None] = field(default_factory=dict)
    hpas: Mapping[Role, LiveObject | None] = field(default_factory=dict)
    pods: Mapping[Role, Sequence[LiveObject]] = field(default_factory=dict)
    nodes: Mapping[str, LiveObject] = field(default_factory=dict)
    nodes_known: bool = False
    pod_events: Mapping[str, Sequence[LiveObject]] = field(default_factory=dict)
