"""What managedFields tells about others: small objects here, the real API server in tests/integration/test_hand_edits.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.foreign_fields import foreign_fields, overwrite, ownership

US = "us"
VERSION = {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
KCM_STATUS = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "subresource": "status",
    "fieldsV1": {"f:status": {"f:replicas": {}}, "f:spec": {"f:paused": {}}},
}


def container(name: str, *fields: str, env: Any = None) -> dict[str, Any]:
    tree: dict[str, Any] = {".": {}, "f:name": {}, **{f"f:{field}": {} for field in fields}}
    if env is not None:
        tree["f:env"] = env
    return {f'k:{{"name":"{name}"}}': tree}


def variable(name: str) -> dict[str, Any]:
    return {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}}}


def in_pod(containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": containers, **fields}}}}


OWN = in_pod(container("a", "image", env=variable("X")))
SPEC: dict[str, Any] = {
    "replicas": 3,
    "paused": True,
    "template": {
        "metadata": {"labels": {"mine": "1", "a/b~c": "2"}, "annotations": {"restarted": "now"}},
        "spec": {
            "containers": [
                {"name": "z", "image": "i"},
                {"name": "a", "image": "i", "env": [{"name": "Y"}, {"name": "X"}, {"name": "Y"}, {"name": "W"}]},
                {"name": "y", "image": "i"},
            ],
            "finalizers": ["one", "two"],
        },
    },
}


def live(*others: dict[str, Any], own: dict[str, Any] | None = OWN, kind: str = "Deployment") -> dict[str, Any]:
    entries = [*others]
    if own is not None:
        entries.insert(len(entries) // 2, {"manager": US, "operation": "Apply", "time": "t", "fieldsV1": own})
    return {"kind": kind, "metadata": {"resourceVersion": "7", "managedFields": entries}, "spec": SPEC}


def theirs(tree: dict[str, Any], manager: str = "kubectl-edit", operation: str = "Update") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": tree}


def removed(operations: list[dict[str, Any]]) -> list[str]:
    return [operation["path"] for operation in operations if operation["op"] == "remove"]


@pytest.mark.parametrize(
    ("tree", "paths"),
    [
        ({"f:spec": {"f:paused": {}}}, ["/spec/paused"]),
        (in_pod(container("a", "image")), []),  # shared with us
        (in_pod(container("a", env=variable("W"))), ["/spec/template/spec/containers/1/env/3"]),
        (in_pod(container("z", "image")), ["/spec/template/spec/containers/0"]),
        (
            in_pod({**container("y"), **container("z"), **container("a", env={**variable("W"), **variable("Y")})}),
            [
                "/spec/template/spec/containers/2",
                "/spec/template/spec/containers/1/env/3",
                "/spec/template/spec/containers/1/env/2",
                "/spec/template/spec/containers/1/env/0",
                "/spec/template/spec/containers/0",
            ],
        ),
        (
            {"f:spec": {"f:template": {"f:metadata": {"f:labels": {"f:a/b~c": {}}}}}},
            ["/spec/template/metadata"],
        ),
        (in_pod({}, **{"f:finalizers": {'v:"two"': {}}}), ["/spec/template/spec/finalizers"]),
        (in_pod(container("gone", "image")), []),
    ],
)
def test_the_highest_fields_that_others_alone_own_are_removed_last_items_first(
    tree: dict[str, Any], paths: list[str]
) -> None:
    assert removed(foreign_fields(live(theirs(tree)), US)) == paths


@pytest.mark.parametrize(
    ("own", "tree", "paths"),
    [
        (
            {"f:spec": {"f:template": {"f:metadata": {"f:labels": {"f:mine": {}}}}}},
            {"f:spec": {"f:template": {"f:metadata": {"f:labels": {"f:a/b~c": {}}}}}},
            ["/spec/template/metadata/labels/a~1b~0c"],
        ),
        (
            in_pod({}, **{"f:finalizers": {'v:"one"': {}}}),
            in_pod({}, **{"f:finalizers": {'v:"two"': {}}}),
            ["/spec/template/spec/finalizers/1"],
        ),
        (
            in_pod({}, **{"f:finalizers": {"i:1": {}}}),
            in_pod({}, **{"f:finalizers": {"i:0": {}, "i:9": {}}}),
            ["/spec/template/spec/finalizers/0"],
        ),
    ],
    ids=["escaped name", "value", "position"],
)
def test_every_kind_of_key_is_found(own: dict[str, Any], tree: dict[str, Any], paths: list[str]) -> None:
    assert removed(foreign_fields(live(theirs(tree), own=own), US)) == paths


@pytest.mark.parametrize(
    ("kind", "tree"),
    [
        ("Deployment", {"f:spec": {"f:replicas": {}}}),
        ("Deployment", {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {".": {}, "f:restarted": {}}}}}}),
        (
            "Deployment",
            {"f:metadata": {"f:labels": {"f:team": {}}, "f:annotations": {"f:a": {}}}, "f:status": {"f:x": {}}},
        ),
        (
            "Service",
            {"f:spec": {"f:clusterIP": {}, "f:clusterIPs": {}, "f:ipFamilies": {}, "f:healthCheckNodePort": {}}},
        ),
        ("Service", {"f:spec": {"f:loadBalancerIP": {}}}),
        ("Service", {"f:spec": {"f:ports": {'k:{"port":5000,"protocol":"TCP"}': {"f:nodePort": {}}}}}),
    ],
)
def test_what_is_theirs_by_right_stays(kind: str, tree: dict[str, Any]) -> None:
    own = copy.deepcopy(OWN)
    own["f:spec"]["f:template"]["f:metadata"] = {"f:labels": {"f:mine": {}}}
    own["f:spec"]["f:ports"] = {'k:{"port":5000,"protocol":"TCP"}': {".": {}, "f:port": {}}}
    assert foreign_fields(live(theirs(tree), KCM_STATUS, own=own, kind=kind), US) == []


def test_the_patch_takes_the_removed_fields_from_their_owners_and_names_the_version() -> None:
    tree = {
        "f:metadata": {"f:labels": {"f:team": {}}},
        "f:spec": {
            "f:paused": {},
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": container("z", "image")}},
        },
    }
    document = live(theirs(tree), KCM_STATUS, theirs({"f:spec": {"f:paused": {}}}, "other", "Apply"))
    before = copy.deepcopy(document)
    own = next(entry for entry in document["metadata"]["managedFields"] if entry["manager"] == US)
    kept = theirs({"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:replicas": {}}})
    assert foreign_fields(document, US) == [
        {"op": "remove", "path": "/spec/paused"},
        {"op": "remove", "path": "/spec/template/spec/containers/0"},
        {"op": "replace", "path": "/metadata/managedFields", "value": [kept, own, KCM_STATUS]},
        VERSION,
    ]
    assert document == before


def test_what_became_ours_by_an_earlier_patch_is_given_up() -> None:
    # Otherwise a default that replaced a removed field would be ours for ever, and so would be what we overwrote.
    document = live(theirs({"f:spec": {"f:revisionHistoryLimit": {}}}, US), KCM_STATUS)
    own = document["metadata"]["managedFields"][1]
    assert foreign_fields(document, US) == [
        {"op": "replace", "path": "/metadata/managedFields", "value": [own, KCM_STATUS]},
        VERSION,
    ]


@pytest.mark.parametrize(
    "entries", [[], [theirs({"f:spec": {"f:paused": {}}})], [{"manager": US, "operation": "Apply"}]]
)
def test_nothing_is_removed_where_we_never_applied(entries: list[dict[str, Any]]) -> None:
    document = live(*entries, own=None)
    assert foreign_fields(document, US) == []
    assert ownership(document, US) is None


def test_an_object_without_managed_fields_is_nobodys() -> None:
    document = {"kind": "Service", "metadata": {"resourceVersion": "7"}, "spec": {}}
    assert (ownership(document, US), foreign_fields(document, US)) == (None, [])


def test_ownership_changes_with_what_we_own_and_with_nothing_else() -> None:
    digest = ownership(live(), US)
    assert digest is not None
    later = live(theirs({"f:spec": {"f:paused": {}}}), KCM_STATUS)
    later["metadata"]["managedFields"][1] |= {"time": "later"}
    assert ownership(later, US) == digest
    assert ownership(live(own=in_pod(container("a", "image"))), US) != digest
    assert ownership(live(), "somebody else") is None


def test_ownership_changes_with_the_order_of_what_we_own_but_not_with_what_is_between() -> None:
    own = in_pod({**container("a"), **container("y")})
    digest = ownership(live(own=own), US)
    between, turned = (live(own=own) for _ in range(2))
    containers = SPEC["template"]["spec"]["containers"]
    for document, order in ((between, [1, 0, 2]), (turned, [0, 2, 1])):
        document["spec"] = {"template": {"spec": {"containers": [containers[place] for place in order]}}}
    assert ownership(between, US) == digest
    assert ownership(turned, US) != digest


def test_a_spec_is_overwritten_but_for_the_annotations_of_its_pods() -> None:
    wanted = {"metadata": {"labels": {"mine": "1"}, "annotations": {"ours": "x"}}, "spec": {"containers": []}}
    kept = {**wanted, "metadata": {"labels": {"mine": "1"}, "annotations": {"restarted": "now", "ours": "x"}}}
    assert overwrite(live(), {"spec": {"selector": {"a": "b"}, "template": wanted}}) == [
        {"op": "add", "path": "/spec/selector", "value": {"a": "b"}},
        {"op": "add", "path": "/spec/template", "value": kept},
        VERSION,
    ]
    assert overwrite({**live(), "spec": {}}, {"spec": {"ports": []}}) == [
        {"op": "add", "path": "/spec/ports", "value": []},
        VERSION,
    ]
