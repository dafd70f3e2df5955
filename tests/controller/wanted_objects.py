"""What shall exist for a service that is written with a few changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.children import Child, ChildKind
from controller.desired_state import DesiredState, Placement, Surroundings, desired_state
from sedna_py.api.child_names import Role
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model
from tests.refused_documents import changed
from tests.refused_documents import model as model_document
from tests.refused_documents import service as service_document

UID = "11111111-2222-3333-4444-555555555555"
PLACEMENT = Placement("initializer:1", "http://controller.sedna:9100")
CLOUD_POD = "spec.cloudWorker.template.spec"
EDGE_POD = "spec.edgeWorker.template.spec"


def parsed_service(changes: Mapping[str, Any] | None = None) -> JointInferenceService:
    """Return service shop/helmet, whose workers both use Model `m`, with the values of `changes` at their paths."""
    document = changed(service_document(), "metadata", {"name": "helmet", "namespace": "shop", "uid": UID})
    for path, value in (changes or {}).items():
        document = changed(document, path, value)
    resource, findings = parse_document(document)
    assert isinstance(resource, JointInferenceService), findings
    return resource


def parsed_model(url: str = "/models/yolo.xml", credential: str | None = None, name: str = "m") -> Model:
    """Return a Model of that url."""
    document = model_document(url, name)
    if credential:
        document = changed(document, "spec.credentialName", credential)
    resource, findings = parse_document(document)
    assert isinstance(resource, Model), findings
    return resource


def wanted(
    changes: Mapping[str, Any] | None = None,
    *,
    url: str = "/models/yolo.xml",
    credential: str | None = None,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    placement: Placement = PLACEMENT,
) -> DesiredState:
    """Return what shall exist for a service with changes whose Model is at `url`."""
    around = Surroundings({"m": parsed_model(url, credential)}, {}, secrets or {})
    return desired_state(parsed_service(changes), around, placement)


def child(state: DesiredState, kind: ChildKind, role: Role) -> Child:
    """Return one child; a blocked worker fails the test with its message."""
    assert not state.blocked, state.blocked
    return next(child for child in state.children if (child.kind, child.role) == (kind, role))


def template(state: DesiredState, role: Role = Role.CLOUD) -> dict[str, Any]:
    """Return the pod template of a worker."""
    found: dict[str, Any] = child(state, ChildKind.DEPLOYMENT, role).manifest["spec"]["template"]
    return found


def pod(state: DesiredState, role: Role = Role.CLOUD) -> dict[str, Any]:
    """Return the spec of a worker's pods."""
    found: dict[str, Any] = template(state, role)["spec"]
    return found


def problem(state: DesiredState) -> str:
    """Return what the cloud worker waits for; the edge worker and the Service must not be held up by it."""
    assert [blocked.role for blocked in state.blocked] == [Role.CLOUD]
    assert {(child.kind, child.role) for child in state.children} >= {
        (ChildKind.SERVICE, Role.CLOUD),
        (ChildKind.DEPLOYMENT, Role.EDGE),
    }
    return f"{state.blocked[0].reason}: {state.blocked[0].message}"
