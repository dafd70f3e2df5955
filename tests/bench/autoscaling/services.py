"""The services that are compared: two edge workers under the same frames, two cloud workers under the same hard frames.

The models wait most of their time and compute for a small part of it, as one does whose work is on an accelerator.
"""

from __future__ import annotations

from typing import Any, Final

from tests.cluster.site import EDGE_ADDRESS
from tests.e2e.scaled_services import ALL_HARD, COMPUTE, WAIT, Scaled

# Drops: an edge pod does 10 frames/s at most, a little less as its worker needs some time too.
EDGE_WAIT_S: Final = 0.088
EDGE_COMPUTE_S: Final = 0.012
LOAD_RATE: Final = 25.0  # frames/s
IDLE_RATE: Final = 1.0
# A busy pod takes about 150m here: with more than that as its request cpu never reaches its target, and no pod comes.
EDGE_CPU: Final = "120m"
CPU_PERCENT: Final = 80
DEMAND_TARGET: Final = 0.8  # both targets are the defaults
MOST_PODS: Final = 5
CAMERA_PORTS: Final = {"cpu": 8557, "demand": 8558, "hard": 8559}

# Early warning: a cloud pod does 5 requests/s.
CLOUD_S: Final = 0.2
CLOUD_RATE: Final = 1 / CLOUD_S
LITTLE_S: Final = 0.005
EARLY_SHARE: Final = 0.5
CALM: Final = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}}}


def _video(camera: str) -> str:
    return f"http://{EDGE_ADDRESS}:{CAMERA_PORTS[camera]}/video"


def _edge(name: str, block: dict[str, Any], cpu: str) -> Scaled:
    return Scaled(
        name,
        {"maxReplicas": 1, "scaleMetric": "concurrency", "scaleTarget": 1},
        edge_hpa={"maxReplicas": MOST_PODS, **block, **CALM},
        video_url=_video(name),
        edge_filter={"name": "EdgeOnly"},
        edge_environment={WAIT: f"{EDGE_WAIT_S:g}", COMPUTE: f"{EDGE_COMPUTE_S:g}"},
        edge_cpu=cpu,
    )


def _cloud(name: str, more: dict[str, Any]) -> Scaled:
    return Scaled(
        name,
        {"maxReplicas": 4, "scaleMetric": "streams", "scaleTarget": 1, **more, **CALM},
        video_url=_video("hard"),
        edge_filter=ALL_HARD,
        edge_environment={WAIT: f"{LITTLE_S:g}"},
        cloud_environment={WAIT: f"{CLOUD_S:g}"},
    )


CPU: Final = "cpu"
DEMAND: Final = "demand"
QUEUE: Final = "queue"
EARLY: Final = "early"


def services(edge_cpu: str, early_share: float) -> list[Scaled]:
    """Return all of them; `edge_cpu` is what a pod of the two edge workers requests, `early_share` EARLY's earlyWarning."""
    return [
        _edge(CPU, {"scaleMetric": "cpu", "scaleTarget": CPU_PERCENT}, edge_cpu),
        _edge(DEMAND, {"scaleMetric": "demand", "scaleTarget": DEMAND_TARGET}, edge_cpu),
        _cloud(QUEUE, {}),
        _cloud(EARLY, {"earlyWarning": early_share}),
    ]
