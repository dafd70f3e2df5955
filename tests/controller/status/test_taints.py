"""A pod that no node takes for a taint: the taint is named, as the scheduler of 1.36 only counts the nodes."""

from __future__ import annotations

from typing import Any

import pytest

from controller.reasons import Reason
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.placement_causes import placement_cause
from controller.status.taints import untolerated_taints
from tests.controller.status.objects import NOW, Object, condition, pod

HOSTNAME = "kubernetes.io/hostname"
EDGE = {"key": "node-role.kubernetes.io/edge", "effect": "NoSchedule"}
GPU = {"key": "gpu", "value": "yes", "effect": "NoExecute"}
SAID = (
    "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s)."
    " no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
)
EDGE_WORDS = "node-role.kubernetes.io/edge:NoSchedule of node edge1"


def node(name: str, *taints: Object) -> Object:
    return {"metadata": {"name": name, "labels": {HOSTNAME: name}}, "spec": {"taints": list(taints)}}


NODES = {"edge1": node("edge1", EDGE), "edge2": node("edge2", EDGE, GPU), "cloud1": node("cloud1")}


def waiting_pod(tolerations: list[Any] | None = None, selector: Object | None = None, message: str = SAID) -> Object:
    unscheduled = condition("PodScheduled", "False", reason="Unschedulable", message=message)
    return pod(node=None, spec={"tolerations": tolerations, "nodeSelector": selector}, conditions=[unscheduled])


@pytest.mark.parametrize(
    ("tolerations", "selector", "named"),
    [
        (None, {HOSTNAME: "edge1"}, EDGE_WORDS),
        (None, {HOSTNAME: "cloud1"}, ""),
        (None, None, f"gpu=yes:NoExecute of node edge2, {EDGE_WORDS}"),
        ([{"key": EDGE["key"], "operator": "Exists"}], {HOSTNAME: "edge1"}, ""),
        ([{"key": EDGE["key"]}], {HOSTNAME: "edge1"}, ""),
        ([{"operator": "Exists"}], None, ""),
        ([{"key": EDGE["key"], "operator": "Exists", "effect": "NoExecute"}], {HOSTNAME: "edge1"}, EDGE_WORDS),
        ([{"key": "gpu", "value": "no"}, {**EDGE, "operator": "Exists"}], None, "gpu=yes:NoExecute of node edge2"),
        ([{"key": "gpu", "value": "yes"}, {**EDGE, "operator": "Exists"}], None, ""),
        (["odd", {"key": 5}], {HOSTNAME: "edge1"}, EDGE_WORDS),
    ],
)
def test_the_taints_that_a_pod_does_not_tolerate(tolerations, selector, named):
    assert untolerated_taints(waiting_pod(tolerations, selector), NODES) == named


def test_preferences_of_a_node_and_what_is_too_much_are_left_out():
    preferred = {"key": "old", "effect": "PreferNoSchedule"}
    nodes = {f"n{number}": node(f"n{number}", {**EDGE, "key": f"k{number}"}, preferred) for number in range(5)}
    assert untolerated_taints(waiting_pod(), nodes) == (
        "k0:NoSchedule of node n0, k1:NoSchedule of node n1, k2:NoSchedule of node n2, 2 more"
    )


def test_the_cause_has_the_taint_and_nothing_of_preemption():
    observed = Observed(nodes=NODES, nodes_known=True)
    cause = placement_cause(waiting_pod(selector={HOSTNAME: "edge1"}), observed, Clock(NOW))
    assert cause is not None
    assert cause.reason is Reason.UNSCHEDULABLE
    assert cause.message.endswith(
        "1 node(s) had untolerated taint(s); a toleration in the template lets it run in spite of taint " + EDGE_WORDS
    )


@pytest.mark.parametrize(
    "said",
    ["0/2 nodes are available: 2 node(s) had untolerated taint {a: b}", "0/2 nodes are available: 2 Insufficient cpu"],
)
def test_a_scheduler_that_names_it_or_has_another_reason_is_believed(said):
    observed = Observed(nodes=NODES, nodes_known=True)
    cause = placement_cause(waiting_pod(message=said), observed, Clock(NOW))
    assert cause is not None
    assert cause.message.endswith(said)
