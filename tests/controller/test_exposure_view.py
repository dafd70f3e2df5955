"""What is read of the way to the cloud worker from live objects."""

from __future__ import annotations

from typing import Any

import pytest

from controller.exposure_view import seen_exposure


def front(kind: str, node_port: int = 0, *ingress: dict[str, Any]) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": 31000}, {"port": 5000, **({"nodePort": node_port} if node_port else {})}]
    return {"spec": {"type": kind, "ports": ports}, "status": {"loadBalancer": {"ingress": list(ingress)}}}


@pytest.mark.parametrize(
    ("live", "node_port", "ingress"),
    [
        (None, None, ""),
        (front("ClusterIP"), None, ""),
        (front("ClusterIP", 30001), None, ""),
        (front("NodePort"), None, ""),
        (front("NodePort", 30001), 30001, ""),
        (front("LoadBalancer", 30001), None, ""),
        (front("LoadBalancer", 30001, {"hostname": "lb"}), None, "lb"),
        (front("LoadBalancer", 30001, {}, {"ip": "192.0.2.1", "hostname": "lb"}), None, "192.0.2.1"),
        (front("NodePort", 30001, {"ip": "192.0.2.1"}), 30001, ""),
    ],
)
def test_a_port_and_an_address_count_only_for_the_type_that_the_service_has(
    live: dict[str, Any] | None, node_port: int | None, ingress: str
) -> None:
    seen = seen_exposure(live, None, {})
    assert (seen.node_port, seen.ingress, seen.current) == (node_port, ingress, "")


def test_the_address_that_edges_have_now() -> None:
    env = [{"name": "A", "value": "x"}, {"name": "BIG_MODEL_IP", "value": "192.0.2.1"}]
    deployment = {"spec": {"template": {"spec": {"containers": [{"env": env}, {}]}}}}
    assert seen_exposure(None, deployment, None).current == "192.0.2.1"
    assert seen_exposure(None, {"spec": {}}, None).current == ""
