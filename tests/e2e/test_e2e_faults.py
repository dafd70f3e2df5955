"""Ten planted faults on real nodes: what the service says of each, and that it is well again once a person did what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sedna_py.metrics import names
from tests.cluster.control_plane import ControlPlane
from tests.cluster.e2e_cluster import E2eCluster
from tests.e2e.documented_commands import PAGE, TableRow, fault_table
from tests.e2e.planted_faults import EDGE_NODE, NAME, Fault, Ground, Object, camera_edge, clips, faults, host_path, spec
from tests.integration.controller_process import wait_until

pytestmark = pytest.mark.timeout(600)

SAID_S = 150.0  # the slowest: three missed reports of an edge that cannot reach the cloud
MENDED_S = 150.0  # a node tries a volume, and a container that crashed, in ever longer intervals
GONE_S = 90.0
METRICS_API = "v1beta1.metrics.k8s.io"
RIGHT_AFTER = {"CloudReady": "Ready", "EdgeReady": "Ready", "CloudScaling": "Scaling", "CloudReachable": "CloudReached"}
TABLE = fault_table(PAGE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Planted:
    """A fault in its namespace, and what the page says that its service says."""

    cluster: E2eCluster
    namespace: str
    fault: Fault
    row: TableRow
    since: float  # of the monotonic clock

    def status(self) -> dict[str, Any]:
        """Return the status of the service."""
        found = json.loads(self.cluster.plane.kubectl("get", "ji", NAME, "-n", self.namespace, "-o", "json"))
        return found.get("status", {})  # type: ignore[no-any-return]

    def condition(self) -> dict[str, str]:
        """Return the condition that the fault is about; {} before it is there."""
        conditions = self.status().get("conditions", [])
        return next((item for item in conditions if item["type"] == self.row.condition), {})

    def has_said(self) -> bool:
        """Return whether the condition has the reason and the message of the page."""
        said = self.condition()
        return said.get("reason") == self.row.reason and self.row.fits(said.get("message", ""))

    def kubectl(self, *words: str) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.plane.kubectl(words[0], "-n", self.namespace, *words[1:])

    def apply(self, objects: Sequence[Object]) -> None:
        """Apply objects to the namespace."""
        self.cluster.plane.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=yaml.safe_dump_all(objects))


@contextmanager
def small_file_system(cluster: E2eCluster, folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system at a folder of edge1."""
    folder.mkdir()
    on_edge(cluster, "mount", "-t", "tmpfs", "-o", f"mode=0777,{options}", "tmpfs", str(folder))
    try:
        yield
    finally:
        on_edge(cluster, "umount", "--lazy", str(folder))


def on_edge(cluster: E2eCluster, *command: str) -> None:
    """Run a command where the mounts of edge1 are."""
    subprocess.run(cluster.enter_command(EDGE_NODE, *command), check=True, capture_output=True, timeout=30)


@contextmanager
def no_metrics_api(plane: ControlPlane) -> Iterator[None]:
    """Take the registration of metrics-server away, and bring it back."""
    there = json.loads(plane.kubectl("get", "apiservice", METRICS_API, "-o", "json"))
    there["metadata"] = {"name": METRICS_API}
    there.pop("status", None)
    plane.kubectl("delete", "apiservice", METRICS_API)
    try:
        yield
    finally:
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(there))


