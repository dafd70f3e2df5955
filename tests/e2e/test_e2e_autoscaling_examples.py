"""examples/autoscaling in real pods, all five at once: point 9 of the issue.

Changed only where the test needs it: the namespace, the folder of the files, cpu requests that fit ten pods on two cores, less
time to end, and the clip, which is played again and again as a camera would.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e.example_documents import Documents, container, example_documents, with_host_root
from tests.e2e.pods import pods
from tests.e2e.scaled_services import RunningService
from tests.integration.controller_process import wait_until

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "autoscaling").glob("*.yaml"))
SIDES = {"edge": "edgeWorker", "cloud": "cloudWorker"}
CPU = "50m"
GRACE_S = 5
FRAMES_PER_SECOND = 5
VALUES_S = 120.0


def documents(example: Path, namespace: str, root: Path) -> Documents:
    found = with_host_root(example_documents(example, namespace, FRAMES_PER_SECOND), root)
    for worker in SIDES.values():
        container(found, worker)["resources"]["requests"]["cpu"] = CPU
        found[-1]["spec"][worker]["template"]["spec"]["terminationGracePeriodSeconds"] = GRACE_S
    return found


@pytest.fixture
def namespace(e2e_cluster: E2eCluster, installed_controller: None, e2e_namespace: str) -> Iterator[str]:
    """A namespace whose services and pods go before it does."""
    yield e2e_namespace
    e2e_cluster.plane.kubectl("delete", "ji", "--all", "-n", e2e_namespace)
    wait_until(lambda: not pods(e2e_cluster.plane, e2e_namespace, ""), "the examples' pods to go", 120)


def test_each_example_serves_and_its_autoscalers_know_their_values(e2e_cluster, namespace, node_root):
    found = {example.stem: documents(example, namespace, node_root) for example in EXAMPLES}
    text = yaml.safe_dump_all([document for several in found.values() for document in several])
    e2e_cluster.plane.kubectl("apply", "-f", "-", stdin=text)
    scaled = []
    for several in found.values():
        running = RunningService(e2e_cluster, namespace, several[-1]["metadata"]["name"])
        running.serve()
        scaled += [(running, side) for side, worker in SIDES.items() if "hpa" in several[-1]["spec"][worker]]
    for running, side in scaled:
        running.wait(lambda running=running, side=side: running.has_values(side), f"the {side}'s values", VALUES_S)
    table = e2e_cluster.kubectl("get", "hpa", "-n", namespace).splitlines()
    assert len(table) == 1 + len(scaled) == 1 + len(EXAMPLES) + 1  # a heading, and one example scales both sides
