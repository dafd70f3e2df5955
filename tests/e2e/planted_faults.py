"""Ten mistakes that people make, each in a service of its own, and the way out.

Their names are those of the table in docs/operations.md, which has what the service says. Where a fault is on one side, the
worker of the other side does nothing and is ready, as two cores have to carry all of them at once. The faults themselves are
real: real workers, nodes, disks and quotas.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import helmet_sample as sample

Object = dict[str, Any]

CLOUD_NODE, EDGE_NODE = "cloud1", "edge1"
EDGE_TAINT = "node-role.kubernetes.io/edge"
# Nothing listens on port 1, and nobody has to be asked for the way there.
NO_REGISTRY = "127.0.0.1:1"
DEAF_PORT = 5999
WRONG_PORT = 8080
NAME = "faulty"
LITTLE, BIG = "little-model", "big-model"
HPA: Object = {
    "minReplicas": 1,
    "maxReplicas": 3,
    "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    ],
}


@dataclass(frozen=True)
class Ground:
    """Where a fault is planted: `folder` is its own on the nodes, `full` a full file system of edge1."""

    models: Path
    clip: Path
    folder: Path
    full: Path
    cloud_address: str


@dataclass(frozen=True)
class Fault:
    """What is applied, and what a person does about it.

    `cures` are words for kubectl, `adds` objects to apply, `mends` does something on the nodes.
    """

    spec: Object
    model_files: Mapping[str, str] = field(default_factory=dict)
    first: Sequence[Object] = ()  # applied before the service
    cures: tuple[str, ...] = ()
    adds: Sequence[Object] = ()
    mends: Callable[[], object] | None = None

    def models(self, ground: Ground) -> list[Object]:
        """Return the Models; a name without a file has none."""
        files = {LITTLE: "short_range.tflite", BIG: "full_range.tflite"} | dict(self.model_files)
        return [model(name, ground.models / file) for name, file in files.items() if file]

    def service(self) -> Object:
        """Return the JointInferenceService."""
        head = {"apiVersion": "sedna.io/v1alpha1", "kind": "JointInferenceService"}
        return {**head, "metadata": {"name": NAME}, "spec": self.spec}


def faults(ground: Ground) -> dict[str, Fault]:
    """Return every fault by its name in the table."""
    return {
        "wrong image": wrong_image(),
        "missing Model": missing_model(ground),
        "missing model file": missing_model_file(ground),
        "missing hostPath": missing_host_path(ground),
        "no metrics-server": no_metrics_server(),
        "no requests": no_requests(),
        "unreachable cloud address": unreachable_address(ground),
        "wrong port": wrong_port(),
        "quota": quota(),
        "taint": taint(),
        "full disk": full_disk(ground),
    }


def wrong_image() -> Fault:
    image = f"{NO_REGISTRY}/sedna-py/worker:0.1.1"
    return Fault(
        spec(cloud=idle(image=image)),
        cures=container_patch("cloudWorker", {"image": sample.BIG_IMAGE}),
    )


def missing_model(ground: Ground) -> Fault:
    return Fault(spec(), model_files={LITTLE: ""}, adds=[model(LITTLE, ground.models / "short_range.tflite")])


def missing_model_file(ground: Ground) -> Fault:
    model_patch = '{"spec": {"url": "' + str(ground.models / "full_range.tflite") + '"}}'
    return Fault(
        spec(cloud={"image": sample.BIG_IMAGE}),
        model_files={BIG: "full-range.tflite"},  # a dash for an underscore
        cures=("patch", "model", BIG, "--type=merge", "-p", model_patch),
    )


def missing_host_path(ground: Ground) -> Fault:
    folder = ground.folder / "output"
    return Fault(
        spec(
            edge=idle(volumeMounts=[{"name": "output", "mountPath": "/output"}]),
            edge_volumes=[host_path("output", folder)],
        ),
        mends=folder.mkdir,
    )


def no_metrics_server() -> Fault:
    return Fault(
        spec(cloud=idle(resources={"requests": {"cpu": "10m"}}), cloud_fields={"hpa": HPA}),
    )


def no_requests() -> Fault:
    requests = {"resources": {"requests": {"cpu": "10m"}}}
    return Fault(
        spec(cloud=idle(resources={}), cloud_fields={"hpa": HPA}),
        cures=container_patch("cloudWorker", requests),
    )


def unreachable_address(ground: Ground) -> Fault:
    """The address is there and nobody listens at it; the edge answers every frame itself."""
    expose = {"type": "Address", "address": f"{ground.cloud_address}:{DEAF_PORT}"}
    return Fault(
        spec(
            edge=camera_edge(ground),
            cloud={"image": sample.BIG_IMAGE},
            cloud_fields={"expose": expose},
            **clips(ground),
        ),
        cures=service_patch('{"cloudWorker": {"expose": {"type": "NodePort", "address": null}}}'),
    )


def wrong_port() -> Fault:
    """A server of one's own that listens on another port than 5000."""
    listen = ["python", "-m", "http.server", str(WRONG_PORT)]
    right = {"command": [*listen[:-1], "5000"], "readinessProbe": {"httpGet": {"path": "/", "port": 5000}}}
    return Fault(
        spec(cloud=idle(command=listen, readinessProbe=None)),
        cures=container_patch("cloudWorker", right),
    )


