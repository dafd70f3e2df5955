"""The Services of a cloud worker, by how it is exposed."""

from __future__ import annotations

from typing import Any

import pytest

from controller.children import ChildKind
from controller.desired_state import Surroundings, desired_state
from controller.resources.cloud_address import SeenExposure
from tests.controller.wanted_objects import PLACEMENT, parsed_model, parsed_service


def services(expose: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the specs of the Services by name, without their selector."""
    changes = {"spec.cloudWorker.expose": expose} if expose is not None else {}
    around = Surroundings({"m": parsed_model()}, exposure=SeenExposure(30001, "lb", {}, ""))
    state = desired_state(parsed_service(changes), around, PLACEMENT)
    found = {made.name: dict(made.manifest["spec"]) for made in state.children if made.kind is ChildKind.SERVICE}
    selectors = [spec.pop("selector") for spec in found.values()]
    assert all(selector == selectors[0] for selector in selectors)
    return found


PORT = {"name": "tcp-0", "protocol": "TCP", "port": 5000, "targetPort": 5000}
PODS = {"helmet-cloud-pods": {"clusterIP": "None", "ports": [PORT]}}
PLAIN = {"ports": [PORT]}


@pytest.mark.parametrize(
    ("expose", "expected"),
    [
        (None, {"helmet-cloud": PLAIN, **PODS}),
        ({}, {"helmet-cloud": PLAIN, **PODS}),
        ({"type": "ClusterIP"}, {"helmet-cloud": PLAIN, **PODS}),
        ({"type": "Address", "address": "h"}, {"helmet-cloud": PLAIN}),
        ({"type": "LoadBalancer"}, {"helmet-cloud": {"type": "LoadBalancer", "ports": [PORT]}}),
        ({"type": "NodePort", "address": "h"}, {"helmet-cloud": {"type": "NodePort", "ports": [PORT]}}),
        (
            {"type": "NodePort", "nodePort": 30500},
            {"helmet-cloud": {"type": "NodePort", "ports": [{**PORT, "nodePort": 30500}]}},
        ),
    ],
)
def test_services_by_exposure(expose: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    assert services(expose) == expected
