"""The environment that a worker gets from its service: contract section 2.2, in a fixed order.

Upstream orders these variables at random, so each update makes every pod roll; here the same input gives the same text.
"""

from __future__ import annotations

import json
from typing import Final

from sedna_py.api.child_names import BIG_MODEL_PORT, cloud_address
from sedna_py.api.joint_inference_service import HardExampleMining, JointInferenceService
from sedna_py.api.model import Model
from sedna_py.api.model_mount import HOST_PATH_PREFIX, MountKind, model_mount

DEFAULT_LC_SERVER: Final = "http://localhost:9100"


def edge_environment(
    service: JointInferenceService,
    model: Model,
    *,
    worker_name: str | None,
    big_model_ip: str | None = None,
    big_model_port: int = BIG_MODEL_PORT,
    lc_server: str = DEFAULT_LC_SERVER,
) -> dict[str, str]:
    """Return the variables of the edge worker.

    `worker_name` None leaves WORKER_NAME out (for who takes it from the pod itself); `big_model_ip` None means the
    cloud worker's Service. ManifestError when the model's url cannot be used.
    """
    mining = service.spec.edge_worker.hard_example_mining
    return {
        **_common(service, model, worker_name),
        "BIG_MODEL_IP": big_model_ip or cloud_address(service.name, service.namespace),
        "BIG_MODEL_PORT": str(big_model_port),
        "HEM_NAME": mining.name,
        "HEM_PARAMETERS": mining_parameters_text(mining),
        "LC_SERVER": lc_server,
    }


def cloud_environment(
    service: JointInferenceService, model: Model, *, worker_name: str | None, port: int = BIG_MODEL_PORT
) -> dict[str, str]:
    """Return the variables of the cloud worker; `worker_name` and errors as for the edge."""
    most = service.spec.cloud_worker.container_concurrency
    return {
        **_common(service, model, worker_name),
        "BIG_MODEL_BIND_PORT": str(port),
        **({"MAX_CONCURRENCY": str(most)} if most is not None else {}),
    }


def mining_parameters_text(mining: HardExampleMining) -> str:
    """Return HEM_PARAMETERS: compact JSON, `null` where the filter has no parameters."""
    parameters = [{"key": parameter.key, "value": parameter.value} for parameter in mining.parameters or ()]
    return json.dumps(parameters or None, separators=(",", ":"), ensure_ascii=False)


def _common(service: JointInferenceService, model: Model, worker_name: str | None) -> dict[str, str]:
    mount = model_mount(model.spec.url)
    return {
        **({"DATA_PATH_PREFIX": HOST_PATH_PREFIX} if mount.kind is MountKind.HOST_PATH else {}),
        "NAMESPACE": service.namespace,
        "SERVICE_NAME": service.name,
        **({"WORKER_NAME": worker_name} if worker_name is not None else {}),
        "MODEL_URL": mount.model_url,
    }
