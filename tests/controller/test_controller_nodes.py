"""What a node says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from controller.nodes import addresses, home_of, is_away, is_edge


def node(status: str | None, *taints: str, **labels: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": status}] if status else []
    return {
        "metadata": {"labels": labels or None},
        "spec": {"taints": [{"key": key} for key in taints] or None},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize(
    ("found", "away"),
    [
        (node("True"), False),
        (node("False"), False),
        (node("Unknown"), True),
        (node(None), False),
        (node("False", "node.kubernetes.io/unreachable"), True),
        (node("True", "node.kubernetes.io/unreachable"), False),
        (node("False", "node.kubernetes.io/not-ready"), False),
        ({}, False),
    ],
)
def test_a_node_is_away_when_nothing_is_heard_of_it(found: dict[str, Any], away: bool) -> None:
    assert is_away(found) is away


def test_an_edge_node_is_told_by_its_label_whatever_its_value() -> None:
    assert is_edge(node("True", **{"node-role.kubernetes.io/edge": ""}))
    assert not is_edge(node("True", **{"node-role.kubernetes.io/agent": ""}))
    assert not is_edge({})


def test_addresses_for_the_outside_come_first_and_names_do_not_count() -> None:
    said = [("Hostname", "n"), ("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.1"), ("InternalIP", "2001:db8::1")]
    found = {"status": {"addresses": [{"type": kind, "address": host} for kind, host in said]}}
    assert addresses(found) == ["192.0.2.1", "10.0.0.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("spec", "home"),
    [
        ({"nodeName": "a", "nodeSelector": {"kubernetes.io/hostname": "b"}}, "a"),
        ({"nodeSelector": {"kubernetes.io/hostname": "b"}}, "b"),
        ({"nodeSelector": {"kubernetes.io/hostname": "host-of-c"}}, "c"),
        ({"nodeSelector": {"kubernetes.io/hostname": "unknown"}}, "unknown"),
        ({"nodeSelector": {"a": "b"}}, ""),
        ({"nodeName": None, "nodeSelector": None}, ""),
    ],
)
def test_where_a_pod_is_or_has_to_be(spec: dict[str, Any], home: str) -> None:
    nodes = {name: node("True", **{"kubernetes.io/hostname": host}) for name, host in (("b", "b"), ("c", "host-of-c"))}
    assert home_of(spec, nodes) == home
