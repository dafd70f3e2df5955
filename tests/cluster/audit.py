"""What was written through the API server, from its audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
"""


@dataclass(frozen=True)
class ApiWrite:
    """One answered request that was meant to change something; code is the HTTP status."""

    user: str
    user_agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int


def read_writes(log: Path) -> Iterator[ApiWrite]:
    """Yield the writes that the log holds so far, in order of their answers."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # else the API server is about to write the rest
                yield as_write(json.loads(line))


def as_write(event: dict[str, Any]) -> ApiWrite:
    """Return what matters of one audit event."""
    about = event.get("objectRef", {})
    resource = "/".join(part for part in (about.get("resource", ""), about.get("subresource", "")) if part)
    return ApiWrite(
        user=event["user"]["username"],
        user_agent=event.get("userAgent", ""),
        verb=event["verb"],
        resource=resource,
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
    )
