"""`kubectl apply -k deploy`, and a controller that has the rights which that gives, no others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.integration.controller_process import ControllerProcess, running_controller, serves_our_kinds, wait_until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
HELMET = ROOT / "tests" / "data" / "upstream" / "helmet_detection_hpa.yaml"
SERVICE = "helmet-detection-inference-example"
EDGE = f"{SERVICE}-deployment-edge"
EDGE_HPA = f"horizontalpodautoscaler.autoscaling/hpa-{EDGE}"
ACCOUNT = "sedna-controller"
CHILDREN = {
    f"deployment.apps/{SERVICE}-deployment-cloud",
    f"deployment.apps/{EDGE}",
    f"horizontalpodautoscaler.autoscaling/hpa-{SERVICE}-deployment-cloud",
    EDGE_HPA,
    f"service/{SERVICE}-cloud",
    f"service/{SERVICE}-cloud-pods",
}
RBAC_SAYS_NO = re.compile(r"cannot \w+ resource")  # other refusals are those of namespaces that are being deleted
NODE = """
apiVersion: v1
kind: Node
metadata: {name: node-that-says-nothing, labels: {kubernetes.io/hostname: node-that-says-nothing}}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata:
  name: storage
  annotations: {s3-endpoint: "store.example:9000", s3-usehttps: "0"}
stringData: {ACCESS_KEY_ID: somebody, SECRET_ACCESS_KEY: something}
"""


class Team:
    """A namespace of the control plane, through kubectl as the administrator."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def apply(self, text: str) -> None:
        self.plane.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=text)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return json.loads(self.plane.kubectl("get", kind, name, "-n", self.namespace, "-o", "json"))

    def children(self) -> set[str]:
        kinds = "deployments,services,horizontalpodautoscalers"
        label = f"jointinferenceservice.sedna.io/name={SERVICE}"
        return set(self.plane.kubectl("get", kinds, "-n", self.namespace, "-l", label, "-o", "name").split())

    def status(self) -> dict[str, Any]:
        return self.get("ji", SERVICE).get("status", {})

    def reasons(self) -> set[str]:
        selector = f"involvedObject.kind=JointInferenceService,involvedObject.name={SERVICE}"
        found = self.plane.kubectl("get", "events", "-n", self.namespace, "--field-selector", selector, "-o", "json")
        return {event["reason"] for event in json.loads(found)["items"]}


def helmet(namespace: str, *, from_s3: bool = False, edge_hpa: bool = True) -> str:
    """Return upstream's example with autoscaling, for this namespace and for nodes that the API server may know."""
    documents = list(yaml.safe_load_all(HELMET.read_text(encoding="utf-8")))
    for document in documents:
        document["metadata"]["namespace"] = namespace
        if document["kind"] == "Model" and from_s3:
            document["spec"] |= {"url": "s3://models" + document["spec"]["url"], "credentialName": "storage"}
    workers = documents[-1]["spec"]
    for worker in (workers["edgeWorker"], workers["cloudWorker"]):
        worker["template"]["spec"]["nodeName"] = "node-that-says-nothing"
    if not edge_hpa:
        del workers["edgeWorker"]["hpa"]
    return yaml.safe_dump_all(documents)


def refusals(plane: ControlPlane) -> dict[str, float]:
    """Return how often the API server has answered 403, by what was asked.

    Without new pods and events: Kubernetes' own controllers are refused those in a namespace that is being deleted.
    """
    lines = plane.kubectl("get", "--raw", "/metrics").splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("apiserver_request_total{"))
    return {labels: float(count) for labels, count in pairs if 'code="403"' in labels and 'verb="POST"' not in labels}


@pytest.fixture(scope="module")
def control_plane(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without other tests' namespaces, as the one that goes refuses this controller for good reason."""
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("installed")) as running:
        yield running


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with the whole-cluster installation applied; its own pods stay Pending, there is no node for them."""
    control_plane.kubectl("apply", "-k", str(DEPLOY))
    wait_until(lambda: serves_our_kinds(control_plane), "the CRDs to be served")
    return control_plane


@pytest.fixture
def controller(installed: ControlPlane, tmp_path: Path) -> Iterator[ControllerProcess]:
    """A controller with the rights of the installation's ServiceAccount, comparing all it knows with full lists each second."""
    kubeconfig = installed.kubeconfig_for(ACCOUNT, "sedna")
    with running_controller(tmp_path, kubeconfig, {"POD_NAMESPACE": "sedna", "RESYNC_S": "1"}) as running:
        yield running


def test_applying_it_again_changes_nothing(installed):
    said = installed.kubectl("apply", "-k", str(DEPLOY)).splitlines()
    assert len(said) > 10
    changed = {line.split()[0] for line in said if not line.endswith(" unchanged")}
    assert changed <= {"poddisruptionbudget.policy/sedna-controller"}  # kubectl always sends its selector


def test_the_crds_can_be_applied_by_themselves_in_both_ways(installed):
    for option in ("-f", "-k"):
        said = installed.kubectl("apply", option, str(ROOT / "crds"))
        assert said.count("customresourcedefinition.apiextensions.k8s.io/") == 2


