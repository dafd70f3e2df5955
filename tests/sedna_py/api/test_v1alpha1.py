"""The resource models: upstream's YAML goes in and comes out unchanged, and every field is described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from sedna_py.api.findings import RESOURCES, parse_document
from sedna_py.api.schema_walk import nested_model, unknown_fields
from sedna_py.api.v1alpha1 import Hpa, JointInferenceService, Model, PodTemplate

UPSTREAM = Path(__file__).parents[2] / "data" / "upstream"
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}-{document['metadata']['name']}")
    for path in sorted(UPSTREAM.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] in RESOURCES
]


def dump(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_unset=True)


def test_every_upstream_example_is_here() -> None:
    assert {path.stem for path in UPSTREAM.glob("*.yaml")} == {
        "answer_generation",
        "crd_sample",
        "helmet_detection",
        "helmet_detection_hpa",
        "s3",
    }
    assert len(DOCUMENTS) == 16


@pytest.mark.parametrize("document", DOCUMENTS)
def test_upstream_document_round_trips_without_a_finding(document: dict[str, Any]) -> None:
    resource, findings = parse_document(document)
    assert findings == []
    assert resource is not None
    assert dump(resource) == document


def test_pod_template_keeps_what_it_does_not_know() -> None:
    template = {
        "metadata": {"labels": {"tier": "edge"}, "annotations": {"a/b": "c"}, "name": "pods"},
        "spec": {
            "restartPolicy": "",
            "serviceAccountName": "viewer",
            "tolerations": [{"key": "edge", "operator": "Exists"}],
            "initContainers": [{"name": "prepare", "image": "busybox", "command": ["true"]}],
            "containers": [
                {
                    "name": "worker",
                    "image": "little",
                    "args": ["--fast"],
                    "env": [
                        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "EMPTY"},
                    ],
                    "resources": {"requests": {"cpu": 0.5, "memory": "1Gi"}, "claims": [{"name": "gpu"}]},
                    "volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "None", "readOnly": True}],
                    "ports": [{"containerPort": 80, "hostPort": 8080}],
                    "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
                    "tty": True,
                }
            ],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "w", "hostPath": None}],
        },
    }
    assert dump(PodTemplate.model_validate(template)) == template


@pytest.mark.parametrize(
    "metric",
    [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "500m"}}},
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "memory",
                "container": "worker",
                "target": {"type": "Utilization", "averageUtilization": 70},
            },
        },
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "sedna_requests", "selector": {"matchLabels": {"side": "cloud"}}},
                "target": {"type": "AverageValue", "averageValue": 4},
            },
        },
        {
            "type": "Object",
            "object": {
                "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s-cloud"},
                "metric": {"name": "demand"},
                "target": {"type": "Value", "value": "2k"},
            },
        },
        {
            "type": "External",
            "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "30"}},
        },
    ],
    ids=lambda metric: str(metric["type"]),
)
def test_hpa_round_trips(metric: dict[str, Any]) -> None:
    hpa = {
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [metric],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}],
            },
            "scaleDown": {"selectPolicy": "Disabled", "tolerance": "0.05"},
        },
    }
    model = Hpa.model_validate(hpa)
    assert dump(model) == hpa
    assert list(unknown_fields(Hpa, hpa)) == []


def test_status_as_upstream_writes_it_round_trips() -> None:
    document = next(param.values[0] for param in DOCUMENTS if param.values[0]["kind"] == "JointInferenceService")
    status = {
        "conditions": [
            {
                "type": "Running",
                "status": "True",
                "lastHeartbeatTime": "2025-11-21T10:00:00Z",
                "lastTransitionTime": "2025-11-21T10:00:00Z",
            }
        ],
        "startTime": "2025-11-21T10:00:00Z",
        "active": 2,
        "failed": 0,
        "metrics": [{"key": "inferenceNumber", "value": "120"}],
    }
    resource, findings = parse_document({**document, "status": status})
    assert findings == []
    assert isinstance(resource, JointInferenceService)
    assert resource.status is not None
    assert dump(resource.status) == status


def models_below(model: type[BaseModel]) -> set[type[BaseModel]]:
    below = {nested for field in model.model_fields.values() if (nested := nested_model(field.annotation))}
    return {model}.union(*(models_below(nested) for nested in below))


@pytest.mark.parametrize("model", sorted(models_below(JointInferenceService) | models_below(Model), key=str))
def test_every_field_is_described(model: type[BaseModel]) -> None:
    assert model.model_fields
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_python_names_build_the_same_model() -> None:
    assert Hpa(min_replicas=1, max_replicas=2) == Hpa.model_validate({"minReplicas": 1, "maxReplicas": 2})


def test_no_field_of_kubernetes_looks_like_a_slip_of_one_we_type() -> None:
    # Fields of PodSpec, Container and ObjectMeta (Kubernetes 1.34) that are kept without being typed.
    pod = [
        "activeDeadlineSeconds",
        "affinity",
        "automountServiceAccountToken",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "ephemeralContainers",
        "hostAliases",
        "hostIPC",
        "hostPID",
        "hostUsers",
        "hostname",
        "hostnameOverride",
        "imagePullSecrets",
        "initContainers",
        "nodeSelector",
        "os",
        "overhead",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "readinessGates",
        "resourceClaims",
        "resources",
        "runtimeClassName",
        "schedulerName",
        "schedulingGates",
        "securityContext",
        "serviceAccount",
        "serviceAccountName",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
    ]
    container = [
        "envFrom",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "securityContext",
        "startupProbe",
        "stdin",
        "stdinOnce",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "volumeDevices",
        "workingDir",
    ]
    metadata = [
        "deletionGracePeriodSeconds",
        "finalizers",
        "generateName",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
    ]
    document = {
        "metadata": dict.fromkeys(metadata),
        "spec": {
            "edgeWorker": {
                "template": {"spec": {**dict.fromkeys(pod), "containers": [dict.fromkeys(container)]}},
            }
        },
    }
    assert list(unknown_fields(JointInferenceService, document)) == []
