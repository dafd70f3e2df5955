"""What upstream's global manager has made is taken over as it is: nothing is deleted, nothing is made twice."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import ControllerProcess, running_controller, serves_our_kinds, wait_until

ROOT = Path(__file__).parents[2]
HELMET = ROOT / "tests" / "data" / "upstream" / "helmet_detection_hpa.yaml"
SERVICE = "helmet-detection-inference-example"
LABEL = "jointinferenceservice.sedna.io"
KINDS = "deployments,services,horizontalpodautoscalers"
EDGE, CLOUD = f"{SERVICE}-deployment-edge", f"{SERVICE}-deployment-cloud"
# Upstream never leaves Failed again, and appends where we replace.
STATUS = {
    "startTime": "2025-01-02T03:04:05Z",
    "active": 1,
    "failed": 1,
    "conditions": [
        {"type": "Running", "status": "True", "lastTransitionTime": "2025-01-02T03:04:05Z"},
        {"type": "Failed", "status": "True", "reason": "workerFailed", "message": "the worker of service failed"},
    ],
    "metrics": [{"key": "inferenceNumber", "value": "120"}],
}
Manifest = dict[str, Any]


def documents(namespace: str) -> list[Manifest]:
    """Return upstream's example with autoscaling in the cloud only, so that `kubectl scale` counts at the edge."""
    found = list(yaml.safe_load_all(HELMET.read_text(encoding="utf-8")))
    for document in found:
        document["metadata"]["namespace"] = namespace
    del found[-1]["spec"]["edgeWorker"]["hpa"]
    for worker in ("edgeWorker", "cloudWorker"):
        found[-1]["spec"][worker]["template"]["spec"]["nodeName"] = "somewhere"
    return found


def as_upstream_makes_them(service: Manifest) -> list[Manifest]:
    """Return the four objects as upstream's controller creates them (contract section 2)."""
    edge_env = {
        "DATA_PATH_PREFIX": "/home/data",
        "WORKER_NAME": "edgeworker-x7k2m",  # drawn by chance, and the order is one of chance as well
        "HEM_PARAMETERS": '[{"key":"threshold_img","value":"0.9"},{"key":"threshold_box","value":"0.9"}]',
        "MODEL_URL": "/home/data/data/little-model/yolov3_resnet18.pb",
        "NAMESPACE": service["metadata"]["namespace"],
        "LC_SERVER": "http://localhost:9100",
        "BIG_MODEL_PORT": "5000",
        "SERVICE_NAME": SERVICE,
        "HEM_NAME": "IBT",
        "BIG_MODEL_IP": f"{SERVICE}-cloud.{service['metadata']['namespace']}",
    }
    cloud_env = {
        "DATA_PATH_PREFIX": "/home/data",
        "MODEL_URL": "/home/data/data/big-model/yolov3_darknet.pb",
        "BIG_MODEL_BIND_PORT": "5000",
        "WORKER_NAME": "cloudworker-b2c4d",
        "NAMESPACE": service["metadata"]["namespace"],
        "SERVICE_NAME": SERVICE,
    }
    labels = _labels(service, "cloud")
    port = {"name": "tcp-0", "protocol": "TCP", "port": 5000, "targetPort": 5000}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": CLOUD}
    return [
        _deployment(service, "cloud", cloud_env, "/data/big-model/", "data-big-modelz"),
        _deployment(service, "edge", edge_env, "/data/little-model/", "data-little-modelz"),
        _owned(service, "v1", "Service", f"{SERVICE}-cloud", labels) | {"spec": {"selector": labels, "ports": [port]}},
        _owned(service, "autoscaling/v2", "HorizontalPodAutoscaler", f"hpa-{CLOUD}", labels)
        | {"spec": {"scaleTargetRef": target, **service["spec"]["cloudWorker"]["hpa"]}},
    ]


def _labels(service: Manifest, side: str) -> dict[str, str]:
    return {f"{LABEL}/name": SERVICE, f"{LABEL}/uid": service["metadata"]["uid"], f"{LABEL}/worker-type": side}


