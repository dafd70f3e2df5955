"""Services that are well formed and will miss something at the edge."""

from __future__ import annotations

from typing import Any

import pytest

from sedna_py.api.edge_checks import edge_findings
from tests.controller.wanted_objects import EDGE_POD, parsed_service

PLACE = f"{EDGE_POD}.containers[0].ports[0]"
FIXED = {"containerPort": 80, "hostPort": 80}
TAKEN = (
    f"{PLACE}.hostPort: is 80, which one pod of the node can have, and maxReplicas is 3; remove hostPort, or write"
    " maxReplicas: 1"
)
LEFT_OUT = (
    f"{PLACE}: is left out: with hostNetwork it becomes a port of the node, which one of 3 pods could have; remove it,"
    " or write maxReplicas: 1"
)


def lines(ports: list[Any], most: int | None, **spec: Any) -> list[str]:
    changes: dict[str, Any] = {EDGE_POD: {"containers": [{"name": "c", "image": "i", "ports": ports}], **spec}}
    if most is not None:
        changes["spec.edgeWorker.hpa"] = {"maxReplicas": most}
    found = list(edge_findings(parsed_service(changes)))
    assert all(finding.level == "warning" for finding in found)
    return [str(finding) for finding in found]


@pytest.mark.parametrize(
    ("ports", "most", "spec", "said"),
    [
        ([{"containerPort": 80}], 3, {"hostNetwork": True}, [LEFT_OUT]),
        ([{"containerPort": 80}], 1, {"hostNetwork": True}, []),
        ([{"containerPort": 80}], None, {"hostNetwork": True}, []),
        ([{"containerPort": 80}], 3, {}, []),
        ([], 3, {"hostNetwork": True}, []),
        ([FIXED], 3, {"nodeName": "edge-1"}, [TAKEN]),
        ([FIXED], 3, {"hostNetwork": True, "nodeSelector": {"kubernetes.io/hostname": "edge-1"}}, [TAKEN]),
        ([FIXED], 3, {"nodeSelector": {"zone": "a"}}, []),
        ([FIXED], 1, {"nodeName": "edge-1"}, []),
    ],
)
def test_ports_that_only_one_of_several_pods_can_have(
    ports: list[Any], most: int | None, spec: dict[str, Any], said: list[str]
) -> None:
    assert lines(ports, most, **spec) == said


@pytest.mark.parametrize(("length", "expose", "count"), [(52, None, 0), (53, None, 1), (53, {"type": "NodePort"}, 0)])
def test_a_name_without_room_for_the_list_of_pods_is_told(length: int, expose: Any, count: int) -> None:
    changes = {"metadata": {"name": "x" * length, "namespace": "shop", "uid": "u"}}
    if expose:
        changes["spec.cloudWorker.expose"] = expose
    found = [str(finding) for finding in edge_findings(parsed_service(changes))]
    assert len(found) == count
    assert not found or "metadata.name: has 53 characters, which leaves no room for Service" in found[0]
