"""The controller may do what it does, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from controller.metrics_api.catalogue import GROUP, VERSIONS, resource_names
from controller.metrics_api.front_proxy import CONFIG_MAP
from controller.metrics_api.registration import OWNER, SERVICE
from tests.deploy.manifests import DEPLOY, manifest, manifests

CHILD = {"get", "list", "watch", "create", "patch", "delete"}
IN_A_NAMESPACE = {
    "sedna.io/jointinferenceservices": {"list", "watch"},
    "sedna.io/models": {"list", "watch"},
    "sedna.io/jointinferenceservices/status": {"patch"},
    "sedna.io/jointinferenceservices/finalizers": {"update"},
    "apps/deployments": CHILD,
    "/services": CHILD,
    "autoscaling/horizontalpodautoscalers": CHILD,
    "discovery.k8s.io/endpointslices": {"list", "create", "patch", "delete"},
    "/pods": {"list", "watch"},
    "/events": {"list", "create"},
    "/secrets": {"get", "watch"},
}
IN_THE_CLUSTER = IN_A_NAMESPACE | {
    "/nodes": {"list", "watch"},
}
ROLES = [
    ("ClusterRole", "sedna-controller", "", IN_THE_CLUSTER),
    ("Role", "sedna-controller", "namespaced", IN_A_NAMESPACE),
    ("Role", "sedna-controller-lease", "controller", {"coordination.k8s.io/leases": {"get", "update", "create"}}),
    (
        "Role",
        "sedna-controller-metrics-api",
        "metrics-api",
        {"discovery.k8s.io/endpointslices": {"get", "create", "patch", "delete"}},
    ),
    (
        "ClusterRole",
        "sedna-controller-metrics-api",
        "metrics-api",
        {
            "apiregistration.k8s.io/apiservices": {"get", "create", "patch", "delete"},
            "rbac.authorization.k8s.io/clusterroles": {"get"},
            "/configmaps": {"get"},
            "authentication.k8s.io/tokenreviews": {"create"},
            "authorization.k8s.io/subjectaccessreviews": {"create"},
        },
    ),
]
ALL_ROLES = [item for item in manifests() if item["kind"] in {"Role", "ClusterRole"}]


def granted(role: dict[str, Any]) -> dict[str, set[str]]:
    verbs: dict[str, set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                verbs.setdefault(f"{group}/{resource}", set()).update(rule["verbs"])
    return verbs


@pytest.mark.parametrize(("kind", "name", "folder", "expected"), ROLES)
def test_a_role_of_the_controller_grants_exactly_this(kind, name, folder, expected):
    assert granted(manifest(kind, name, folder)) == expected


def test_no_other_role_is_bound_to_the_controller():
    bindings = [item for item in manifests() if item["kind"].endswith("Binding")]
    assert {(item["roleRef"]["kind"], item["roleRef"]["name"]) for item in bindings} == {
        (kind, name) for kind, name, _, _ in ROLES
    }
    for item in bindings:
        [subject] = item["subjects"]
        assert (subject["kind"], subject["name"]) == ("ServiceAccount", "sedna-controller")


@pytest.mark.parametrize("role", ALL_ROLES, ids=lambda role: role["metadata"]["name"])
def test_no_rule_has_a_wildcard_or_hands_out_rights(role):
    for rule in role["rules"]:
        assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
        words = {word for values in rule.values() for word in values}
        assert not any("*" in word for word in words)
        assert not words & {"bind", "escalate", "impersonate"}
        # To look at one role of its own hands out nothing.
        assert rule["apiGroups"] != ["rbac.authorization.k8s.io"] or (
            rule["verbs"] == ["get"] and rule["resourceNames"]
        )
        assert not any("secrets" in rule["resources"] and verb not in {"get", "watch"} for verb in rule["verbs"])


def test_the_lease_is_tied_to_its_name_where_rbac_can_do_it():
    rules = manifest("Role", "sedna-controller-lease")["rules"]
    for rule in rules:
        assert rule.get("resourceNames") == (None if rule["verbs"] == ["create"] else ["sedna-controller"])


def test_what_the_metrics_api_changes_is_tied_to_its_names():
    names = {
        "endpointslices": [SERVICE],
        "apiservices": [f"{version}.{GROUP}" for version in sorted(VERSIONS)],
        "clusterroles": [OWNER],
        "configmaps": [CONFIG_MAP[1]],
    }
    rules = [rule for item in manifests("metrics-api") if item["kind"].endswith("Role") for rule in item["rules"]]
    found = {resource: rule.get("resourceNames") for rule in rules for resource in rule["resources"]}
    assert found == names | {"tokenreviews": None, "subjectaccessreviews": None}


def test_whoever_may_view_services_may_view_their_metrics():
    [rule] = [rule for rule in manifest("ClusterRole", "sedna-view")["rules"] if rule["apiGroups"] == [GROUP]]
    assert rule["verbs"] == ["get"]
    assert rule["resources"] == list(resource_names())


@pytest.mark.parametrize(
    "path", ["cluster-role.yaml", "namespaced/role.yaml", "controller/lease-role.yaml", "metrics-api/role.yaml"]
)
def test_every_rule_says_why(path):
    lines = (DEPLOY / path).read_text(encoding="utf-8").splitlines()
    before = [lines[number - 1] for number, line in enumerate(lines) if line.startswith("- apiGroups:")]
    assert before
    assert [line for line in before if not line.startswith("# ")] == []


def test_people_with_the_built_in_roles_may_use_services():
    labels = {item["metadata"]["name"]: item["metadata"]["labels"] for item in ALL_ROLES}
    assert labels["sedna-view"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert labels["sedna-edit"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert labels["sedna-edit"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