@pytest.fixture(scope="module")
def ground(e2e_cluster: E2eCluster, node_models: Path, face_clip: Path) -> Iterator[Ground]:
    """A folder for the faults, which every user may enter, and a file system of edge1 without room."""
    folder = Path(tempfile.mkdtemp(prefix="sedna-e2e-faults-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = Ground(node_models, face_clip, folder, folder / "full", e2e_cluster.cloud_address)
    try:
        # Of two files the folder itself is one.
        with small_file_system(e2e_cluster, made.full, "size=64k,nr_inodes=2"):
            on_edge(e2e_cluster, "touch", str(made.full / "filler"))
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class AllPlanted:
    """Every fault by its name; `metrics` brings metrics-server back when it is closed."""

    by_title: dict[str, Planted]
    metrics: ExitStack


@pytest.fixture(scope="module")
def planted(
    e2e_cluster: E2eCluster, installed_controller: None, sample_images: None, ground: Ground
) -> Iterator[AllPlanted]:
    """All of them at once; a run waits for the slowest and not for their sum."""
    found = faults(ground)
    assert set(found) == set(TABLE)
    with ExitStack() as metrics, ExitStack() as stack:
        metrics.enter_context(no_metrics_api(e2e_cluster.plane))
        made: dict[str, Planted] = {}
        stack.callback(lambda: clear(e2e_cluster.plane, [one.namespace for one in made.values()]))
        for title, fault in found.items():
            made[title] = plant(e2e_cluster, TABLE[title], fault, ground)
        yield AllPlanted(made, metrics)


def plant(cluster: E2eCluster, row: TableRow, fault: Fault, ground: Ground) -> Planted:
    """Apply the fault's objects to a namespace of its own."""
    namespace = cluster.plane.create_namespace(f"fault-{re.sub('[^a-z]+', '-', row.title.lower())}-")
    one = Planted(cluster, namespace, fault, row, time.monotonic())
    if fault.first:
        one.apply(fault.first)
        one.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "resourcequota", "--all")
    one.apply([*fault.models(ground), fault.service()])
    return one


def clear(plane: ControlPlane, namespaces: list[str]) -> None:
    """Remove the namespaces and wait until their pods are gone from the nodes."""
    spaces = set(namespaces)
    for space in spaces:
        plane.delete_namespace(space)

    def left() -> set[str]:
        found = json.loads(plane.kubectl("get", "pods", "-A", "-o", "json"))["items"]
        return spaces & {pod["metadata"]["namespace"] for pod in found}

    wait_until(lambda: not left(), "the pods of the faults to go", GONE_S)


@pytest.mark.parametrize("title", TABLE)
def test_the_service_says_what_is_wrong(title, planted):
    one = planted.by_title[title]
    try:
        wait_until(one.has_said, f"{one.row.condition} {one.row.reason}", SAID_S)
    except AssertionError as error:
        raise AssertionError(f"{error}; it says {one.condition()}, all in all {one.status()}") from None
    said = one.condition()
    print(f"{title} ({time.monotonic() - one.since:.0f} s): {said['type']} {said['reason']}: {said['message']}")
    assert said["status"] == "False"


def test_a_person_who_does_what_it_says_has_a_service_that_works(planted, ground, e2e_cluster):
    """All at once as well, for the same reason."""
    planted.metrics.close()
    on_edge(e2e_cluster, "mount", "-o", "remount,nr_inodes=100,size=100m", str(ground.full))
    for one in planted.by_title.values():
        if one.fault.mends is not None:
            one.fault.mends()
        if one.fault.cures:
            one.kubectl(*one.fault.cures)
        if one.fault.adds:
            one.apply(one.fault.adds)
    waiting = dict(planted.by_title)

    def all_well() -> bool:
        for title in [title for title, one in waiting.items() if is_well(one)]:
            print(f"{title}: well")
            waiting.pop(title)
        return not waiting

    try:
        wait_until(all_well, "all to be well", MENDED_S)
    except AssertionError as error:
        left = {title: one.condition() for title, one in waiting.items()}
        raise AssertionError(f"{error}; left are {left}") from None


def is_well(one: Planted) -> bool:
    said = one.condition()
    return said.get("status") == "True" and said.get("reason") == RIGHT_AFTER[one.row.condition]


@pytest.fixture
def filling_up(
    e2e_cluster: E2eCluster, installed_controller: None, sample_images: None, ground: Ground
) -> Iterator[Planted]:
    """A service whose edge writes its pictures to a disk with room for a few of them."""
    folder = ground.folder / "small"
    edge = camera_edge(ground, EDGE_HTTP_PORT="8090", all_examples_inference_output="/output/all")
    edge["volumeMounts"].append({"name": "output", "mountPath": "/output"})
    places = clips(ground)
    places["edge_volumes"].append(host_path("output", folder))
    fault = Fault(spec(edge=edge, **places))
    with small_file_system(e2e_cluster, folder, "size=256k"), ExitStack() as stack:
        one = plant(e2e_cluster, TableRow("disk fills up", "EdgeReady", "Ready", ""), fault, ground)
        stack.callback(clear, e2e_cluster.plane, [one.namespace])
        yield one


def test_a_disk_that_fills_up_stops_no_answer_and_is_in_the_log_and_the_metrics(filling_up):
    """The service says nothing of it, as its workers serve; docs/operations.md names the two places."""
    wait_until(filling_up.has_said, "the edge to be ready", SAID_S)
    edge = f"deployment/{NAME}-deployment-edge"
    wait_until(lambda: "cannot write" in filling_up.kubectl("logs", edge, "--tail=-1"), "a line in the log", 60)
    lines = filling_up.kubectl("logs", edge, "--tail=-1").splitlines()
    failed = [line for line in lines if "cannot write" in line]
    assert all("sink folders cannot write: [Errno 28] No space left on device" in line for line in failed)
    # Said once each time that it begins: a smaller picture may have had room in between.
    assert len(failed) <= 1 + sum("sink folders can write again" in line for line in lines)
    before = counted(filling_up, names.EDGE_FRAMES)
    assert counted(filling_up, names.EDGE_SINK_ERRORS) > 0
    wait_until(lambda: counted(filling_up, names.EDGE_FRAMES) > before, "more answers", 30)
    assert filling_up.condition()["reason"] == "Ready"


def counted(one: Planted, metric: str) -> float:
    """Return the sum of a metric, asked for where a person asks: in the container, as no way leads to a pod at the edge."""
    read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8090/metrics', timeout=5).read().decode())"
    page = one.kubectl("exec", f"deployment/{NAME}-deployment-edge", "--", "python", "-c", read)
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{metric}{{"))
