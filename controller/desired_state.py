"""What shall exist for a service: a pure function, same input, same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from controller.children import Child
from controller.reasons import Reason
from controller.resources.cloud_address import SeenExposure, edge_target
from controller.resources.deployment import deployment
from controller.resources.edge_pod import takes_host_ports, with_link_tolerations, without_shared_ports
from controller.resources.environment import (
    EnvVars,
    cloud_extra,
    cloud_variables,
    edge_extra,
    edge_variables,
    signal_variables,
)
from controller.resources.held_frames import held_variables, holds_frames, with_held_frames
from controller.resources.hpa import autoscaler
from controller.resources.metadata import owner_uid
from controller.resources.pod_template import Additions, pod_template
from controller.resources.readiness_probe import with_readiness_probe
from controller.resources.service import cloud_pods, cloud_service
from controller.resources.shared_directory import shared_variables, with_shared_directory
from controller.resources.storage_initializer import s3_credentials
from controller.resources.unbuildable import Unbuildable
from sedna_py.api.child_names import Role, pod_labels
from sedna_py.api.finding import Finding, Place
from sedna_py.api.joint_inference_service import JointInferenceService, Worker
from sedna_py.api.model import Model
from sedna_py.api.model_mount import model_mount
from sedna_py.api.shared_streams import shares_streams, sharing_findings
from sedna_py.autoscaling.scale_metric import autoscaler_block, needs_edge_signals

DEFAULT_STORAGE_INITIALIZER_IMAGE: Final = "sedna-py/storage-initializer:0.1.0"
DEFAULT_CONTROLLER_ADDRESS: Final = "http://sedna-controller.sedna:9100"


@dataclass(frozen=True)
class Placement:
    """What an installation decides: images and addresses.

    `edge_lc_server` None sends the edge's reports to the address under which it finds the cloud worker.
    """

    storage_initializer_image: str = DEFAULT_STORAGE_INITIALIZER_IMAGE
    controller_address: str = DEFAULT_CONTROLLER_ADDRESS  # where cloud workers pass reports on to
    edge_lc_server: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """What the namespace of a service holds beside it, by name.

    `unusable_models` has those that exist and cannot be used, with a line that says why. `secrets` has the annotations
    of the Secrets that exist, never their data. `exposure` is what the cluster tells of the way to the cloud worker.
    """

    models: Mapping[str, Model] = field(default_factory=dict)
    unusable_models: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    exposure: SeenExposure = field(default_factory=SeenExposure)

    @classmethod
    def without_cluster(
        cls,
        service: JointInferenceService,
        models: Mapping[str, Model],
        secrets: Mapping[str, Mapping[str, str]],
    ) -> Self:
        """Return those of a service that no cluster has seen: of its exposure only what is written in it is known."""
        port = service.spec.cloud_worker.exposure.node_port
        return cls(models=models, secrets=secrets, exposure=SeenExposure(node_port=port))


@dataclass(frozen=True)
class Blocked:
    """A worker whose Deployment and autoscaler cannot be made now; what there is of them stays as it is.

    `lasting` False: what is missing may well come by itself.
    """

    role: Role
    reason: Reason
    message: str
    lasting: bool = True


@dataclass(frozen=True)
class DesiredState:
    """The children in the order in which they are applied, and the workers that have to wait."""

    children: tuple[Child, ...]
    blocked: tuple[Blocked, ...] = ()
    remarks: tuple[Finding, ...] = ()  # what is to be said of the service that only shows with its Models


def desired_state(service: JointInferenceService, surroundings: Surroundings, placement: Placement) -> DesiredState:
    """Return what shall exist for the service, which must have a uid (ValueError)."""
    children: list[Child] = []
    blocked: list[Blocked] = []
    for role in (Role.CLOUD, Role.EDGE):
        try:
            children += _worker_children(service, role, surroundings, placement)
        except Unbuildable as failure:
            blocked.append(Blocked(role, failure.reason, str(failure), failure.lasting))
        if role is Role.CLOUD:
            children += [found for found in (cloud_service(service), cloud_pods(service)) if found is not None]
    return DesiredState(tuple(children), tuple(blocked), _remarks(service, surroundings))


def manifest_bytes(child: Child) -> bytes:
    """Return the manifest as compact JSON; the order in which fields were written makes no difference."""
    return json.dumps(child.manifest, separators=(",", ":"), sort_keys=True).encode()


def _worker_children(
    service: JointInferenceService, role: Role, surroundings: Surroundings, placement: Placement
) -> Iterator[Child]:
    worker = _worker(service, role)
    place = ("spec", f"{role}Worker")
    model = _model(worker.model.name, service.namespace, surroundings, (*place, "model", "name"))
    mount = model_mount(model.spec.url)
    shares = role is Role.EDGE and shares_streams(service, mount)
    additions = Additions(
        labels=pod_labels(service.name, owner_uid(service), role),
        injected=_injected(service, role, model, surroundings, placement),
        extra=_extra(service, role, placement, shares),
        mount=mount,
        initializer_image=placement.storage_initializer_image,
        credentials=s3_credentials(model, service.namespace, surroundings.secrets),
    )
    template = pod_template(worker.template, additions, (*place, "template"))
    inside = (*place, "template", "spec")
    pod = template["spec"] = _pod(role, template["spec"], worker, inside)
    if shares:
        pod = template["spec"] = with_shared_directory(pod, service.namespace, service.name, inside)
    if role is Role.EDGE and holds_frames(service):
        pod = template["spec"] = with_held_frames(pod, inside)
    yield deployment(service, role, template, recreate=role is Role.EDGE and takes_host_ports(pod))
    block = autoscaler_block(service, role)
    if block is not None:
        yield autoscaler(service, role, block)


def _worker(service: JointInferenceService, role: Role) -> Worker:
    return service.spec.cloud_worker if role is Role.CLOUD else service.spec.edge_worker


def _pod(role: Role, pod: dict[str, Any], worker: Worker, place: Place) -> dict[str, Any]:
    if role is Role.CLOUD:
        return with_readiness_probe(pod)
    several = worker.hpa is not None and worker.hpa.max_replicas > 1
    return with_link_tolerations(without_shared_ports(pod) if several else pod, place)


def _injected(
    service: JointInferenceService, role: Role, model: Model, surroundings: Surroundings, placement: Placement
) -> EnvVars:
    if role is Role.CLOUD:
        return cloud_variables(service, model)
    return edge_variables(service, model, edge_target(service, surroundings.exposure), placement.edge_lc_server)


def _extra(service: JointInferenceService, role: Role, placement: Placement, shares: bool) -> EnvVars:
    if role is Role.CLOUD:
        return cloud_extra(placement.controller_address)
    signals = signal_variables() if needs_edge_signals(service) else []
    held = held_variables() if holds_frames(service) else []
    return [*edge_extra(service), *signals, *held, *(shared_variables() if shares else [])]


def _remarks(service: JointInferenceService, surroundings: Surroundings) -> tuple[Finding, ...]:
    model = surroundings.models.get(service.spec.edge_worker.model.name)
    return tuple(sharing_findings(service, model_mount(model.spec.url))) if model is not None else ()


def _model(name: str, namespace: str, surroundings: Surroundings, place: tuple[str, ...]) -> Model:
    if name in surroundings.models:
        return surroundings.models[name]
    if name in surroundings.unusable_models:
        problem = surroundings.unusable_models[name]
        raise Unbuildable(Reason.MODEL_INVALID, f"Model {namespace}/{name} cannot be used: {problem}")
    raise Unbuildable(
        Reason.MODEL_MISSING,
        f"Model {namespace}/{name} does not exist; create it, or write the name of one that does in {'.'.join(place)}",
    )
