"""Upstream's helmet sample with autoscaling on the test's nodes: all of it, changed only where the module says so.

Images and node names are ours; the cpu requests are small, as two nodes share two cores here; the camera speaks HTTP, as no
RTSP server runs at the edge. The images carry the face pair instead of the helmet pair, whose big model takes most of a
second a frame on such a machine, and the Models name its files; their threads, filter, folders and autoscalers are the sample's.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SAMPLE = Path(__file__).parents[1] / "data" / "upstream" / "helmet_detection_hpa.yaml"
NAME = "helmet-detection-inference-example"
NAMESPACE = "default"
CLOUD_DEPLOYMENT = f"{NAME}-deployment-cloud"
EDGE_DEPLOYMENT = f"{NAME}-deployment-edge"
CLOUD_PODS = f"jointinferenceservice.sedna.io/name={NAME},jointinferenceservice.sedna.io/worker-type=cloud"
EDGE_PODS = f"jointinferenceservice.sedna.io/name={NAME},jointinferenceservice.sedna.io/worker-type=edge"
LITTLE_IMAGE, BIG_IMAGE = "sedna-py/e2e-little:0.1.0", "sedna-py/e2e-big:0.1.0"
EDGE_CPU, CLOUD_CPU = "100m", "200m"
CAMERA_PORT = 8554
WORKER_UID = 65532
# On the node, as the sample and its Models have them.
OUTPUT = Path("/joint_inference/output")
MODELS = {
    "helmet-detection-inference-little-model": Path("/data/little-model/short_range.tflite"),
    "helmet-detection-inference-big-model": Path("/data/big-model/full_range.tflite"),
}


def documents(cloud_node: str, edge_node: str) -> list[dict[str, Any]]:
    """Return the sample's documents with the changes."""
    text = SAMPLE.read_text(encoding="utf-8").replace("$CLOUD_NODE", cloud_node).replace("$EDGE_NODE", edge_node)
    found: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    for document in found:
        if document["kind"] == "Model":
            document["spec"]["url"] = str(MODELS[document["metadata"]["name"]])
        else:
            edit_workers(document["spec"])
    return found


def edit_workers(spec: dict[str, Any]) -> None:
    """Put the test's images, cpu requests and camera into the sample's spec."""
    little = spec["edgeWorker"]["template"]["spec"]["containers"][0]
    little["image"] = LITTLE_IMAGE
    little["resources"]["requests"]["cpu"] = EDGE_CPU
    for variable in little["env"]:
        if variable["name"] == "video_url":
            variable["value"] = f"http://localhost:{CAMERA_PORT}/video"
    big = spec["cloudWorker"]["template"]["spec"]["containers"][0]
    big["image"] = BIG_IMAGE
    big["resources"]["requests"]["cpu"] = CLOUD_CPU


@dataclass
class NodeFiles:
    """The folders that the sample expects on its nodes, which share this machine's file system; only new ones are made."""

    made: list[Path]

    @classmethod
    def put(cls, models: Path) -> NodeFiles:
        """Make the folders and copy the models into them; FileExistsError where a folder is somebody else's."""
        files = cls([])
        try:
            for folder in (OUTPUT, *(path.parent for path in MODELS.values())):
                files._make(folder)
            for path in MODELS.values():
                shutil.copy(models / path.name, path)
            shutil.chown(OUTPUT, WORKER_UID, WORKER_UID)
        except BaseException:
            files.remove()
            raise
        return files

    def remove(self) -> None:
        """Remove what was made."""
        for folder in reversed(self.made):
            shutil.rmtree(folder, ignore_errors=True)

    def _make(self, folder: Path) -> None:
        absent = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        if not absent:
            raise FileExistsError(
                f"{folder} exists on this machine: move it away, the sample's test needs that very path"
            )
        folder.mkdir(parents=True)
        self.made.append(absent[-1])
