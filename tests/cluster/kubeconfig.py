"""Kubeconfig files that kubectl, the Python client and kopf all read: everything inline, nothing to find beside them."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.pki import KeyPair

NAME = "sedna-py-test"


@dataclass(frozen=True)
class Access:
    """Who talks to which server, by a token or by a client certificate."""

    server: str
    authority: bytes
    token: str
    user: str
    namespace: str = "default"
    client: KeyPair | None = None

    @property
    def credentials(self) -> dict[str, str]:
        if self.client is None:
            return {"token": self.token}
        return {
            "client-certificate-data": base64.b64encode(self.client.certificate.read_bytes()).decode(),
            "client-key-data": base64.b64encode(self.client.key.read_bytes()).decode(),
        }


def write_kubeconfig(path: Path, access: Access) -> None:
    """Write the file, readable by its owner only."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": NAME,
                "cluster": {
                    "server": access.server,
                    "certificate-authority-data": base64.b64encode(access.authority).decode(),
                },
            }
        ],
        "users": [{"name": access.user, "user": access.credentials}],
        "contexts": [
            {"name": NAME, "context": {"cluster": NAME, "user": access.user, "namespace": access.namespace}},
        ],
        "current-context": NAME,
    }
    write_private(path, yaml.safe_dump(content, sort_keys=False))


def write_private(path: Path, text: str) -> None:
    """Write the whole file or nothing, readable by its owner only."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
