"""A few plain requests to the API server; tests of the controller use kubectl or the Kubernetes client."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

REQUEST_TIMEOUT_S = 10


class Api:
    """The API server as one user."""

    def __init__(self, server: str, authority: Path, token: str) -> None:
        """Read the authority's file; OSError while it does not exist or is half written."""
        self._http = httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=authority),
            timeout=REQUEST_TIMEOUT_S,
            trust_env=False,  # no proxy stands before loopback
        )

    def is_ready(self) -> bool:
        """Return whether the API server answers and calls itself ready."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def exists(self, path: str) -> bool:
        """Return whether there is an object at this path."""
        reply = self._http.get(path)
        if reply.status_code == httpx.codes.NOT_FOUND:
            return False
        reply.raise_for_status()
        return True

    def get(self, path: str) -> dict[str, Any] | None:
        """Return what is at this path; None while there is nothing or the server behind it does not answer."""
        reply = self._http.get(path)
        if reply.status_code in (httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE):
            return None
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found

    def merge(self, path: str, patch: dict[str, Any]) -> None:
        """Change the named fields of one object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        self._http.patch(path, json=patch, headers=headers).raise_for_status()

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post one object and return what the server made of it."""
        reply = self._http.post(path, json=body)
        reply.raise_for_status()
        created: dict[str, Any] = reply.json()
        return created

    def delete(self, path: str) -> None:
        """Delete one object; the server goes on with what belongs to it."""
        self._http.delete(path).raise_for_status()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
