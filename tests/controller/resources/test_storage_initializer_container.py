"""The init container that fetches a model: when there is one, what it is told, where its credentials come from."""

from __future__ import annotations

from typing import Any

import pytest

from sedna_py.api.child_names import Role
from tests.controller.wanted_objects import CLOUD_POD, pod, wanted

URL = "s3://b/k/y.pb"
SECRETS = {"keys": {"s3-endpoint": "minio.shop:9000"}}
MARK = {"name": "INDIRECT_URL_MARK", "value": "@"}


def initializer(**arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = pod(wanted(**arguments))["initContainers"][-1]
    return found


def test_it_is_what_the_contract_says_with_the_credentials_by_reference() -> None:
    keys = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": "keys", "key": key}}}
        for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    ]
    assert initializer(url=URL, credential="keys", secrets=SECRETS) == {
        "name": "storage-initializer",
        "image": "initializer:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "workers.storage_initializer"],
        "args": ["s3://b/k/y.pb", "/downloads/b/k/"],
        "env": [{"name": "S3_ENDPOINT_URL", "value": "https://minio.shop:9000"}, *keys, MARK],
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "volumeMounts": [{"name": "sedna-storage-initializer", "mountPath": "/downloads"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


@pytest.mark.parametrize(
    ("url", "credential"),
    [(URL, None), ("https://host/y.pb", "keys"), ("http://host/y.pb", None), ("https://host/y.pb", "missing")],
)
def test_only_an_s3_url_with_a_credential_name_needs_a_secret(url: str, credential: str | None) -> None:
    assert initializer(url=url, credential=credential, secrets=SECRETS)["env"] == [MARK]


@pytest.mark.parametrize(
    ("context", "user"), [({"runAsUser": 0}, 65532), ({"runAsUser": 1000}, None), ({"fsGroup": 0}, None)]
)
def test_it_is_not_root_in_a_pod_that_is(context: dict[str, Any], user: int | None) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}], "securityContext": context}
    made = pod(wanted({CLOUD_POD: spec}, url="https://host/y.pb"))
    assert made["initContainers"][-1]["securityContext"].get("runAsUser") == user
    assert made["securityContext"] == context


@pytest.mark.parametrize("url", ["/models/y.pb", "hf://models/yolo"])
def test_there_is_none_where_nothing_is_downloaded(url: str) -> None:
    assert "initContainers" not in pod(wanted(url=url))


def test_it_comes_behind_the_templates_own() -> None:
    own = {"name": "mine", "image": "i"}
    changes = {CLOUD_POD: {"containers": [{"name": "c", "image": "i"}], "initContainers": [own]}}
    made = pod(wanted(changes, url=URL))["initContainers"]
    assert made[0] == own
    assert [container["name"] for container in made] == ["mine", "storage-initializer"]


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"s3-endpoint": "host"}, "https://host"),
        ({"s3-endpoint": "Host.example:9000", "s3-usehttps": "1"}, "https://Host.example:9000"),
        ({"s3-endpoint": "10.0.0.1:9000", "s3-usehttps": "0"}, "http://10.0.0.1:9000"),
        ({"s3-endpoint": "[fd00::1]:9000", "s3-usehttps": "false"}, "https://[fd00::1]:9000"),
    ],
)
def test_the_secrets_annotations_make_the_endpoint(annotations: dict[str, str], expected: str) -> None:
    made = initializer(url=URL, credential="keys", secrets={"keys": annotations})
    assert made["env"][0] == {"name": "S3_ENDPOINT_URL", "value": expected}


REMEDY = 'write host or host:port, and s3-usehttps: "0" beside it for plain http'


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        (
            {},
            "SecretMissing: Secret shop/keys, credentialName of Model m, does not exist; create it with the keys"
            " ACCESS_KEY_ID and SECRET_ACCESS_KEY and the annotation s3-endpoint",
        ),
        ({"keys": {}}, f"SecretInvalid: annotation s3-endpoint of Secret shop/keys is missing; {REMEDY}"),
        (
            {"keys": {"s3-endpoint": "http://minio:9000"}},
            f'SecretInvalid: annotation s3-endpoint of Secret shop/keys is "http://minio:9000"; {REMEDY}',
        ),
        (
            {"keys": {"s3-endpoint": ""}},
            f"SecretInvalid: annotation s3-endpoint of Secret shop/keys is empty; {REMEDY}",
        ),
    ],
)
def test_an_unusable_secret_says_what_to_write(secrets: dict[str, dict[str, str]], message: str) -> None:
    state = wanted(url=URL, credential="keys", secrets=secrets)
    assert [(blocked.role, f"{blocked.reason}: {blocked.message}") for blocked in state.blocked] == [
        (Role.CLOUD, message),
        (Role.EDGE, message),
    ]


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_its_name_is_taken(field: str) -> None:
    pod_spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}], "initContainers": []}
    pod_spec[field] = [{"name": "storage-initializer", "image": "i"}]
    state = wanted({CLOUD_POD: pod_spec}, url=URL)
    assert state.blocked[0].message == (
        f"spec.cloudWorker.template.spec.{field}[0].name is storage-initializer, the name of the container that fetches"
        " the model; write another name"
    )
    assert not wanted({CLOUD_POD: pod_spec}).blocked  # where nothing is downloaded the name is free
