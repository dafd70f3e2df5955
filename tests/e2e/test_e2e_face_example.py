"""The face example on real nodes, and what pod security says of it: acceptance point 5 of the issue.

As it is it takes its models and clip from hostPath, which the level `restricted` forbids: there nothing else may be wrong.
With its models fetched by the init container and a camera as its source it has no hostPath, and runs where the namespace
enforces that level.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import free_port
from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e import helmet_sample as sample
from tests.e2e.example_documents import container, example_documents, with_host_root
from tests.integration.controller_process import wait_until

pytestmark = pytest.mark.timeout(600)

EXAMPLE = Path(__file__).parents[2] / "examples" / "face_detection" / "service.yaml"
NAME = "face-detection"
ENFORCE = "pod-security.kubernetes.io/enforce"
AVAILABLE_S = 90


def status(cluster: E2eCluster, namespace: str) -> dict[str, Any]:
    found = json.loads(cluster.plane.kubectl("get", "ji", NAME, "-n", namespace, "-o", "json"))
    return found.get("status", {})  # type: ignore[no-any-return]


def counted(cluster: E2eCluster, namespace: str) -> dict[str, int]:
    """Return the inferences that the workers reported."""
    return {metric["key"]: int(float(metric["value"])) for metric in status(cluster, namespace).get("metrics", [])}


def is_running(cluster: E2eCluster, namespace: str) -> bool:
    return status(cluster, namespace).get("phase") == "Running"


@pytest.fixture
def namespace_of_example(e2e_cluster: E2eCluster, installed_controller: None, e2e_namespace: str) -> Iterator[str]:
    """A namespace in which the example's service is deleted before it goes."""
    yield e2e_namespace
    e2e_cluster.plane.kubectl("delete", "ji", "--all", "-n", e2e_namespace, "--ignore-not-found")


def test_the_example_serves_from_host_paths_and_breaks_no_other_rule_of_restricted(
    e2e_cluster, namespace_of_example, node_root
):
    text = yaml.safe_dump_all(with_host_root(example_documents(EXAMPLE, namespace_of_example), node_root))
    e2e_cluster.plane.kubectl("apply", "-f", "-", stdin=text)
    wait_until(lambda: is_running(e2e_cluster, namespace_of_example), "the phase Running", AVAILABLE_S)
    wait_until(lambda: counted(e2e_cluster, namespace_of_example).get("inferenceNumber", 0) > 0, "reports", 60)
    assert violations(e2e_cluster, namespace_of_example) == {"restricted volume types"}


def violations(cluster: E2eCluster, namespace: str) -> set[str]:
    """Return what the pods of the namespace would break if it enforced `restricted`: the API server's own list."""
    words = ["label", "--dry-run=server", "--overwrite", "namespace", namespace, f"{ENFORCE}=restricted"]
    done = subprocess.run(
        [str(cluster.plane.kubectl_program), *words],
        env={**os.environ, "KUBECONFIG": str(cluster.plane.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line.removeprefix("Warning: ") for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert lines
    assert lines[0].startswith("existing pods in namespace")
    return {rule.strip() for line in lines[1:] for rule in line.partition(": ")[2].split(",")}


@pytest.fixture
def files_over_http(e2e_cluster: E2eCluster, node_root: Path) -> Iterator[str]:
    """The example's files on a web server that both nodes reach."""
    port = free_port()
    words = [
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        e2e_cluster.cloud_address,
        "--directory",
        str(node_root),
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        yield f"http://{e2e_cluster.cloud_address}:{port}"
        server.kill()


def test_without_host_paths_it_runs_where_restricted_is_enforced(
    e2e_cluster, namespace_of_example, files_over_http, camera_at_the_edge, sample_images
):
    e2e_cluster.plane.kubectl("label", "namespace", namespace_of_example, f"{ENFORCE}=restricted")
    found = example_documents(EXAMPLE, namespace_of_example)
    for model in found[:2]:
        model["spec"]["url"] = files_over_http + model["spec"]["url"]
    for side, image in (("edgeWorker", sample.LITTLE_IMAGE), ("cloudWorker", sample.BIG_IMAGE)):
        worker = container(found, side)
        worker["image"] = image  # with the estimator in it: there is no folder beside the model to take it from
        worker["env"] = [variable for variable in worker["env"] if variable["name"] not in ("ESTIMATOR", "video_url")]
    edge = container(found, "edgeWorker")
    edge["env"] += [
        {"name": "video_url", "value": camera_at_the_edge},
        {"name": "DECISIONS_FILE", "value": "/tmp/decisions.jsonl"},
    ]
    del edge["volumeMounts"]
    del found[-1]["spec"]["edgeWorker"]["template"]["spec"]["volumes"]
    e2e_cluster.plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(found))
    wait_until(lambda: is_running(e2e_cluster, namespace_of_example), "the phase Running", AVAILABLE_S)
    wait_until(lambda: counted(e2e_cluster, namespace_of_example).get("inferenceNumber", 0) > 0, "reports", 60)


def test_a_cloud_worker_that_needs_more_memory_than_its_limit_shows_that_in_the_status(
    e2e_cluster, namespace_of_example, node_root
):
    found = with_host_root(example_documents(EXAMPLE, namespace_of_example), node_root)
    container(found, "cloudWorker")["resources"] = {"requests": {"cpu": "100m"}, "limits": {"memory": "48Mi"}}
    e2e_cluster.plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(found))
    wait_until(
        lambda: "OOMKilled" in condition(e2e_cluster, namespace_of_example, "CloudReady"), "the reason", AVAILABLE_S
    )
    assert "48Mi" in condition(e2e_cluster, namespace_of_example, "CloudReady")


def condition(cluster: E2eCluster, namespace: str, kind: str) -> str:
    """Return the message of a condition of the service."""
    found = status(cluster, namespace).get("conditions", [])
    return next((item.get("message", "") for item in found if item["type"] == kind), "")
