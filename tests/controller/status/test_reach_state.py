"""Whether the edge's way to the cloud works, as far as reports tell."""

from __future__ import annotations

from typing import Any

import pytest

from controller.reasons import Reason
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.reach_state import ReachState, reach_condition
from controller.status.service_status import ServiceView, service_status
from controller.status.totals import Totals
from sedna_py.api.child_names import Role
from tests.controller.status import objects
from tests.controller.status.objects import NOW, condition, deployment, going, node, ready_pod, service

POD = "helmet-deployment-edge-7d4b9-aaaaa"
AT_EDGE = {"labels": {"node-role.kubernetes.io/edge": ""}}
EDGE_NODE = {**node(), "metadata": {"name": "edge-1", **AT_EDGE}}


def edge_pod(since: float = 100, host: str = "helmet-cloud.default", port: str = "5000", **env: str) -> objects.Object:
    variables = [
        {"name": name, "value": value} for name, value in {"BIG_MODEL_IP": host, "BIG_MODEL_PORT": port, **env}.items()
    ]
    spec = {"containers": [{"name": "little-model", "image": "i", "env": variables}]}
    return ready_pod(POD, spec=spec, conditions=[condition("Ready", "True", since)])


def cloud_pod(since: float = 100) -> objects.Object:
    return ready_pod("c-7d4b9-x", node="cloud-1", conditions=[condition("Ready", "True", since)])


def observed(*edge: objects.Object, cloud: objects.Object | None = None, at: objects.Object = EDGE_NODE) -> Observed:
    return Observed(
        deployments={role: deployment(role) for role in Role},
        pods={Role.EDGE: list(edge), Role.CLOUD: [cloud or cloud_pod()]},
        nodes={"edge-1": at, "cloud-1": node(name="cloud-1")},
        nodes_known=True,
    )


def reach(seen: Observed, *reported: str, expose: Any = None, **edge: Any) -> ReachState | None:
    return reach_condition(service(cloud={"expose": expose}, edge=edge), seen, reported, Clock(NOW))


def test_there_is_no_doubt_where_no_pod_is_on_a_node_of_the_edge() -> None:
    assert reach(observed(edge_pod(), at=node())) is None
    assert reach(observed()) is None


@pytest.mark.parametrize("field", [{"nodeName": "edge-1"}, {"nodeSelector": {"kubernetes.io/hostname": "edge-1"}}])
def test_a_worker_that_is_pinned_to_such_a_node_is_in_doubt_before_its_pods_are_there(field: objects.Object) -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}], **field}}
    found = reach(observed(), template=template)
    assert found == ReachState("Unknown", Reason.STARTING, "no pod of the edge worker is ready")


def test_a_report_of_a_pod_that_is_there_is_the_proof() -> None:
    assert reach(observed(edge_pod(5)), "another", POD) == ReachState(
        "True", Reason.CLOUD_REACHED, "reports of the edge come through the cloud worker"
    )


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (observed(edge_pod(80)), Reason.STARTING),
        (observed(edge_pod(100), cloud=cloud_pod(80)), Reason.STARTING),
        (observed(edge_pod(100), cloud=objects.crashing_pod("c-7d4b9-x")), Reason.CLOUD_NOT_READY),
        (observed(edge_pod(100, LC_PERIOD="60")), Reason.STARTING),
        (observed(objects.creating_pod(POD)), Reason.STARTING),
        (observed(edge_pod(100)), Reason.CLOUD_UNREACHABLE),
        (observed(edge_pod(100, LC_PERIOD="soon")), Reason.CLOUD_UNREACHABLE),
    ],
)
def test_there_is_time_for_the_first_report(seen: Observed, reason: Reason) -> None:
    found = reach(seen, "another")
    assert found is not None
    assert (found.reason, found.status) == (reason, "False" if reason is Reason.CLOUD_UNREACHABLE else "Unknown")


def test_a_pod_that_goes_proves_nothing() -> None:
    found = reach(observed(going(edge_pod(5)), edge_pod(100) | {"metadata": {"name": "b"}}), POD)
    assert found is not None
    assert found.reason is Reason.CLOUD_UNREACHABLE


LINE = "write spec.cloudWorker.expose: {type: NodePort}"
CHECK = "see whether this address answers the node (GET /sedna), and correct spec.cloudWorker.expose if not"


@pytest.mark.parametrize(
    ("expose", "host", "port", "target", "remedy"),
    [
        (None, "helmet-cloud.default", "5000", "helmet-cloud.default:5000", LINE),
        ({"type": "NodePort"}, "192.0.2.1", "30001", "192.0.2.1:30001", CHECK),
        ({"type": "Address", "address": "x.default.svc:80"}, "x.default.svc", "80", "x.default.svc:80", LINE),
        ({"type": "Address", "address": "x.y.svc.cluster.local"}, "x.y.svc.cluster.local", "5000", "", LINE),
        ({"type": "Address", "address": "cloud.example:80"}, "cloud.example", "80", "cloud.example:80", CHECK),
    ],
)
def test_no_report_names_the_address_and_the_line_to_write(
    expose: Any, host: str, port: str, target: str, remedy: str
) -> None:
    found = reach(observed(edge_pod(100, host, port)), expose=expose)
    assert found is not None
    assert found.message.startswith(f"nothing has come from pod {POD} on node edge-1 through {target}")
    assert remedy in found.message


def test_the_service_is_degraded_and_not_failed() -> None:
    def status(relayed: bool, *reported: str) -> objects.Object:
        totals = Totals()
        for name in reported:
            totals = totals.report(name, 1, 0)
        seen = observed(edge_pod(100))
        return service_status(ServiceView(service(), 1, seen, totals=totals, relayed=relayed), Clock(NOW))

    lost = status(True)
    kinds = [item["type"] for item in lost["conditions"]]
    assert kinds == ["SpecAccepted", "CloudReady", "EdgeReady", "CloudReachable", "Running"]
    assert (lost["phase"], lost["failed"]) == ("Degraded", 0)
    assert lost["conditions"][-1]["message"].startswith("way to the cloud: nothing has come from pod")
    assert status(True, POD)["phase"] == "Running"
    # Reports that take another way prove nothing about this one.
    elsewhere = status(False)
    assert (elsewhere["phase"], len(elsewhere["conditions"])) == ("Running", 4)