def _owned(service: Manifest, version: str, kind: str, name: str, labels: dict[str, str]) -> Manifest:
    owner = {key: service[key] for key in ("apiVersion", "kind")}
    owner |= {key: service["metadata"][key] for key in ("name", "uid")} | {
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": name,
        "namespace": service["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner],
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _deployment(service: Manifest, side: str, env: dict[str, str], directory: str, volume: str) -> Manifest:
    labels = _labels(service, side) | {"app.sedna.io": f"{SERVICE}-{side.capitalize()}-svc"}
    pod = copy.deepcopy(service["spec"][f"{side}Worker"]["template"]["spec"])
    [container] = pod["containers"]
    container["env"] += [{"name": name, "value": value} for name, value in env.items()]
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": f"/home/data{directory}"})
    pod.setdefault("volumes", []).append({"name": volume, "hostPath": {"path": directory, "type": "Directory"}})
    template = {"metadata": {"labels": labels}, "spec": pod}
    return _owned(service, "apps/v1", "Deployment", f"{SERVICE}-deployment-{side}", labels) | {
        "spec": {"selector": {"matchLabels": labels}, "template": template}
    }


@pytest.fixture
def left_behind(control_plane: ControlPlane, namespace: str) -> dict[str, str]:
    """A service with everything that upstream made for it, its manager gone; the uid of each object by name."""
    control_plane.kubectl("apply", "-f", str(ROOT / "crds"))
    wait_until(lambda: serves_our_kinds(control_plane), "the CRDs to be served")
    control_plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(documents(namespace)))
    service = json.loads(control_plane.kubectl("get", "ji", SERVICE, "-n", namespace, "-o", "json"))
    control_plane.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(as_upstream_makes_them(service)))
    control_plane.kubectl("scale", f"deployment/{EDGE}", "--replicas=3", "-n", namespace)
    patch = json.dumps({"status": STATUS})
    control_plane.kubectl("patch", "ji", SERVICE, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    return uids(control_plane, namespace)


@pytest.fixture
def controller(
    control_plane: ControlPlane, left_behind: dict[str, str], namespace: str, tmp_path: Path
) -> Iterator[ControllerProcess]:
    """A controller that begins when all of that is there."""
    settings = {"POD_NAMESPACE": namespace}
    with running_controller(tmp_path, control_plane.kubeconfig, settings) as running:
        yield running


def items(control_plane: ControlPlane, namespace: str) -> dict[str, Manifest]:
    found = json.loads(control_plane.kubectl("get", KINDS, "-n", namespace, "-o", "json"))["items"]
    return {item["metadata"]["name"]: item for item in found}


def uids(control_plane: ControlPlane, namespace: str) -> dict[str, str]:
    return {name: item["metadata"]["uid"] for name, item in items(control_plane, namespace).items()}


def variables(deployment: Manifest) -> dict[str, Manifest]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert len({variable["name"] for variable in container["env"]}) == len(container["env"])
    return {variable["name"]: variable for variable in container["env"]}


def test_upstreams_objects_become_ours_and_stay_the_same_objects(control_plane, namespace, left_behind, controller):
    def status() -> Manifest:
        return json.loads(control_plane.kubectl("get", "ji", SERVICE, "-n", namespace, "-o", "json"))["status"]

    wait_until(lambda: status().get("observedGeneration") == 1, "a status of ours")
    wait_until(lambda: "value" not in _worker_name(control_plane, namespace, EDGE), "the edge's template to be ours")
    wait_until(lambda: "value" not in _worker_name(control_plane, namespace, CLOUD), "the cloud's template to be ours")

    live = items(control_plane, namespace)
    found = {name: item["metadata"]["uid"] for name, item in live.items()}
    assert found.pop(f"{SERVICE}-cloud-pods")  # which upstream does not have
    assert found == left_behind
    assert live[EDGE]["spec"]["replicas"] == 3
    assert variables(live[EDGE])["LC_SERVER"]["value"] == f"http://{SERVICE}-cloud.{namespace}:5000"
    for name in (EDGE, CLOUD):
        pod = live[name]["spec"]["template"]["spec"]
        assert len({volume["name"] for volume in pod["volumes"]}) == len(pod["volumes"])

    after = status()
    types = [condition["type"] for condition in after["conditions"]]
    assert len(types) == len(set(types))
    assert types[-1] in {"Running", "Failed"}
    assert after["startTime"] == STATUS["startTime"]


def _worker_name(control_plane: ControlPlane, namespace: str, deployment: str) -> Manifest:
    return variables(items(control_plane, namespace)[deployment])["WORKER_NAME"]
