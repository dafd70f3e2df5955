"""An edge worker whose cloud may sleep gets a place for hard frames; everybody else's pods stay as they are."""

from __future__ import annotations

from typing import Any

import pytest

from controller.children import ChildKind
from controller.desired_state import manifest_bytes
from sedna_py.api.child_names import Role
from tests.controller.wanted_objects import EDGE_POD, child, pod, wanted

SLEEPS = {"spec.cloudWorker.hpa": {"minReplicas": 0, "maxReplicas": 3}}
VOLUME = {"name": "sedna-held-frames", "emptyDir": {}}
MOUNT = {"name": "sedna-held-frames", "mountPath": "/run/sedna-py/held"}


def written(*variables: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", "env": list(variables)}, {"name": "side", "image": "j"}]}


def variable(made: dict[str, Any], name: str) -> str | None:
    found = [one.get("value") for one in made["containers"][0]["env"] if one["name"] == name]
    return found[0] if found else None


def holds(changes: dict[str, Any]) -> bool:
    made = pod(wanted(changes), Role.EDGE)
    mounted = {MOUNT in container.get("volumeMounts", []) for container in made["containers"]}
    assert len({*mounted, VOLUME in made.get("volumes", [])}) == 1
    return mounted == {True}


def test_where_the_cloud_may_sleep_the_edge_holds_frames_on_its_own_disk() -> None:
    assert holds({**SLEEPS, EDGE_POD: written()})
    made = pod(wanted(SLEEPS), Role.EDGE)
    assert variable(made, "OFFLINE_QUEUE_DIR") == "/run/sedna-py/held"
    assert variable(made, "OFFLINE_QUEUE_BYTES") == "67108864"
    cloud = pod(wanted(SLEEPS))
    assert VOLUME not in cloud["volumes"]
    assert variable(cloud, "OFFLINE_QUEUE_DIR") is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spec.cloudWorker.hpa": {"minReplicas": 1, "maxReplicas": 3}},
        {"spec.cloudWorker.hpa": {"maxReplicas": 3}},
        {"spec.cloudWorker.hpa": {"minReplicas": 0, "maxReplicas": 3, "class": "external"}},
    ],
)
def test_where_it_may_not_sleep_nothing_is_added(changes: dict[str, Any]) -> None:
    assert not holds(changes)
    assert variable(pod(wanted(changes), Role.EDGE), "OFFLINE_QUEUE_DIR") is None


@pytest.mark.parametrize(
    ("own", "held"),
    [
        ({"name": "OFFLINE_QUEUE_DIR", "value": "/data/queue"}, False),
        ({"name": "OFFLINE_QUEUE_DIR", "value": ""}, False),
        ({"name": "OFFLOAD_FORMAT", "value": "npy"}, False),  # the queue keeps pictures, and the worker would end
        ({"name": "OFFLOAD_FORMAT", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}, False),
        ({"name": "OFFLOAD_FORMAT", "value": "PNG"}, True),
    ],
)
def test_what_the_template_says_of_it_counts(own: dict[str, Any], held: bool) -> None:
    assert holds({**SLEEPS, EDGE_POD: written(own)}) is held


def test_a_bound_of_the_templates_own_counts() -> None:
    own = {"name": "OFFLINE_QUEUE_BYTES", "value": "1000000"}
    assert variable(pod(wanted({**SLEEPS, EDGE_POD: written(own)}), Role.EDGE), "OFFLINE_QUEUE_BYTES") == "1000000"


def test_a_volume_of_that_name_is_taken_for_it() -> None:
    own = {**written(), "volumes": [{"name": "sedna-held-frames", "hostPath": {"path": "/data"}}]}
    made = pod(wanted({**SLEEPS, EDGE_POD: own}), Role.EDGE)
    assert [volume for volume in made["volumes"] if volume["name"] == "sedna-held-frames"] == own["volumes"]


def test_the_autoscaler_has_one_pod_at_least_and_the_deployment_says_nothing_of_replicas() -> None:
    """Kubernetes takes 0 only behind a feature gate; where there are no pods its autoscaler rests by itself."""
    state = wanted(SLEEPS)
    assert child(state, ChildKind.HPA, Role.CLOUD).manifest["spec"]["minReplicas"] == 1
    assert "replicas" not in child(state, ChildKind.DEPLOYMENT, Role.CLOUD).manifest["spec"]
    awake = wanted({"spec.cloudWorker.hpa": {"minReplicas": 1, "maxReplicas": 3}})
    for kind in (ChildKind.HPA, ChildKind.DEPLOYMENT):
        assert manifest_bytes(child(state, kind, Role.CLOUD)) == manifest_bytes(child(awake, kind, Role.CLOUD))
