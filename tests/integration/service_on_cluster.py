"""A service on the test control plane whose children this process applies by itself, with plain requests."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from controller.children import Child
from controller.desired_state import DesiredState, Placement, Surroundings, desired_state, manifest_bytes
from controller.foreign_fields import foreign_fields, overwrite
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.local.manifests import Manifests, load_manifests
from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import serves_our_kinds, wait_until

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
MANAGER = "sedna-controller"
APPLY, MERGE, JSON_PATCH = "apply-patch+yaml", "merge-patch+json", "json-patch+json"


def install_crds(control_plane: ControlPlane) -> None:
    """Install the CRDs and wait until the server knows them."""
    control_plane.kubectl("apply", "-f", str(ROOT / "crds"))
    wait_until(lambda: serves_our_kinds(control_plane), "the CRDs to be served")


@dataclass(frozen=True)
class Cluster:
    """Requests to the API server as the admin."""

    http: httpx.Client

    @classmethod
    def of(cls, control_plane: ControlPlane) -> Self:
        config = yaml.safe_load(control_plane.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cls(
            httpx.Client(
                base_url=cluster["server"],
                headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
                verify=ssl.create_default_context(cadata=authority),
                timeout=10,
                trust_env=False,
            )
        )

    def get(self, path: str) -> Object:
        return _answer(self.http.get(path))

    def post(self, path: str, body: Object) -> Object:
        return _answer(self.http.post(path, json=body))

    def patch(self, path: str, kind: str, body: Any, **query: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": f"application/{kind}"}
        return self.http.patch(path, content=content, headers=headers, params=query)


def _answer(reply: httpx.Response) -> Object:
    assert reply.is_success, reply.text
    found: Object = reply.json()
    return found


@dataclass(frozen=True)
class Children:
    """The children of one service, and what the controller does with each."""

    cluster: Cluster
    namespace: str
    service: JointInferenceService
    state: DesiredState

    def path(self, child: Child) -> str:
        version = child.kind.api_version
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{self.namespace}/{child.kind.plural}/{child.name}"

    def live(self, child: Child) -> Object:
        return self.cluster.get(self.path(child))

    def apply(self, child: Child) -> httpx.Response:
        return self.cluster.patch(self.path(child), APPLY, manifest_bytes(child), fieldManager=MANAGER, force="true")

    def apply_all(self) -> list[Object]:
        assert not self.state.blocked, self.state.blocked
        return [_answer(self.apply(child)) for child in self.state.children]

    def repair(self, child: Child) -> Object:
        """Apply, overwrite where that is refused, and remove what others added; again where somebody comes between."""
        for _ in range(10):
            reply = self.apply(child)
            if reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                if not self._patched(child, overwrite(self.live(child), child.manifest)):
                    continue
                reply = self.apply(child)
            operations = foreign_fields(_answer(reply), MANAGER)
            if not operations:
                return _answer(reply)
            self._patched(child, operations)
        raise AssertionError(f"{child.key} does not come to rest: {operations}")

    def _patched(self, child: Child, operations: Sequence[Mapping[str, Any]]) -> bool:
        reply = self.cluster.patch(self.path(child), JSON_PATCH, list(operations), fieldManager=MANAGER)
        assert reply.is_success or reply.status_code == httpx.codes.CONFLICT, reply.text
        return reply.is_success


def example(name: str, folder: Path) -> Manifests:
    """Return one of upstream's files as a shell makes it that fills in the names of the nodes."""
    text = (ROOT / "tests" / "data" / "upstream" / f"{name}.yaml").read_text()
    path = folder / f"{name}.yaml"
    path.write_text(text.replace("$EDGE_NODE", "edge-node").replace("$CLOUD_NODE", "cloud-node"))
    return load_manifests([path])


def create(cluster: Cluster, namespace: str, manifests: Manifests, **fields: Any) -> Children:
    """Create the service, with `fields` in place of its own, and return its children as the server's answer wants them."""
    written = manifests.services[0].model_dump(by_alias=True, exclude_unset=True)
    document = {**written, **fields, "metadata": {**written["metadata"], "namespace": namespace}}
    path = f"/apis/sedna.io/v1alpha1/namespaces/{namespace}/jointinferenceservices"
    service, findings = parse_document(cluster.post(path, document))
    assert isinstance(service, JointInferenceService), findings
    around = Surroundings(
        models={name: model for (_, name), model in manifests.models.items()},
        secrets={name: annotations for (_, name), annotations in manifests.secrets.items()},
    )
    return Children(cluster, namespace, service, desired_state(service, around, Placement()))