def test_the_namespace_takes_the_pods_that_the_deployment_makes(installed):
    def pods() -> list[dict[str, Any]]:
        return json.loads(installed.kubectl("get", "pods", "-n", "sedna", "-o", "json"))["items"]

    wait_until(lambda: len(pods()) == 2, "two pods of the controller")
    [container] = pods()[0]["spec"]["containers"]
    assert container["image"] == "sedna-py/controller:0.1.0"
    settings = container["envFrom"][0]["configMapRef"]["name"]
    assert settings.startswith("sedna-controller-settings-")
    installed.kubectl("get", "configmap", settings, "-n", "sedna")


@pytest.mark.parametrize(
    ("verb", "resource", "answer"),
    [
        ("update", "jointinferenceservices.sedna.io --subresource=finalizers", "yes"),
        ("get", "secrets", "yes"),
        ("list", "secrets", "no"),
        ("create", "secrets", "no"),
        ("update", "jointinferenceservices.sedna.io", "no"),
        ("delete", "pods", "no"),
        ("get", "pods --subresource=log", "no"),
        ("create", "pods --subresource=exec", "no"),
        ("patch", "nodes", "no"),
        ("patch", "customresourcedefinitions", "no"),
        ("create", "clusterrolebindings", "no"),
    ],
)
def test_the_api_server_lets_the_controller_do_this_and_not_that(installed, verb, resource, answer):
    account = f"system:serviceaccount:sedna:{ACCOUNT}"
    try:
        said = installed.kubectl("auth", "can-i", verb, *resource.split(), "--as", account, "-n", "default")
    except KubectlError:  # its way to say no
        said = "no"
    assert said.strip() == answer


def test_a_service_converges_with_the_rights_of_the_installation_alone(installed, namespace, controller):
    before = refusals(installed)
    team = Team(installed, namespace)
    installed.kubectl("apply", "-f", "-", stdin=NODE)
    team.apply(SECRET)
    team.apply(helmet(namespace, from_s3=True))

    wait_until(lambda: team.children() == CHILDREN, "all children")
    wait_until(lambda: team.status().get("observedGeneration") == 1, "a status")
    wait_until(lambda: "Created" in team.reasons(), "an event about the children")
    # Pods on a node whose kubelet says nothing: only Events could tell why, so they are asked for.
    wait_until(lambda: controller.has_asked("GET", "events"), "a look at the Events of a pod")
    [fetching] = team.get("deployment", EDGE)["spec"]["template"]["spec"]["initContainers"]
    assert {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY"} <= {variable["name"] for variable in fetching["env"]}

    installed.kubectl("delete", "service", f"{SERVICE}-cloud", "-n", namespace)
    wait_until(lambda: team.children() == CHILDREN, "the deleted Service to be back")
    team.apply(helmet(namespace, from_s3=True, edge_hpa=False))
    wait_until(lambda: team.children() == CHILDREN - {EDGE_HPA}, "the autoscaler to go with its block")
    installed.kubectl("delete", "ji", SERVICE, "-n", namespace)
    # The garbage collector looks for new kinds each half minute, and the CRDs may be that new.
    wait_until(lambda: not team.children(), "the children to go with their service", 75)

    assert refusals(installed) == before
    assert not RBAC_SAYS_NO.search(controller.log())


def test_a_team_can_have_one_with_no_right_outside_its_namespace(installed, namespace, tmp_path):
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    base = os.path.relpath(DEPLOY / "namespaced", overlay)
    policy = os.path.relpath(DEPLOY / "network-policy", overlay)
    text = yaml.safe_dump({"namespace": namespace, "resources": [base], "components": [policy]})
    (overlay / "kustomization.yaml").write_text(text, encoding="utf-8")
    made = list(yaml.safe_load_all(installed.kubectl("kustomize", str(overlay))))
    assert {document["metadata"]["namespace"] for document in made} == {namespace}
    assert {s["namespace"] for document in made for s in document.get("subjects", ())} == {namespace}
    installed.kubectl("apply", "-k", str(overlay))

    before = refusals(installed)
    team = Team(installed, namespace)
    settings = {"POD_NAMESPACE": namespace, "WATCH_NAMESPACES": namespace, "RESYNC_S": "1"}
    with running_controller(tmp_path, installed.kubeconfig_for(ACCOUNT, namespace), settings) as controller:
        team.apply(SECRET)
        team.apply(helmet(namespace, from_s3=True))
        wait_until(lambda: team.children() == CHILDREN, "all children")
        wait_until(lambda: team.status().get("observedGeneration") == 1, "a status")
        wait_until(lambda: "Created" in team.reasons(), "an event about the children")
    assert refusals(installed) == before
    assert not RBAC_SAYS_NO.search(controller.log())


def test_what_prometheus_operator_reads_is_rendered_for_the_controllers_namespace(installed):
    made = list(yaml.safe_load_all(installed.kubectl("kustomize", str(DEPLOY / "prometheus"))))
    assert {document["metadata"]["namespace"] for document in made} == {"sedna"}
    assert sorted(document["kind"] for document in made) == [
        "ConfigMap",
        "PodMonitor",
        "PrometheusRule",
        "PrometheusRule",
        "ServiceMonitor",
    ]
    [board] = [document for document in made if document["kind"] == "ConfigMap"]
    assert board["metadata"] == {
        "name": "sedna-dashboard",
        "namespace": "sedna",
        "labels": {"grafana_dashboard": "1"},
    }
    assert len(json.loads(board["data"]["dashboard.json"])["panels"]) == 12
