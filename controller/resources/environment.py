"""The variables that a worker's containers get behind their own: contract section 2.2.

What is injected wins over a variable of the same name in the template, as it does upstream, where both are in the list and the
later one counts; server-side apply takes each name once, so the template's is left out. `cloud_extra` and `edge_extra` are not
in the contract and give way to the template's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sedna_py.api.child_names import BIG_MODEL_PORT, cloud_pods_address
from sedna_py.api.exposure import HostPort
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model
from sedna_py.api.worker_environment import cloud_environment, edge_environment

EnvVars = list[dict[str, Any]]

SIGNAL_PERIOD_S: Final = "2"
"""A value is to be 5 s old at most, and passes the cloud worker on its way."""


def edge_variables(service: JointInferenceService, model: Model, cloud: HostPort, lc_server: str | None) -> EnvVars:
    """Return the edge worker's, which finds the cloud worker at `cloud`.

    `lc_server` None sends its reports to the cloud worker, which passes them on.
    """
    server = lc_server or cloud.url()
    port = cloud.port or BIG_MODEL_PORT
    return _variables(
        edge_environment(service, model, worker_name="", big_model_ip=cloud.host, big_model_port=port, lc_server=server)
    )


def cloud_variables(service: JointInferenceService, model: Model) -> EnvVars:
    """Return the cloud worker's."""
    return _variables(cloud_environment(service, model, worker_name=""))


def cloud_extra(controller_address: str) -> EnvVars:
    """Return what the cloud worker gets beyond the contract: where it passes the edge's reports on to."""
    return [{"name": "LC_SERVER", "value": controller_address}]


def edge_extra(service: JointInferenceService) -> EnvVars:
    """Return what the edge worker gets beyond the contract: where the cloud's pods are listed, if they are."""
    pods = cloud_pods_address(service.name, service.namespace)
    listed = pods is not None and service.spec.cloud_worker.exposure.type == "ClusterIP"
    return [{"name": "BIG_MODEL_PODS", "value": pods}] if listed else []


def signal_variables() -> EnvVars:
    """Return what makes an edge worker say often what it counts, for an autoscaler that asks every 15 s."""
    return [{"name": "SIGNAL_PERIOD", "value": SIGNAL_PERIOD_S}]


def with_variables(own: EnvVars, injected: EnvVars, extra: EnvVars) -> EnvVars:
    """Return a container's variables with the injected ones behind its own."""
    ours = {variable["name"] for variable in injected}
    theirs = [variable for variable in own if variable["name"] not in ours]
    taken = {variable["name"] for variable in theirs}
    return [*theirs, *injected, *(variable for variable in extra if variable["name"] not in taken)]


def _variables(values: Mapping[str, str]) -> EnvVars:
    return [
        _pod_name(name) if name == "WORKER_NAME" else {"name": name, "value": value} for name, value in values.items()
    ]


def _pod_name(name: str) -> dict[str, Any]:
    # Upstream draws one name for all replicas at each update, which makes every pod roll.
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
