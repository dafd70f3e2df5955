"""Services that scale by our own signals: real pods and autoscalers, and a model that takes time and hardly a processor.

So a pod's capacity is known (ten requests a second, one at a time, unless said otherwise) and twenty pods fit on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e.helmet_sample import BIG_IMAGE, LITTLE_IMAGE
from tests.e2e.pods import Pod, pods
from tests.integration.controller_process import wait_until

SERVICE_S = 0.1  # seconds of a request
POD_RATE = 1 / SERVICE_S
WAIT, COMPUTE = (
    "MODEL_WAIT_S",
    "MODEL_COMPUTE_S",
)  # variables of the worker: seconds of a request without and with a processor
# Hashing lets the worker's other threads run, as an inference does.
CODE = f"""
import hashlib
import os
import time

WAIT_S, COMPUTE_S = float(os.environ.get("{WAIT}", "{SERVICE_S}")), float(os.environ.get("{COMPUTE}", "0"))
BLOCK = bytes(1 << 18)


class Slow:
    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        until = time.thread_time() + COMPUTE_S
        while time.thread_time() < until:
            hashlib.sha256(BLOCK).digest()
        time.sleep(WAIT_S)
        return [[0, 0, 1, 1, 0.5, 0]]
"""
AVAILABLE_S = 120.0
BENCH_END_S = 60.0
POD_HTTP_PORT = 8090
SOME_HARD = {"name": "Random", "parameters": [{"key": "random_ratio", "value": "0.3"}]}
ALL_HARD = {"name": "CloudOnly"}
QUIET = "push://"  # a source that nobody sends anything to


@dataclass(frozen=True)
class Scaled:
    """One service of the story."""

    name: str
    cloud_hpa: Mapping[str, Any]
    edge_hpa: Mapping[str, Any] | None = None
    video_url: str = QUIET
    annotations: Mapping[str, str] = field(default_factory=dict)
    edge_filter: Mapping[str, Any] = field(default_factory=lambda: SOME_HARD)
    edge_port: int = (
        0  # of the edge node itself, where the worker's HTTP side is to be reached from outside; 0: in the pod
    )
    edge_environment: Mapping[str, str] = field(default_factory=dict)
    cloud_environment: Mapping[str, str] = field(default_factory=dict)
    edge_cpu: str = "5m"  # what an edge pod requests

    def documents(self, namespace: str) -> list[dict[str, Any]]:
        """Return its Models and itself."""
        models = [self._model(namespace, kind) for kind in ("little", "big")]
        service = {
            "apiVersion": "sedna.io/v1alpha1",
            "kind": "JointInferenceService",
            "metadata": {"name": self.name, "namespace": namespace, "annotations": dict(self.annotations)},
            "spec": {"edgeWorker": self._edge(), "cloudWorker": self._cloud()},
        }
        return [*models, service]

    def _model(self, namespace: str, kind: str) -> dict[str, Any]:
        about = {"name": f"{self.name}-{kind}", "namespace": namespace}
        # A name that only the estimator would read; it loads nothing.
        spec = {"url": f"none:{kind}", "format": "none"}
        return {"apiVersion": "sedna.io/v1alpha1", "kind": "Model", "metadata": about, "spec": spec}

    def _edge(self) -> dict[str, Any]:
        port = self.edge_port or POD_HTTP_PORT
        # The image is the helmet sample's, which writes its decisions to a folder of the node and lets its camera wait.
        own = {"DECISIONS_FILE": "/tmp/decisions.jsonl", "BUFFER_POLICY": "auto", "BUFFER_FRAMES": "16"}
        environment = {"video_url": self.video_url, "EDGE_HTTP_PORT": str(port), **own, **self.edge_environment}
        volumes = [{"name": "scratch", "hostPath": {"path": "/tmp", "type": "Directory"}}]
        worker: dict[str, Any] = {
            "model": {"name": f"{self.name}-little"},
            "hardExampleMining": dict(self.edge_filter),
            "template": template("edge1", LITTLE_IMAGE, environment, volumes, self.edge_cpu),
        }
        if self.edge_port:
            worker["template"]["spec"] |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
        return worker | ({"hpa": dict(self.edge_hpa)} if self.edge_hpa else {})

    def _cloud(self) -> dict[str, Any]:
        return {
            "model": {"name": f"{self.name}-big"},
            "template": template("cloud1", BIG_IMAGE, self.cloud_environment, []),
            "hpa": dict(self.cloud_hpa),
        }


def template(
    node: str, image: str, environment: Mapping[str, str], volumes: list[dict[str, Any]], cpu: str = "5m"
) -> dict[str, Any]:
    """Return a worker's pod template with the slow model."""
    variables = {"ESTIMATOR": "/code/slow.py:Slow", **environment}
    mounts = [{"name": "code", "mountPath": "/code", "readOnly": True}]
    mounts += [{"name": volume["name"], "mountPath": f"/{volume['name']}", "readOnly": True} for volume in volumes]
    container = {
        "name": "worker",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {"requests": {"cpu": cpu, "memory": "32Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": mounts,
    }
    code = {"name": "code", "configMap": {"name": "slow"}}
    return {
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": [code, *volumes],
        }
    }


@dataclass(frozen=True)
class RunningService:
    """An applied service, as its autoscalers and the API tell of it."""

    cluster: E2eCluster
    namespace: str
    name: str

    def deployment(self, side: str) -> dict[str, Any]:
        """Return a worker's Deployment; {} while it is not there."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}-deployment-{side}"
        return self.cluster.plane.api.get(path) or {}

    def is_available(self, side: str) -> bool:
        """Return whether the worker's Deployment is Available."""
        conditions = self.deployment(side).get("status", {}).get("conditions", [])
        return any(item["type"] == "Available" and item["status"] == "True" for item in conditions)

    def hpa(self, side: str) -> dict[str, Any]:
        """Return a worker's autoscaler."""
        kind = "horizontalpodautoscalers"
        path = f"/apis/autoscaling/v2/namespaces/{self.namespace}/{kind}/hpa-{self.name}-deployment-{side}"
        return self.cluster.plane.api.get(path) or {}

    def wanted(self, side: str) -> int:
        """Return how many pods the worker shall have."""
        return int(self.deployment(side).get("spec", {}).get("replicas", 0))

    def ready(self, side: str) -> int:
        """Return how many of them are ready."""
        return int(self.deployment(side).get("status", {}).get("readyReplicas", 0))

    def pods(self, side: str) -> list[Pod]:
        """Return the worker's pods, those that are going as well."""
        return pods(self.cluster.plane, self.namespace, self._labels(side))

    def phase(self) -> str:
        """Return the service's phase."""
        path = f"/apis/sedna.io/v1alpha1/namespaces/{self.namespace}/jointinferenceservices/{self.name}"
        return str((self.cluster.plane.api.get(path) or {}).get("status", {}).get("phase", ""))

    def has_values(self, side: str) -> bool:
        """Return whether the autoscaler knows the value of each of its metrics."""
        found = self.hpa(side)
        known = found.get("status", {}).get("currentMetrics") or []
        return (
            bool(known) and len(known) == len(found["spec"]["metrics"]) and all(current_value(item) for item in known)
        )

    def pod_value(self, side: str, metric: str) -> list[float]:
        """Return a signal of each of the worker's pods that has one, by the metrics API."""
        path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{self.namespace}/pods/*/{metric}"
        found = self.cluster.plane.api.get(f"{path}?labelSelector={quote(self._labels(side))}") or {"items": []}
        return [quantity(item["value"]) for item in found["items"]]

    def _labels(self, side: str) -> str:
        return f"jointinferenceservice.sedna.io/name={self.name},jointinferenceservice.sedna.io/worker-type={side}"

    @property
    def cloud_address(self) -> str:
        """The base URL of the cloud worker's Service."""
        path = f"/api/v1/namespaces/{self.namespace}/services/{self.name}-cloud"
        service = self.cluster.plane.api.get(path) or {}
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition of the service."""
        wait_until(condition, f"{self.name}: {what}", seconds)

    def serve(self) -> None:
        """Wait until both sides are Available."""
        for side in ("cloud", "edge"):
            self.wait(lambda side=side: self.is_available(side), f"{side} to be Available", AVAILABLE_S)


def current_value(metric: Mapping[str, Any]) -> bool:
    """Return whether an autoscaler's metric has a value."""
    return any(block.get("current") for key, block in metric.items() if key != "type")


def quantity(text: str) -> float:
    """Return a value of the metrics API, which writes m, k or nothing behind the number."""
    units = {"m": 1e-3, "k": 1e3, "u": 1e-6}
    return float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)


@dataclass
class Seen:
    """Changes of a number while somebody looks: (seconds since the beginning, number)."""

    changes: list[tuple[float, int]] = field(default_factory=list)

    def note(self, since: float, number: int) -> None:
        """Note a number, if it is another one."""
        if not self.changes or self.changes[-1][1] != number:
            self.changes.append((time.monotonic() - since, number))

    def most(self) -> int:
        """Return the highest number."""
        return max((number for _, number in self.changes), default=0)

    def first(self, wanted: Callable[[int], bool]) -> float:
        """Return when the number first was so; infinity if it never was."""
        return next((at for at, number in self.changes if wanted(number)), float("inf"))

    def at(self, moment: float) -> int:
        """Return the number at that time."""
        return next((number for at, number in reversed(self.changes) if at <= moment), 0)


@contextmanager
def asked(url: str, seconds: float, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Ask a worker by `sedna bench` for so long; its report is what it prints."""
    words = [sys.executable, "-m", "sedna_py.cli", "bench", url, "--data", "hello", "--warm-up", "0", "--json"]
    words += ["--seconds", f"{seconds:g}", *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def report(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of `sedna bench` and return its report; AssertionError with its words where it has none."""
    out, errors = process.communicate(timeout=BENCH_END_S)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(out)
    return found
