"""The cloud worker's readiness probe: which question, where, and when none is added."""

from __future__ import annotations

from typing import Any

import pytest

from sedna_py.api.child_names import Role
from tests.controller.wanted_objects import CLOUD_POD, pod, wanted

TIMES = {"periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3}
SOCKET = {"tcpSocket": {"port": 5000}}
OWN = {"exec": {"command": ["true"]}}


def containers(first: dict[str, Any], *others: dict[str, Any]) -> list[dict[str, Any]]:
    written = [{"name": f"c{number}", "image": "i", **container} for number, container in enumerate((first, *others))]
    made: list[dict[str, Any]] = pod(wanted({CLOUD_POD: {"containers": written}}))["containers"]
    return made


def get(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": 5000}}


def job_name(**variable: Any) -> dict[str, Any]:
    return {"env": [{"name": "OTHER", "value": "x"}, {"name": "JOB_NAME", **variable}]}


@pytest.mark.parametrize(
    ("container", "question"),
    [
        ({}, get("/sedna")),
        (job_name(value="helmet"), get("/helmet")),
        (job_name(value=""), get("/sedna")),
        (job_name(), get("/sedna")),
        (job_name(value="/a b/"), get("/a%20b")),
        (job_name(value="$(OTHER)"), SOCKET),
        (job_name(valueFrom={"configMapKeyRef": {"name": "c", "key": "k"}}), SOCKET),
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, SOCKET),
        ({"envFrom": [{"configMapRef": {"name": "c"}}], **job_name(value="helmet")}, get("/helmet")),
    ],
)
def test_the_first_container_is_asked_what_its_server_answers(
    container: dict[str, Any], question: dict[str, Any]
) -> None:
    first, second = containers(container, {})
    assert first["readinessProbe"] == {**question, **TIMES}
    assert "readinessProbe" not in second


@pytest.mark.parametrize("place", [0, 1])
def test_a_probe_of_the_template_is_the_only_one(place: int) -> None:
    made = containers(*({"readinessProbe": OWN} if number == place else {} for number in range(2)))
    assert [container.get("readinessProbe") for container in made] == [
        OWN if number == place else None for number in range(2)
    ]


def test_the_edge_worker_gets_none() -> None:
    assert "readinessProbe" not in pod(wanted(), Role.EDGE)["containers"][0]
