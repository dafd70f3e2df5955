"""The helmet sample while it runs: its camera, its objects, its answers."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e import helmet_sample as sample
from tests.e2e.decisions import DecisionReader, Decisions
from tests.e2e.pods import Pod, pods
from tests.integration.controller_process import wait_until

CAMERA_TIMEOUT_S = 10.0
AVAILABLE_S = 120.0
TWO_PODS_S = 150.0
UNDER_WAY_S = 20.0  # many times a hard frame's deadline
IDLE_RATE = 1.0  # frames/s
KINDS = {
    "ji": "apis/sedna.io/v1alpha1/namespaces/{}/jointinferenceservices/{}",
    "deployment": "apis/apps/v1/namespaces/{}/deployments/{}",
    "hpa": "apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/{}",
}
FIRST_PICTURE = 90  # of the walk: from here on the face is far, and nearly nine of ten frames are hard


@dataclass(frozen=True)
class Scale:
    """What an autoscaler says now."""

    current: int
    wanted: int
    usage: int | None  # percent of the requests


@dataclass(frozen=True)
class RunningSample:
    """The applied sample on a cluster."""

    cluster: E2eCluster
    reader: DecisionReader = field(default_factory=lambda: DecisionReader(sample.OUTPUT))

    def set_rate(self, frames_per_second: float) -> None:
        """Turn the camera up or down."""
        turn_camera(self.cluster, sample.CAMERA_PORT, frames_per_second)

    def apply(self) -> None:
        """`kubectl apply` of the sample's documents."""
        text = yaml.safe_dump_all(sample.documents("cloud1", "edge1"))
        self.cluster.plane.kubectl("apply", "-f", "-", stdin=text)

    def serve(self) -> None:
        """Apply the sample and wait until both sides are Available."""
        self.apply()
        for deployment in (sample.CLOUD_DEPLOYMENT, sample.EDGE_DEPLOYMENT):
            self.wait(lambda name=deployment: self.is_available(name), f"{deployment} to be Available", AVAILABLE_S)

    def use_two_edge_pods(self, frames_per_second: float) -> None:
        """Turn the camera up so far that the edge has both of its pods, and wait for them."""
        self.set_rate(frames_per_second)
        self.wait(lambda: [pod.ready for pod in self.edge_pods()] == [True, True], "both edge pods", TWO_PODS_S)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return one object of the sample's namespace; {} while it is not there.

        By a connection that stays: a process of kubectl for each look would take the processor from the pods.
        """
        return self.cluster.plane.api.get("/" + KINDS[kind].format(sample.NAMESPACE, name)) or {}

    def service(self) -> dict[str, Any]:
        """Return the JointInferenceService."""
        return self.get("ji", sample.NAME)

    def condition(self, kind: str) -> dict[str, Any]:
        """Return a condition of the service; {} where there is none."""
        conditions = self.service().get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def is_available(self, deployment: str) -> bool:
        """Return whether the Deployment is there and Available."""
        conditions = self.get("deployment", deployment).get("status", {}).get("conditions", [])
        return any(item["type"] == "Available" and item["status"] == "True" for item in conditions)

    def scale(self, deployment: str) -> Scale:
        """Return what the Deployment's autoscaler says."""
        status = self.get("hpa", f"hpa-{deployment}").get("status", {})
        usage = [
            metric["resource"]["current"].get("averageUtilization")
            for metric in status.get("currentMetrics") or ()
            if metric.get("type") == "Resource"
        ]
        return Scale(status.get("currentReplicas", 0), status.get("desiredReplicas", 0), usage[0] if usage else None)

    def cloud_pods(self) -> list[Pod]:
        """Return the cloud worker's pods that are there to stay."""
        return self._staying(sample.CLOUD_PODS)

    def edge_pods(self) -> list[Pod]:
        """Return the edge worker's pods that are there to stay."""
        return self._staying(sample.EDGE_PODS)

    def decisions(self) -> Decisions:
        """Return what the edge workers have decided so far."""
        return self.reader.decisions()

    def decisions_without_those_under_way(self) -> Decisions:
        """Return what was decided until now, while frames go on coming.

        A frame that the cloud is asked about is answered after later ones. So each gets its time; one that has no answer by then
        is missing in what is returned.
        """
        now = self.decisions().last_frames()
        with contextlib.suppress(AssertionError):
            self.wait(lambda: not self.decisions().until(now).unanswered(), "the frames under way", UNDER_WAY_S)
        return self.decisions().until(now)

    def wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for a condition of the cluster."""
        wait_until(condition, what, seconds)

    def _staying(self, selector: str) -> list[Pod]:
        found = pods(self.cluster.plane, sample.NAMESPACE, selector)
        return [pod for pod in found if not (pod.going or pod.ended)]


@contextlib.contextmanager
def running_sample(cluster: E2eCluster, clip: Path, models: Path) -> Iterator[RunningSample]:
    """Apply the sample, with its files and a camera at the edge; at the end all of it goes again."""
    files = sample.NodeFiles.put(models)
    camera: subprocess.Popen[bytes] | None = None
    running = RunningSample(cluster)
    try:
        words = ["--clip", str(clip), "--first", str(FIRST_PICTURE), "--port", str(sample.CAMERA_PORT)]
        words += ["--rate", f"{IDLE_RATE:g}"]
        camera = cluster.run_in_edge_netns([sys.executable, "-m", "tests.e2e.camera", *words])
        wait_until(lambda: camera_answers(cluster, sample.CAMERA_PORT, IDLE_RATE), "the camera at the edge")
        yield running
        cluster.plane.kubectl("delete", "ji", sample.NAME, "-n", sample.NAMESPACE, "--ignore-not-found")
        wait_until(lambda: not all_pods(cluster), "the sample's pods to go", 90)
    finally:
        if camera is not None:
            camera.kill()
            camera.wait(10)
        files.remove()


def all_pods(cluster: E2eCluster) -> list[Pod]:
    """Return every pod of the sample, also those that are going."""
    return [
        pod for labels in (sample.CLOUD_PODS, sample.EDGE_PODS) for pod in pods(cluster.plane, sample.NAMESPACE, labels)
    ]


def turn_camera(cluster: E2eCluster, port: int, frames_per_second: float) -> None:
    """Set the rate of a camera at the edge."""
    url = f"http://{cluster.edge_address}:{port}/rate"
    httpx.put(url, content=f"{frames_per_second:g}", timeout=CAMERA_TIMEOUT_S, trust_env=False).raise_for_status()


def camera_answers(cluster: E2eCluster, port: int, frames_per_second: float) -> bool:
    """Return whether a camera at the edge could be set to this rate."""
    try:
        turn_camera(cluster, port, frames_per_second)
    except httpx.HTTPError:
        return False
    return True