def quota() -> Fault:
    none = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    return Fault(
        spec(),
        first=[none],
        cures=("delete", "resourcequota", "none"),
    )


def taint() -> Fault:
    toleration = f'{{"key": "{EDGE_TAINT}", "operator": "Exists", "effect": "NoSchedule"}}'
    tolerations = f'{{"edgeWorker": {{"template": {{"spec": {{"tolerations": [{toleration}]}}}}}}}}'
    return Fault(
        spec(edge_place={"nodeSelector": {"kubernetes.io/hostname": EDGE_NODE}}),
        cures=service_patch(tolerations),
    )


def full_disk(ground: Ground) -> Fault:
    """A disk that is full when the worker starts; one that fills up later is not this fault but the next test."""
    edge = camera_edge(ground, DECISIONS_FILE="/output/decisions.jsonl")
    edge["volumeMounts"].append({"name": "output", "mountPath": "/output"})
    places = clips(ground)
    places["edge_volumes"].append(host_path("output", ground.full))
    return Fault(
        spec(edge=edge, **places),
    )


def spec(
    *,
    edge: Object | None = None,
    cloud: Object | None = None,
    edge_place: Object | None = None,
    edge_volumes: Sequence[Object] = (),
    cloud_fields: Object | None = None,
) -> Object:
    """Return a service's spec; a worker that is not given does nothing."""
    edge_pod = {**(edge_place or {"nodeName": EDGE_NODE}), "volumes": list(edge_volumes)}
    return {
        "edgeWorker": {
            "model": {"name": LITTLE},
            "hardExampleMining": {"name": "Threshold", "parameters": [{"key": "threshold", "value": "0.9"}]},
            "template": template(edge or idle(), edge_pod),
        },
        "cloudWorker": {
            "model": {"name": BIG},
            "template": template(cloud or idle(), {"nodeName": CLOUD_NODE}),
            **(cloud_fields or {}),
        },
    }


def template(container: Object, pod: Object) -> Object:
    """Return a pod template; its pods end at once, as what they do is of no value."""
    defaults = {"name": "worker", "imagePullPolicy": "IfNotPresent", "resources": {"requests": {"cpu": "10m"}}}
    first = {key: value for key, value in {**defaults, **container}.items() if value is not None}
    return {"spec": {**pod, "terminationGracePeriodSeconds": 0, "containers": [first]}}


def idle(**fields: Any) -> Object:
    """Return a container that does nothing and is ready."""
    waits = {
        "image": sample.BIG_IMAGE,
        "command": ["sleep", "infinity"],
        "readinessProbe": {"exec": {"command": ["true"]}},
    }
    return {**waits, **fields}


def camera_edge(ground: Ground, **variables: str) -> Object:
    """Return the container of a real edge worker that plays the clip again and again, slowly."""
    environment = {
        "video_url": f"/clips/{ground.clip.name}",
        "SOURCE_PACE": "5",
        "SOURCE_REPEAT": "0",
        "DECISIONS_FILE": "/tmp/decisions.jsonl",
        "LC_PERIOD": "5",
        **variables,
    }
    return {
        "image": sample.LITTLE_IMAGE,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "volumeMounts": [{"name": "clips", "mountPath": "/clips", "readOnly": True}],
    }


def clips(ground: Ground) -> dict[str, Any]:
    """Return the volumes of such a worker, for `spec`."""
    return {"edge_volumes": [host_path("clips", ground.clip.parent)]}


def host_path(name: str, folder: Path) -> Object:
    return {"name": name, "hostPath": {"path": str(folder), "type": "Directory"}}


def model(name: str, path: Path) -> Object:
    spec_of_model = {"url": str(path), "format": "tflite"}
    return {"apiVersion": "sedna.io/v1alpha1", "kind": "Model", "metadata": {"name": name}, "spec": spec_of_model}


def service_patch(spec_text: str) -> tuple[str, ...]:
    """Return the words for kubectl that change the service's spec."""
    return ("patch", "ji", NAME, "--type=merge", "-p", f'{{"spec": {spec_text}}}')


def container_patch(side: str, fields: Object) -> tuple[str, ...]:
    """Return the words for kubectl that change fields of a worker's container."""
    place = f"/spec/{side}/template/spec/containers/0"
    steps = [{"op": "add", "path": f"{place}/{name}", "value": value} for name, value in fields.items()]
    return ("patch", "ji", NAME, "--type=json", "-p", json.dumps(steps))
