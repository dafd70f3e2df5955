"""The controller's Deployment and what stands around it."""

from __future__ import annotations

import pytest
import yaml

from controller.metrics_api.registration import PORT_NAME, SERVICE, SERVICE_PORT
from controller.settings import ControllerSettings
from sedna_py.api.child_names import BIG_MODEL_PORT, WORKER_TYPE_LABEL, Role
from tests.deploy.manifests import DEPLOY, manifest, manifests

DEPLOYMENT = manifest("Deployment", "sedna-controller")
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
PORTS = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
INSTALLATIONS = ["", "namespaced"]


def kustomization(folder: str) -> dict:
    return yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text(encoding="utf-8"))


def literals(folder: str) -> dict[str, str]:
    [generator] = kustomization(folder)["configMapGenerator"]
    return dict(line.split("=", 1) for line in generator["literals"])


def test_the_pod_keeps_to_the_restricted_standard_and_writes_nothing():
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes", "priorityClassName", "tolerations"} & POD.keys()
    enforced = manifest("Namespace", "sedna")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def test_two_replicas_one_of_which_may_always_leave():
    assert DEPLOYMENT["spec"]["replicas"] == 2
    budget = manifest("PodDisruptionBudget", "sedna-controller")["spec"]
    assert budget["minAvailable"] == 1
    [spread] = POD["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    for selector in (budget["selector"], spread["labelSelector"], DEPLOYMENT["spec"]["selector"]):
        assert selector["matchLabels"].items() <= LABELS.items()


def test_no_replica_lands_on_an_edge_node():
    [term] = POD["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "node-role.kubernetes.io/edge", "operator": "DoesNotExist"}]


@pytest.mark.parametrize(("probe", "path"), [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")])
def test_probes_ask_the_port_that_the_controller_listens_on(probe, path):
    assert PORTS["http"] == ControllerSettings().http_port
    assert CONTAINER[probe]["httpGet"] == {"path": path, "port": "http"}


def test_the_service_leads_to_that_port():
    spec = manifest("Service", "sedna-controller")["spec"]
    assert spec["selector"].items() <= LABELS.items()
    assert spec["ports"] == [{"name": "http", "port": PORTS["http"], "targetPort": "http"}]


def test_the_service_of_the_metrics_api_leads_where_the_leader_says():
    assert PORTS["metrics-api"] == ControllerSettings().metrics_api_port
    spec = manifest("Service", SERVICE, "metrics-api")["spec"]
    assert spec == {"ports": [{"name": PORT_NAME, "port": SERVICE_PORT}]}
    assert "metrics-api" in kustomization("")["resources"]
    assert "metrics-api" not in str(kustomization("namespaced"))


def test_requests_and_limits_are_set():
    assert CONTAINER["resources"]["requests"].keys() == CONTAINER["resources"]["limits"].keys() == {"cpu", "memory"}


def test_every_variable_is_a_setting_and_the_installation_may_move():
    fields = {item["name"]: item.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") for item in CONTAINER["env"]}
    values = {item["name"]: item.get("value") for item in CONTAINER["env"]}
    assert fields["POD_NAME"] == "metadata.name"
    assert fields["POD_NAMESPACE"] == "metadata.namespace"
    assert fields["POD_IP"] == "status.podIP"
    assert values["CONTROLLER_ADDRESS"] == "http://sedna-controller.$(POD_NAMESPACE):9100"
    # A variable can only use those that stand before it.
    assert list(fields).index("POD_NAMESPACE") < list(fields).index("CONTROLLER_ADDRESS")
    known = {field.alias for field in ControllerSettings.model_fields.values()}
    assert fields.keys() <= known
    assert CONTAINER["envFrom"] == [{"configMapRef": {"name": "sedna-controller-settings"}}]


@pytest.mark.parametrize("folder", ["", "namespaced", "controller"])
def test_the_settings_of_an_installation_are_valid(folder):
    known = {field.alias for field in ControllerSettings.model_fields.values()}
    assert literals(folder).keys() <= known
    ControllerSettings.from_environment(literals(folder))


@pytest.mark.parametrize("folder", INSTALLATIONS)
def test_images_are_set_in_one_place_each_with_a_fixed_tag(folder):
    [image] = kustomization(folder)["images"]
    assert image["name"] == CONTAINER["image"]
    assert image["newTag"] not in {"", "latest"}
    default = ControllerSettings().storage_initializer_image
    assert literals(folder)["STORAGE_INITIALIZER_IMAGE"] == default


def test_one_team_gets_no_cluster_wide_object():
    kinds = {item["kind"] for folder in ("controller", "namespaced") for item in manifests(folder)}
    assert kinds == {"Deployment", "PodDisruptionBudget", "Role", "RoleBinding", "Service", "ServiceAccount"}
    assert "../crds" not in kustomization("namespaced")["resources"]
    assert "../controller" in kustomization("namespaced")["resources"]


def test_one_team_is_served_in_its_own_namespace_only():
    [patch] = kustomization("namespaced")["patches"]
    [operation] = yaml.safe_load(patch["patch"])
    # At the end: after POD_NAMESPACE, which it uses.
    assert operation["path"] == "/spec/template/spec/containers/0/env/-"
    assert operation["value"] == {"name": "WATCH_NAMESPACES", "value": "$(POD_NAMESPACE)"}


def test_the_optional_network_policy_leaves_open_what_the_controller_needs():
    spec = manifest("NetworkPolicy", "sedna-controller", "network-policy")["spec"]
    assert spec["podSelector"]["matchLabels"].items() <= LABELS.items()
    taken = [port for rule in spec["ingress"] for port in rule["ports"]]
    ports = ControllerSettings.from_environment({}).activator_range
    stand_in = {"port": ports.start, "endPort": ports.stop - 1}
    assert taken == [{"port": 9100}, stand_in, {"port": PORTS["metrics-api"]}]
    # The API server, the name under which kopf finds it, the other replica, and cloud workers.
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {443, 6443, 53, 9100, BIG_MODEL_PORT}
    [workers] = [rule for rule in spec["egress"] if rule["ports"] == [{"port": BIG_MODEL_PORT}]]
    assert workers["to"][0]["podSelector"]["matchLabels"] == {WORKER_TYPE_LABEL: str(Role.CLOUD)}
