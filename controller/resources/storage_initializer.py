"""The init container that fetches a model, and its credentials: contract sections 2.4 and 2.5."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from controller.reasons import Reason
from controller.resources.keyed_lists import invalid, items_of
from controller.resources.model_volume import model_volume_mount
from controller.resources.unbuildable import Unbuildable
from sedna_py.api.finding import Place
from sedna_py.api.model import Model
from sedna_py.api.model_mount import ModelMount, MountKind
from sedna_py.api.wording import show

NAME: Final = "storage-initializer"
COMMAND: Final = ("python", "-m", "workers.storage_initializer")
USER: Final = 65532  # of the image

ENDPOINT_ANNOTATION: Final = "s3-endpoint"
HTTPS_ANNOTATION: Final = "s3-usehttps"
CREDENTIAL_KEYS: Final = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
_ENDPOINT: Final = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)

Secrets = Mapping[str, Mapping[str, str]]


def with_download(
    pod: dict[str, Any], mount: ModelMount, image: str, credentials: list[dict[str, Any]], place: Place
) -> dict[str, Any]:
    """Return the pod's spec with the init container behind the template's own; unchanged where nothing is downloaded."""
    if mount.kind is not MountKind.DOWNLOAD:
        return pod
    before = items_of(pod, "initContainers", place)
    for field, containers in (("initContainers", before), ("containers", items_of(pod, "containers", place))):
        for index, container in enumerate(containers):
            if container.get("name") == NAME:
                raise invalid(
                    (*place, field, index, "name"),
                    f"is {NAME}, the name of the container that fetches the model; write another name",
                )
    return {**pod, "initContainers": [*before, _container(pod, mount, image, credentials)]}


def s3_credentials(model: Model, namespace: str, secrets: Secrets) -> list[dict[str, Any]]:
    """Return the variables that let the init container into an S3 store; none for other urls or without a Secret's name.

    The keys stay in the Secret. Raises Unbuildable where the Secret is missing or says nothing usable.
    """
    name = model.spec.credential_name
    if not name or not model.spec.url.lower().startswith("s3:"):
        return []
    if name not in secrets:
        raise Unbuildable(
            Reason.SECRET_MISSING,
            f"Secret {namespace}/{name}, credentialName of Model {model.name}, does not exist; create it with the keys"
            f" {' and '.join(CREDENTIAL_KEYS)} and the annotation {ENDPOINT_ANNOTATION}",
        )
    endpoint = _endpoint_url(secrets[name], f"{namespace}/{name}")
    return [{"name": "S3_ENDPOINT_URL", "value": endpoint}, *(_from_secret(name, key) for key in CREDENTIAL_KEYS)]


def _container(
    pod: Mapping[str, Any], mount: ModelMount, image: str, credentials: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(COMMAND),
        "args": list(mount.download_args),
        "env": [*credentials, {"name": "INDIRECT_URL_MARK", "value": "@"}],
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "volumeMounts": [model_volume_mount(mount, read_only=False)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _security(pod),
    }


def _security(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a namespace that enforces the restricted profile asks for; the image's user is not root."""
    context = pod.get("securityContext")
    # A pod that runs as root would make this container do so, which is then refused. Elsewhere the number is the image's, or
    # that of a cluster that gives each namespace its own.
    user = {"runAsUser": USER} if isinstance(context, dict) and context.get("runAsUser") == 0 else {}
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        **user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _endpoint_url(annotations: Mapping[str, str], secret: str) -> str:
    endpoint = annotations.get(ENDPOINT_ANNOTATION, "")
    if not _ENDPOINT.fullmatch(endpoint):
        said = f"is {show(endpoint)}" if ENDPOINT_ANNOTATION in annotations else "is missing"
        raise Unbuildable(
            Reason.SECRET_INVALID,
            f"annotation {ENDPOINT_ANNOTATION} of Secret {secret} {said}; write host or host:port,"
            f' and {HTTPS_ANNOTATION}: "0" beside it for plain http',
        )
    scheme = "http" if annotations.get(HTTPS_ANNOTATION) == "0" else "https"
    return f"{scheme}://{endpoint}"


def _from_secret(secret: str, key: str) -> dict[str, Any]:
    return {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
