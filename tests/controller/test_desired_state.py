"""What shall exist for a service: which objects, in which order, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.children import ChildKind
from controller.desired_state import DesiredState, Placement, Surroundings, desired_state, manifest_bytes
from controller.reasons import Reason
from sedna_py.api.child_names import Role
from sedna_py.cli import with_uid
from sedna_py.local.manifests import load_manifests
from tests.controller.wanted_objects import (
    CLOUD_POD,
    EDGE_POD,
    PLACEMENT,
    UID,
    child,
    parsed_model,
    parsed_service,
    pod,
    template,
    wanted,
)
from workers.settings import EdgeSettings

UPSTREAM = Path(__file__).parents[1] / "data" / "upstream"
HPA = {"maxReplicas": 3}
LABELS = {
    "jointinferenceservice.sedna.io/name": "helmet",
    "jointinferenceservice.sedna.io/uid": UID,
    "jointinferenceservice.sedna.io/worker-type": "cloud",
}
POD_LABELS = {**LABELS, "app.sedna.io": "helmet-Cloud-svc"}
OWNER = {
    "apiVersion": "sedna.io/v1alpha1",
    "kind": "JointInferenceService",
    "name": "helmet",
    "uid": UID,
    "controller": True,
    "blockOwnerDeletion": True,
}


def test_children_come_in_the_order_in_which_they_are_applied() -> None:
    state = wanted({"spec.edgeWorker.hpa": HPA, "spec.cloudWorker.hpa": HPA})
    assert [str(child.key) for child in state.children] == [
        "Deployment helmet-deployment-cloud",
        "HorizontalPodAutoscaler hpa-helmet-deployment-cloud",
        "Service helmet-cloud",
        "Service helmet-cloud-pods",
        "Deployment helmet-deployment-edge",
        "HorizontalPodAutoscaler hpa-helmet-deployment-edge",
    ]


def test_without_hpa_blocks_there_is_no_autoscaler() -> None:
    assert [child.kind for child in wanted().children] == [
        ChildKind.DEPLOYMENT,
        ChildKind.SERVICE,
        ChildKind.SERVICE,
        ChildKind.DEPLOYMENT,
    ]


def test_a_deployment_has_what_the_contract_says_and_nothing_else() -> None:
    manifest = dict(child(wanted(), ChildKind.DEPLOYMENT, Role.CLOUD).manifest)
    assert manifest.pop("spec").keys() == {"selector", "template"}  # so neither replicas nor strategy
    assert manifest == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "helmet-deployment-cloud",
            "namespace": "shop",
            "labels": POD_LABELS,
            "ownerReferences": [OWNER],
        },
    }


def test_pods_have_the_labels_that_the_deployment_selects() -> None:
    for role, capital in ((Role.CLOUD, "Cloud"), (Role.EDGE, "Edge")):
        spec = child(wanted(), ChildKind.DEPLOYMENT, role).manifest["spec"]
        assert spec["selector"] == {"matchLabels": spec["template"]["metadata"]["labels"]}
        assert spec["selector"]["matchLabels"]["app.sedna.io"] == f"helmet-{capital}-svc"


def test_the_service_has_what_the_contract_says_and_nothing_else() -> None:
    assert child(wanted(), ChildKind.SERVICE, Role.CLOUD).manifest == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "helmet-cloud", "namespace": "shop", "labels": LABELS, "ownerReferences": [OWNER]},
        "spec": {
            "selector": LABELS,
            "ports": [{"name": "tcp-0", "protocol": "TCP", "port": 5000, "targetPort": 5000}],
        },
    }


TARGET = {"type": "AverageValue", "averageValue": "0.5"}
METRIC = {
    "name": "queue",
    "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]},
}
EVERY_FIELD: dict[str, Any] = {
    "minReplicas": 2,
    "maxReplicas": 7,
    "metrics": [
        {
            "type": "Resource",
            "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "64Mi"}},
        },
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu",
                "container": "c",
                "target": {"type": "Utilization", "averageUtilization": 50},
            },
        },
        {"type": "Pods", "pods": {"metric": METRIC, "target": TARGET}},
        {
            "type": "Object",
            "object": {
                "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"},
                "metric": {"name": "rps"},
                "target": {"type": "Value", "value": 10},
            },
        },
        {"type": "External", "external": {"metric": METRIC, "target": {"type": "Value", "value": "3k"}}},
    ],
    "behavior": {
        "scaleUp": {
            "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}],
            "selectPolicy": "Max",
            "stabilizationWindowSeconds": 0,
        },
        "scaleDown": {"selectPolicy": "Disabled", "tolerance": "0.2"},
    },
}


@pytest.mark.parametrize(
    "block", [HPA, {"maxReplicas": 1, "metrics": []}, EVERY_FIELD], ids=["least", "empty", "every field"]
)
def test_the_autoscaler_is_the_block_as_it_was_written(block: dict[str, Any]) -> None:
    hpa = child(wanted({"spec.cloudWorker.hpa": block}), ChildKind.HPA, Role.CLOUD)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "helmet-deployment-cloud"}
    assert hpa.manifest == {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": "hpa-helmet-deployment-cloud",
            "namespace": "shop",
            "labels": LABELS,
            "ownerReferences": [OWNER],
        },
        "spec": {"scaleTargetRef": target, **block},
    }


def metrics_of(state: DesiredState, role: Role) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = child(state, ChildKind.HPA, role).manifest["spec"]["metrics"]
    return found


def test_a_short_form_becomes_an_autoscaler_of_kubernetes() -> None:
    short = {"maxReplicas": 3, "scaleMetric": "concurrency", "scaleTarget": 1}
    state = wanted(
        {"spec.cloudWorker.hpa": {**short, "minReplicas": 0, "earlyWarning": 0.7}, "spec.edgeWorker.hpa": short}
    )
    assert child(state, ChildKind.HPA, Role.EDGE).manifest["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "helmet-deployment-edge"},
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "sedna_concurrency"},
                    "target": {"type": "AverageValue", "averageValue": "1"},
                },
            }
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }
    assert child(state, ChildKind.HPA, Role.CLOUD).manifest["spec"]["minReplicas"] == 1
    assert [metric["type"] for metric in metrics_of(state, Role.CLOUD)] == ["Pods", "Object"]


def test_an_annotation_becomes_the_same_autoscaler_as_the_field() -> None:
    field = wanted({"spec.cloudWorker.hpa": {"maxReplicas": 3, "scaleMetric": "rps", "scaleTarget": 50}})
    annotations = {"autoscaling.knative.dev/metric": "rps", "autoscaling.knative.dev/target": "50"}
    said = wanted({"spec.cloudWorker.hpa": {"maxReplicas": 3}, "metadata.annotations": annotations})
    assert [manifest_bytes(one) for one in said.children] == [manifest_bytes(one) for one in field.children]


@pytest.mark.parametrize("who", ["none", "external"])
def test_who_scales_by_himself_gets_everything_but_the_autoscaler(who: str) -> None:
    ours = wanted({"spec.edgeWorker.hpa": HPA, "spec.cloudWorker.hpa": HPA})
    theirs = wanted({f"spec.{side}.hpa": {**HPA, "class": who} for side in ("edgeWorker", "cloudWorker")})
    kept = [manifest_bytes(one) for one in ours.children if one.kind is not ChildKind.HPA]
    assert [manifest_bytes(one) for one in theirs.children] == kept


@pytest.mark.parametrize(
    ("changes", "often"),
    [
        ({}, False),
        ({"spec.edgeWorker.hpa": HPA}, False),
        ({"spec.cloudWorker.hpa": {**HPA, "scaleMetric": "streams"}}, False),
        ({"spec.edgeWorker.hpa": {**HPA, "scaleMetric": "demand"}}, True),
        ({"spec.cloudWorker.hpa": {**HPA, "earlyWarning": 0.7}}, True),
        ({"spec.cloudWorker.hpa": {**HPA, "minReplicas": 0}}, True),
    ],
)
def test_edges_are_told_to_report_often_where_something_depends_on_it(changes: dict[str, Any], often: bool) -> None:
    state = wanted(changes)
    names = {role: [one["name"] for one in pod(state, role)["containers"][0]["env"]] for role in Role}
    assert ("SIGNAL_PERIOD" in names[Role.EDGE]) is often
    assert "SIGNAL_PERIOD" not in names[Role.CLOUD]


def test_the_worker_knows_what_the_controller_gives_it() -> None:
    state = wanted({"spec.edgeWorker.hpa": {**HPA, "scaleMetric": "demand"}})
    [given] = [one for one in pod(state, Role.EDGE)["containers"][0]["env"] if one["name"] == "SIGNAL_PERIOD"]
    assert given["name"] in {field.alias for field in EdgeSettings.model_fields.values()}
    assert 0 < float(given["value"]) < 5  # a value that is older is none


def test_a_period_of_the_templates_own_stays() -> None:
    mine = [{"name": "c", "image": "i", "env": [{"name": "SIGNAL_PERIOD", "value": "20"}]}]
    state = wanted({"spec.edgeWorker.hpa": {**HPA, "scaleMetric": "demand"}, f"{EDGE_POD}.containers": mine})
    assert pod(state, Role.EDGE)["containers"][0]["env"][0] == mine[0]["env"][0]


def test_an_hpa_only_edit_leaves_the_deployment_as_it_is() -> None:
    before, after = (wanted({"spec.cloudWorker.hpa": {"maxReplicas": most}}) for most in (2, 9))
    assert manifest_bytes(before.children[0]) == manifest_bytes(after.children[0])
    assert manifest_bytes(before.children[1]) != manifest_bytes(after.children[1])


@pytest.mark.parametrize(
    ("models", "unusable", "reason", "message"),
    [
        (
            {},
            {},
            Reason.MODEL_MISSING,
            "Model shop/m does not exist; create it, or write the name of one that does in spec.cloudWorker.model.name",
        ),
        (
            {},
            {"m": "spec.url: is empty; write a path"},
            Reason.MODEL_INVALID,
            "Model shop/m cannot be used: spec.url: is empty; write a path",
        ),
    ],
)
def test_a_worker_waits_for_its_model_and_the_other_does_not(
    models: dict[str, Any], unusable: dict[str, str], reason: Reason, message: str
) -> None:
    service = parsed_service({"spec.edgeWorker.model.name": "small", "spec.cloudWorker.hpa": HPA})
    around = Surroundings({**models, "small": parsed_model(name="small")}, unusable)
    state = desired_state(service, around, PLACEMENT)
    assert [(blocked.role, blocked.reason, blocked.message) for blocked in state.blocked] == [
        (Role.CLOUD, reason, message)
    ]
    assert [str(child.key) for child in state.children] == [
        "Service helmet-cloud",
        "Service helmet-cloud-pods",
        "Deployment helmet-deployment-edge",
    ]


def test_both_workers_can_wait_at_once() -> None:
    state = desired_state(parsed_service(), Surroundings(), PLACEMENT)
    assert [blocked.role for blocked in state.blocked] == [Role.CLOUD, Role.EDGE]
    assert [child.kind for child in state.children] == [ChildKind.SERVICE] * 2


def test_a_service_without_a_uid_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="has no uid"):
        desired_state(parsed_service({"metadata": {"name": "helmet"}}), Surroundings({"m": parsed_model()}), PLACEMENT)


# Everything of a pod that we do not read, and all the ways of writing what we do read.
EXOTIC: dict[str, Any] = {
    "containers": [
        {
            "name": "c",
            "image": "i",
            "args": [],
            "env": [
                {"name": "EMPTY", "value": ""},
                {"name": "WITHOUT"},
                {"name": "FIELD", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "c", "optional": True}, "prefix": "P_"}],
            "resources": {
                "requests": {"cpu": 1, "memory": "0.5Gi", "example.com/gpu": "1"},
                "limits": {"cpu": 1.5, "example.com/gpu": 1},
                "claims": [{"name": "r", "request": "q"}],
            },
            "ports": [
                {"containerPort": 80, "hostPort": 81, "hostIP": "127.0.0.1"},
                {"containerPort": 80, "protocol": "UDP"},
            ],
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 3},
            "lifecycle": {"preStop": {"sleep": {"seconds": 0}}},
            "securityContext": {"capabilities": {"drop": []}, "readOnlyRootFilesystem": False},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": "$(X)", "mountPropagation": "None"}],
            "tty": False,
            "unknownToday": {"a": [1, 2.5, True, {"b": "c"}]},
        }
    ],
    "initContainers": [
        {"name": "sidecar", "image": "i", "restartPolicy": "Always", "env": [{"name": "MODEL_URL", "value": "x"}]}
    ],
    "volumes": [
        {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}},
        {"name": "h", "hostPath": {"path": "/h", "type": ""}},
    ],
    "restartPolicy": "",
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "edge", "operator": "Exists"}, {"key": "edge", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}},
    "hostNetwork": False,
    "terminationGracePeriodSeconds": 0,
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "priorityClassName": "high",
}


def test_the_rest_of_the_template_is_as_it_was_written() -> None:
    metadata = {
        "labels": {"team": "vision", "app.sedna.io": "mine"},
        "annotations": {"a": "b"},
        "finalizers": ["example.com/f"],
    }
    changes = {CLOUD_POD: EXOTIC, "spec.cloudWorker.template.metadata": metadata}
    made = template(wanted(changes, url="hf://models/yolo"))
    assert made["metadata"] == {**metadata, "labels": {"team": "vision", **POD_LABELS}}
    container = dict(made["spec"]["containers"][0])
    assert container.pop("readinessProbe")
    assert container.pop("terminationMessagePolicy") == "FallbackToLogsOnError"
    assert container.pop("env")[:3] == EXOTIC["containers"][0]["env"]
    written = {field: value for field, value in EXOTIC["containers"][0].items() if field != "env"}
    assert {**made["spec"], "containers": [container]} == {**EXOTIC, "containers": [written]}


def test_what_is_written_as_null_is_absent() -> None:
    pod = {"containers": [{"name": "c", "image": "i", "args": None, "tty": None}], "volumes": None, "dnsPolicy": None}
    made = template(wanted({CLOUD_POD: pod, "spec.cloudWorker.template.metadata": None}, url="hf://models/yolo"))
    assert made["metadata"] == {"labels": POD_LABELS}
    assert made["spec"].keys() == {"containers"}
    assert made["spec"]["containers"][0].keys() == {
        *("name", "image", "env"),
        *("readinessProbe", "terminationMessagePolicy"),
    }


def test_the_input_is_left_as_it_is() -> None:
    service = parsed_service({CLOUD_POD: EXOTIC, EDGE_POD: EXOTIC})
    before = service.model_dump_json()
    around = Surroundings({"m": parsed_model("https://host/y.xml")})
    first, second = (desired_state(service, around, PLACEMENT) for _ in range(2))
    assert [manifest_bytes(child) for child in first.children] == [manifest_bytes(child) for child in second.children]
    assert service.model_dump_json() == before


def test_the_order_of_fields_makes_no_difference() -> None:
    template = {"containers": [{"name": "c", "image": "i", "tty": True}], "nodeName": "n", "hostIPC": True}
    turned = {key: template[key] for key in reversed(template)}
    turned["containers"] = [{key: template["containers"][0][key] for key in ("tty", "image", "name")}]
    one, other = (wanted({CLOUD_POD: pod}) for pod in (template, turned))
    assert manifest_bytes(one.children[0]) == manifest_bytes(other.children[0])


def digest_of_all() -> str:
    """Return a digest of all manifests of upstream's examples."""
    total = hashlib.sha256()
    for path in sorted(UPSTREAM.glob("*.yaml")):
        manifests = load_manifests([path])
        service = with_uid(manifests.services[0])
        around = Surroundings(manifests.models_for(service), {}, manifests.secrets_for(service))
        for made in desired_state(service, around, Placement()).children:
            total.update(manifest_bytes(made))
    return total.hexdigest()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_makes_the_same_bytes(seed: str) -> None:
    program = "from tests.controller.test_desired_state import digest_of_all; print(digest_of_all())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == digest_of_all()


def test_manifests_are_plain_json() -> None:
    for made in wanted({CLOUD_POD: EXOTIC}).children:
        assert json.loads(manifest_bytes(made)) == made.manifest
