"""The plain Deployment of examples/llm_deployment beside a JointInferenceService: one command scales it on the same cluster.

The image in the example is the user's. Here it is our own worker with the face pair's big model: a server that takes CPU for each
answer, which is all that the autoscaler sees of an LLM.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e import helmet_sample as sample
from tests.e2e.camera import encoded
from tests.integration.controller_process import wait_until

pytestmark = pytest.mark.timeout(600)

EXAMPLE = Path(__file__).parents[2] / "examples" / "llm_deployment" / "llm.yaml"
MODELS = "/models"
UP_S, DOWN_S = 120, 150


def manifests(models: Path) -> list[dict[str, Any]]:
    """Return the example's documents with an image, a model and a little less CPU."""
    deployment, service = yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    container["image"] = sample.BIG_IMAGE
    container["env"] = [{"name": "MODEL_URL", "value": f"{MODELS}/full_range.tflite"}]
    container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": 5000}, "periodSeconds": 2}
    container["volumeMounts"] = [{"name": "models", "mountPath": MODELS, "readOnly": True}]
    pod["volumes"] = [{"name": "models", "hostPath": {"path": str(models), "type": "Directory"}}]
    for part in ("requests", "limits"):
        container["resources"][part]["cpu"] = "200m"
    return [deployment, service]


@pytest.fixture
def deployed(
    e2e_cluster: E2eCluster, e2e_namespace: str, sample_images: None, node_models: Path
) -> Iterator[tuple[E2eCluster, str]]:
    """The Deployment, its Service, and the autoscaler that `kubectl autoscale` makes."""
    kubectl = e2e_cluster.plane.kubectl
    kubectl("apply", "-n", e2e_namespace, "-f", "-", stdin=yaml.safe_dump_all(manifests(node_models)))
    kubectl("rollout", "status", "deployment/llm", "-n", e2e_namespace, "--timeout=90s", timeout_s=100)
    kubectl("autoscale", "deployment", "llm", "--cpu=50%", "--min=1", "--max=10", "-n", e2e_namespace)
    yield e2e_cluster, e2e_namespace
    kubectl("delete", "deployment,service,hpa", "llm", "-n", e2e_namespace)


def replicas(cluster: E2eCluster, namespace: str) -> int:
    found = json.loads(cluster.plane.kubectl("get", "hpa", "llm", "-n", namespace, "-o", "json"))
    return int(found["status"].get("currentReplicas", 0))


@pytest.fixture
def asked_at_the_edge(
    deployed: tuple[E2eCluster, str], face_clip: Path, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody beside the pods who asks one of them all the time: the cloud has no way to a pod at the edge."""
    cluster, namespace = deployed
    (tmp_path / "picture.jpg").write_bytes(encoded(face_clip)[0])
    # The pod is ready; that the Service has it is written a moment later.
    wait_until(lambda: addresses(cluster, namespace), "the pod behind the Service", 60)
    url = f"http://{addresses(cluster, namespace)[0]}:5000/sedna/predict"
    words = [sys.executable, "-m", "tests.e2e.caller", "--url", url, "--picture", str(tmp_path / "picture.jpg")]
    with cluster.run_in_edge_netns(words, stdout=subprocess.PIPE) as caller:
        yield caller
        caller.kill()


def addresses(cluster: E2eCluster, namespace: str) -> list[str]:
    """Return the pods behind the Service, as its EndpointSlices have them."""
    words = ("get", "endpointslices", "-l", "kubernetes.io/service-name=llm", "-n", namespace, "-o", "json")
    slices = json.loads(cluster.plane.kubectl(*words))["items"]
    return sorted(
        address for part in slices for endpoint in part.get("endpoints") or () for address in endpoint["addresses"]
    )


def test_kubectl_autoscale_scales_it_up_and_down_at_the_edge(deployed, asked_at_the_edge):
    cluster, namespace = deployed
    wait_until(lambda: replicas(cluster, namespace) >= 2, "a second pod", UP_S)
    wait_until(lambda: len(addresses(cluster, namespace)) >= 2, "both pods behind the Service", 60)
    nodes = cluster.plane.kubectl("get", "po", "-n", namespace, "-o", "jsonpath={.items[*].spec.nodeName}")
    assert set(nodes.split()) == {"edge1"}
    asked_at_the_edge.kill()
    answers = asked_at_the_edge.stdout.read().decode().split()
    assert len(answers) > 50
    assert set(answers) == {"200"}
    wait_until(lambda: replicas(cluster, namespace) == 1, "one pod again", DOWN_S)


def test_the_older_flag_of_kubectl_makes_the_same_autoscaler(deployed):
    cluster, namespace = deployed
    words = (
        "autoscale",
        "deployment",
        "llm",
        "--cpu-percent=50",
        "--min=1",
        "--max=10",
        "--dry-run=server",
        "--name=old",
    )
    made = yaml.safe_load(cluster.plane.kubectl(*words, "-n", namespace, "-o", "yaml"))
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
