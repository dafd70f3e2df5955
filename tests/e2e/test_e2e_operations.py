"""The commands of docs/operations.md on a cluster with the face example, from the top of the page to the uninstallation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e.documented_commands import NOT_RUN, PAGE, ROOT, DocumentedCommand, documented_commands, run_documented
from tests.e2e.fixtures import install_controller
from tests.integration.controller_process import wait_until

pytestmark = pytest.mark.timeout(400)

EXAMPLE = ROOT / "examples" / "face_detection" / "service.yaml"
NAME, NAMESPACE = "face-detection", "default"
SERVES_S = 120.0
COMMANDS = [one for one in documented_commands(PAGE.read_text(encoding="utf-8")) if one.text not in NOT_RUN]
OURS = "jointinferenceservice.sedna.io/worker-type"


def manifests(root: Path) -> list[dict[str, Any]]:
    """Return the example, its files below `root` and its clip played slowly for ever, each worker on its node."""
    text = EXAMPLE.read_text(encoding="utf-8").replace(" /sedna/", f" {root}/sedna/")
    found: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    workers = found[-1]["spec"]
    workers["edgeWorker"]["template"]["spec"]["containers"][0]["env"] += [
        {"name": "SOURCE_REPEAT", "value": "0"},
        {"name": "SOURCE_PACE", "value": "5"},
        {"name": "LC_PERIOD", "value": "5"},
    ]
    for side, node in (("edgeWorker", "edge1"), ("cloudWorker", "cloud1")):
        workers[side]["template"]["spec"]["nodeName"] = node
    return found


def status(plane: ControlPlane) -> dict[str, Any]:
    found = json.loads(plane.kubectl("get", "ji", NAME, "-n", NAMESPACE, "-o", "json"))
    return found.get("status", {})  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def shell(e2e_cluster: E2eCluster, installed_controller: None, node_root: Path) -> Iterator[Mapping[str, str]]:
    """The environment of an administrator's shell, with the example's service running; the controller is there again after it."""
    plane = e2e_cluster.plane
    plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests(node_root)))
    wait_until(lambda: status(plane).get("phase") == "Running", "the example to run", SERVES_S)
    wait_until(lambda: pods_with_metrics(plane) >= 2, "metrics of its pods", SERVES_S)
    folders = [str(plane.kubectl_program.parent), os.environ["PATH"]]
    yield {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "KUBECONFIG": str(plane.kubeconfig),
        "KUBECACHEDIR": str(plane.layout.folder / "kubectl-cache"),
        "KUBERC": "off",
    }
    install_controller(plane)


def pods_with_metrics(plane: ControlPlane) -> int:
    found = json.loads(plane.kubectl("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods"))
    return len(found["items"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"line {command.line}")
def test_a_command_of_the_page_does_what_it_is_there_for(command: DocumentedCommand, shell):
    print(f"$ {command.text}\n{run_documented(command, shell)}")


def test_nothing_of_ours_is_left_after_the_last_one(shell, e2e_cluster):
    """Follows from the page's last commands, so it is the last test."""
    plane = e2e_cluster.plane
    kinds = plane.kubectl("api-resources", "--api-group=sedna.io", "-o", "name", "--cached=false")
    assert kinds.strip() == ""
    for kind in ("deployments", "services", "hpa", "pods"):
        assert plane.kubectl("get", kind, "-A", "-l", OURS, "-o", "name").strip() == ""
    everything = "namespaces,clusterroles,clusterrolebindings"
    assert plane.kubectl("get", everything, "-l", "app.kubernetes.io/part-of=sedna", "-o", "name").strip() == ""
