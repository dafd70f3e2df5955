"""The session's control plane behaves like Kubernetes: controllers, garbage collection, access rules, clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import kopf
import kubernetes.aio as kubernetes
import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleeper}
spec:
  replicas: 2
  selector: {matchLabels: {app: sleeper}}
  template:
    metadata: {labels: {app: sleeper}}
    spec:
      containers:
      - {name: sleeper, image: example.invalid/sleeper:1}
"""


def is_true_soon(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def names(control_plane: ControlPlane, kind: str, namespace: str) -> list[str]:
    return control_plane.kubectl("get", kind, "-n", namespace, "-o", "name").split()


def test_a_deployment_gets_a_replica_set_and_its_pods_stay_pending(control_plane, namespace):
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=DEPLOYMENT)

    assert is_true_soon(lambda: len(names(control_plane, "pods", namespace)) == 2)
    assert len(names(control_plane, "replicasets", namespace)) == 1
    pods = json.loads(control_plane.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Pending"}


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_what_a_deleted_owner_owned_is_collected(control_plane, namespace, cascade):
    control_plane.kubectl("create", "configmap", "owner", "-n", namespace)
    owner = json.loads(control_plane.kubectl("get", "configmap", "owner", "-n", namespace, "-o", "json"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    reference |= {"blockOwnerDeletion": True}
    for name, references in (("owned", [reference]), ("free", [])):
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "ownerReferences": references},
            "spec": {"ports": [{"port": 80}]},
        }
        control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(service))

    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace, f"--cascade={cascade}")

    assert is_true_soon(lambda: names(control_plane, "services", namespace) == ["service/free"])


def test_a_service_account_may_do_what_its_roles_say_and_nothing_else(control_plane, namespace):
    control_plane.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    access = control_plane.kubeconfig_for("reader", namespace)
    with pytest.raises(
        KubectlError, match=rf'"system:serviceaccount:{namespace}:reader" cannot list resource "services"'
    ):
        control_plane.kubectl("get", "services", kubeconfig=access)

    control_plane.kubectl("create", "role", "reads", "--verb=list", "--resource=services", "-n", namespace)
    binding = ("rolebinding", "reads", "--role=reads", f"--serviceaccount={namespace}:reader", "-n", namespace)
    control_plane.kubectl("create", *binding)

    def may_list() -> bool:
        return control_plane.kubectl("auth", "can-i", "list", "services", kubeconfig=access).strip() == "yes"

    assert is_true_soon(lambda: succeeds(may_list))
    assert control_plane.kubectl("get", "services", kubeconfig=access) == ""
    with pytest.raises(KubectlError, match='cannot list resource "secrets"'):
        control_plane.kubectl("get", "secrets", kubeconfig=access)


def succeeds(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except KubectlError:  # `auth can-i` says no by its exit code
        return False


def test_the_python_client_accepts_the_kubeconfig(control_plane, namespace):
    async def default_service_account() -> str:
        configuration = kubernetes.client.Configuration()
        await kubernetes.config.load_kube_config(str(control_plane.kubeconfig), client_configuration=configuration)
        async with kubernetes.client.ApiClient(configuration) as client:
            found = await kubernetes.client.CoreV1Api(client).read_namespaced_service_account("default", namespace)
            return found.metadata.namespace

    assert asyncio.run(default_service_account()) == namespace


def test_kopf_accepts_the_kubeconfig(control_plane, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    found = kopf.login_with_kubeconfig(settings=kopf.OperatorSettings())
    assert found.server == control_plane.layout.server
    assert found.token == yaml.safe_load(control_plane.kubeconfig.read_text())["users"][0]["user"]["token"]
    assert found.ca_data or found.ca_path
    assert not found.insecure


def test_files_with_secrets_are_for_the_owner_only(control_plane):
    layout = control_plane.layout
    secret = [layout.kubeconfig, layout.controller_manager_kubeconfig, layout.tokens, layout.key]
    assert {oct(file.stat().st_mode & 0o777) for file in secret} == {"0o600"}
