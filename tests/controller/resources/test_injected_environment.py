"""The variables of a worker's containers: which, in which order, and who wins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.children import ChildKind
from sedna_py.api.child_names import Role
from tests.controller.wanted_objects import CLOUD_POD, EDGE_POD, PLACEMENT, pod, wanted

POD_NAME = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
COMMON: list[tuple[str, Any]] = [
    ("DATA_PATH_PREFIX", "/home/data"),
    ("NAMESPACE", "shop"),
    ("SERVICE_NAME", "helmet"),
    ("WORKER_NAME", POD_NAME),
    ("MODEL_URL", "/home/data/models/yolo.xml"),
]
EDGE = [
    *COMMON,
    ("BIG_MODEL_IP", "helmet-cloud.shop"),
    ("BIG_MODEL_PORT", "5000"),
    ("HEM_NAME", "IBT"),
    ("HEM_PARAMETERS", "null"),
    ("LC_SERVER", "http://helmet-cloud.shop:5000"),
]
EXTRA = ("BIG_MODEL_PODS", "helmet-cloud-pods.shop:5000")
CLOUD = [*COMMON, ("BIG_MODEL_BIND_PORT", "5000"), ("LC_SERVER", "http://controller.sedna:9100")]


def variables(container: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(entry["name"], entry.get("value", entry.get("valueFrom"))) for entry in container["env"]]


@pytest.mark.parametrize(("role", "expected"), [(Role.EDGE, [*EDGE, EXTRA]), (Role.CLOUD, CLOUD)])
def test_each_side_has_its_variables_in_a_fixed_order(role: Role, expected: list[tuple[str, Any]]) -> None:
    assert variables(pod(wanted(), role)["containers"][0]) == expected


def test_an_installation_can_send_reports_of_the_edge_elsewhere() -> None:
    placement = replace(PLACEMENT, edge_lc_server="http://10.0.0.1:9100")
    made = pod(wanted(placement=placement), Role.EDGE)
    assert variables(made["containers"][0])[-2] == ("LC_SERVER", "http://10.0.0.1:9100")


@pytest.mark.parametrize("url", ["https://host/y.xml", "hf://models/yolo"])
def test_only_a_path_on_the_node_has_a_prefix(url: str) -> None:
    assert variables(pod(wanted(url=url))["containers"][0])[0] == ("NAMESPACE", "shop")


def test_every_container_gets_them_behind_its_own_and_init_containers_none() -> None:
    changes = {
        CLOUD_POD: {
            "containers": [
                {"name": "a", "image": "i", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "$(X)"}]},
                {"name": "b", "image": "i"},
            ],
            "initContainers": [{"name": "c", "image": "i", "env": [{"name": "X"}]}],
        }
    }
    made = pod(wanted(changes))
    assert variables(made["containers"][0]) == [("X", "1"), ("Y", "$(X)"), *CLOUD]
    assert variables(made["containers"][1]) == CLOUD
    assert made["initContainers"] == changes[CLOUD_POD]["initContainers"]


@pytest.mark.parametrize("name", [name for name, _ in EDGE])
def test_what_is_injected_wins_over_the_template(name: str) -> None:
    own = [{"name": "FIRST", "value": "1"}, {"name": name, "value": "mine"}, {"name": "LAST", "value": "2"}]
    made = pod(wanted({EDGE_POD: {"containers": [{"name": "c", "image": "i", "env": own}]}}), Role.EDGE)
    assert variables(made["containers"][0]) == [("FIRST", "1"), ("LAST", "2"), *EDGE, EXTRA]


def test_the_controllers_address_gives_way_on_the_cloud_side_where_upstream_injects_none() -> None:
    own = [{"name": "LC_SERVER", "value": "http://mine"}]
    made = pod(wanted({CLOUD_POD: {"containers": [{"name": "c", "image": "i", "env": own}]}}))
    assert variables(made["containers"][0]) == [("LC_SERVER", "http://mine"), *CLOUD[:-1]]


def test_the_list_of_cloud_pods_gives_way_to_the_templates() -> None:
    own = [{"name": "BIG_MODEL_PODS", "value": "mine:1"}]
    made = pod(wanted({EDGE_POD: {"containers": [{"name": "c", "image": "i", "env": own}]}}), Role.EDGE)
    assert variables(made["containers"][0]) == [("BIG_MODEL_PODS", "mine:1"), *EDGE]


@pytest.mark.parametrize(
    ("expose", "host", "port", "url"),
    [
        ("192.0.2.10", "192.0.2.10", "5000", "http://192.0.2.10:5000"),
        ("cloud.example:30500", "cloud.example", "30500", "http://cloud.example:30500"),
        ("[2001:db8::1]:81", "2001:db8::1", "81", "http://[2001:db8::1]:81"),
    ],
)
def test_an_address_of_ones_own_is_what_the_edge_gets_for_frames_and_reports(
    expose: str, host: str, port: str, url: str
) -> None:
    made = pod(wanted({"spec.cloudWorker.expose": {"type": "Address", "address": expose}}), Role.EDGE)
    found = dict(variables(made["containers"][0]))
    assert (found["BIG_MODEL_IP"], found["BIG_MODEL_PORT"], found["LC_SERVER"]) == (host, port, url)
    assert "BIG_MODEL_PODS" not in found


def test_a_name_without_room_for_another_service_gives_no_list_of_pods() -> None:
    state = wanted({"metadata": {"name": "x" * 53, "namespace": "shop", "uid": "u"}})
    assert "BIG_MODEL_PODS" not in dict(variables(pod(state, Role.EDGE)["containers"][0]))
    assert [child.name for child in state.children if child.kind is ChildKind.SERVICE] == ["x" * 53 + "-cloud"]
