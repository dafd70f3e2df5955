"""Upstream's examples on a real API server: the whole objects with all defaults, and the same bytes applied twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.children import Child, ChildKind
from controller.desired_state import Placement, Surroundings, desired_state
from controller.foreign_fields import foreign_fields, ownership
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.cli import NO_UID
from sedna_py.local.yaml_text import yaml_documents
from tests.cluster.control_plane import ControlPlane
from tests.controller.wanted_objects import parsed_model
from tests.integration.normalise import normalise
from tests.integration.service_on_cluster import MANAGER, ROOT, Children, Cluster, create, example, install_crds

GOLDEN = ROOT / "tests" / "data" / "golden" / "defaulted"
EXAMPLES = sorted(path.stem for path in (ROOT / "tests" / "data" / "upstream").glob("*.yaml"))

ODD: dict[str, Any] = {
    "metadata": {"labels": {"team": "vision"}, "annotations": {"a": "b"}, "creationTimestamp": None},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "args": [],
                "tty": None,
                "env": [
                    {"name": "EMPTY", "value": ""},
                    {"name": "WITHOUT"},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "c", "optional": True}, "prefix": "P_"}],
                "resources": {"requests": {"cpu": 1, "memory": "0.5Gi"}, "limits": {"cpu": 1.5, "memory": "1024Mi"}},
                "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "securityContext": {"capabilities": {"drop": []}, "readOnlyRootFilesystem": False},
                "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "e", "mountPath": "/e"}],
            }
        ],
        "initContainers": [{"name": "side", "image": "i", "restartPolicy": "Always"}],
        "volumes": [
            {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {"name": "h", "hostPath": {"path": "/h", "type": ""}},
            {"name": "e"},
        ],
        "restartPolicy": "",
        "nodeSelector": {},
        "tolerations": [{"operator": "Exists"}, {"operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "hostNetwork": False,
        "imagePullSecrets": [{"name": "pull"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
        ],
    },
}


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    install_crds(control_plane)
    made = Cluster.of(control_plane)
    yield made
    made.http.close()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_becomes_these_objects(cluster: Cluster, namespace: str, name: str, tmp_path: Path) -> None:
    children = create(cluster, namespace, example(name, tmp_path))
    names = {namespace: "default", children.service.metadata.uid or "": NO_UID}
    found = [normalise(live, names) for live in children.apply_all()]
    golden = GOLDEN / f"{name}.yaml"
    assert found == list(yaml.safe_load_all(golden.read_text())), yaml_documents(found)


def wait_for_status(children: Children) -> None:
    """Wait until the controllers have written a status into every Deployment and HPA."""
    deadline = time.monotonic() + 30
    while not all(children.live(child).get("status") for child in children.state.children):
        assert time.monotonic() < deadline, "the controllers write no status"
        time.sleep(0.1)


def writes_nothing(children: Children, child: Child) -> bool:
    """Tell whether applying leaves the version as it is; tried again, as a controller may write its status meanwhile."""
    pairs = ((children.live(child), children.apply(child).json()) for _ in range(5))
    return any(before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"] for before, after in pairs)


@pytest.mark.parametrize("template", [None, ODD], ids=["as in the example", "odd"])
def test_what_is_applied_again_writes_nothing(
    cluster: Cluster, namespace: str, template: dict[str, Any] | None, tmp_path: Path
) -> None:
    manifests = example("helmet_detection_hpa", tmp_path)
    spec = manifests.services[0].spec.model_dump(by_alias=True, exclude_unset=True)
    if template is not None:
        for side in ("edgeWorker", "cloudWorker"):
            spec[side]["template"] = template
    children = create(cluster, namespace, manifests, spec=spec)
    first = children.apply_all()
    wait_for_status(children)
    assert [child.key for child in children.state.children if not writes_nothing(children, child)] == []
    after = [children.live(child) for child in children.state.children]
    # Neither defaults nor what the controllers write look like the work of somebody else.
    assert [ownership(live, MANAGER) for live in first] == [ownership(live, MANAGER) for live in after]
    assert [foreign_fields(live, MANAGER) for live in after] == [[]] * len(after)


def test_an_edit_of_the_service_gives_what_a_new_service_would_have(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    manifests = example("helmet_detection_hpa", tmp_path)
    children = create(cluster, namespace, manifests)
    children.apply_all()
    wanted = create_changed(children)
    found = [normalise(live) for live in wanted.apply_all()]
    for child in wanted.state.children:
        cluster.http.delete(wanted.path(child)).raise_for_status()
    wait_until_gone(wanted)
    assert found == [normalise(live) for live in wanted.apply_all()]
    environment = found[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [variable["name"] for variable in environment[:3]] == ["FIRST", "input_shape", "NAMESPACE"]
    assert found[1]["spec"]["minReplicas"] == 1  # the default of what was taken out
    assert "behavior" in found[1]["spec"]


def create_changed(children: Children) -> Children:
    """Return the same service with other variables, ports and volumes in front, less of the old ones, another HPA."""
    document = children.service.model_dump(by_alias=True, exclude_unset=True)
    worker = document["spec"]["cloudWorker"]
    worker["hpa"] = {"maxReplicas": 9, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}
    container = worker["template"]["spec"]["containers"][0]
    container["env"].insert(0, {"name": "FIRST", "value": "1"})
    del container["resources"]
    container["ports"] = [{"containerPort": 81}, {"containerPort": 80}]
    worker["template"]["metadata"] = {"labels": {"team": "vision"}}
    del worker["template"]["spec"]["dnsPolicy"]
    service, findings = parse_document(document)
    assert isinstance(service, JointInferenceService), findings
    names = (service.spec.edge_worker.model.name, service.spec.cloud_worker.model.name)
    around = Surroundings({name: parsed_model("https://host/k/model.xml", name=name) for name in names})
    return Children(children.cluster, children.namespace, service, desired_state(service, around, Placement()))


def wait_until_gone(children: Children) -> None:
    deadline = time.monotonic() + 20
    while any(children.cluster.http.get(children.path(child)).is_success for child in children.state.children):
        assert time.monotonic() < deadline, "the children are not deleted"
        time.sleep(0.1)


def test_rendered_objects_are_what_is_applied(control_plane: ControlPlane, namespace: str) -> None:
    """The YAML is read by kubectl as we wrote it; its owner does not exist, so nothing is kept."""
    path = ROOT / "tests" / "data" / "golden" / "crd_sample.yaml"
    text = path.read_text().replace("namespace: default", f"namespace: {namespace}")
    said = control_plane.kubectl("create", "--dry-run=client", "--validate=strict", "-o", "yaml", "-f", "-", stdin=text)
    found = list(yaml.safe_load_all(said))
    items = found[0]["items"] if found[0]["kind"] == "List" else found
    assert [normalise(item) for item in items] == list(yaml.safe_load_all(text))
    assert {item["kind"] for item in items} == {ChildKind.DEPLOYMENT.kind, ChildKind.SERVICE.kind}
