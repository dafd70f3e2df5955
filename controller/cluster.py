"""The API server, as far as the controller writes to it: every request bounded in time, every refusal one of our errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

from controller.children import ChildKey, ChildKind
from controller.errors import ClusterError, Conflict, Forbidden, LeadershipLost, NotFound, Refused, Unavailable
from sedna_py.settings import redact

FIELD_MANAGER: Final = "sedna-controller"
SCALE_MANAGER: Final = "sedna-scale-to-zero"
"""Of its own, so that what is applied stays the same whether a worker sleeps or not, and nobody takes fields from another."""

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"
_METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MAX_MESSAGE: Final = 1000
_PAGE: Final = 500
_EXPIRED: Final = 410  # the pages of a list are of one version, which the server forgets after some minutes
_MOST_LISTS: Final = 3
_ERRORS: Final[Mapping[int, type[ClusterError]]] = {
    400: Refused,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Refused,
    409: Conflict,
    413: Refused,
    415: Refused,
    422: Refused,
}

_UNTYPED: Final = ("failed to create typed patch object", "failed to convert new object")

_BEFORE_WRITING: ContextVar[Callable[[], None] | None] = ContextVar("before_writing", default=None)

Object = dict[str, Any]
Observer = Callable[[str, str, int], None]
"""Told about each request: verb, resource, status code (0: no answer)."""


def write_guard() -> aiohttp.TraceConfig:
    """Return what makes a client ask once more, right before the bytes go out, whether a request may still be sent.

    A process can be held up between the decision and the sending, long enough for another replica to lead. A body that
    is not complete is a request that the server does not carry out.
    """

    async def check(*_: Any) -> None:
        ask = _BEFORE_WRITING.get()
        if ask is not None:
            ask()

    guard = aiohttp.TraceConfig()
    guard.on_request_headers_sent.append(check)
    guard.on_request_chunk_sent.append(check)
    return guard


class Cluster:
    """Requests to one API server; close() ends its connections."""

    def __init__(
        self,
        client: ApiClient,
        *,
        timeout_s: float,
        observe: Observer = lambda *_: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_write` is asked before each request that changes something; LeadershipLost where it says no."""
        self._client = client
        self._timeout_s = timeout_s
        self._observe = observe
        self._may_write = may_write

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get_child(self, namespace: str, key: ChildKey) -> Object | None:
        """Return a child as it is, or None."""
        try:
            return await self._request("GET", _path(key.kind.api_version, key.kind.plural, namespace, key.name))
        except NotFound:
            return None

    async def apply_child(
        self, namespace: str, kind: ChildKind, manifest: Mapping[str, Any], uid: str | None
    ) -> Object:
        """Apply a manifest by server-side apply and return the object; Conflict if its uid is not this one."""
        body = {**manifest, "metadata": {**manifest["metadata"], "uid": uid}} if uid else manifest
        path = _path(kind.api_version, kind.plural, namespace, manifest["metadata"]["name"])
        return await self._request("PATCH", path, body, _APPLY, fieldManager=FIELD_MANAGER, force="true")

    async def patch_child(self, namespace: str, key: ChildKey, operations: Sequence[Mapping[str, Any]]) -> Object:
        """Change a child by a JSON patch and return the object."""
        path = _path(key.kind.api_version, key.kind.plural, namespace, key.name)
        return await self._request("PATCH", path, list(operations), _JSON_PATCH, fieldManager=FIELD_MANAGER)

    async def scale_child(self, namespace: str, key: ChildKey, version: str, patch: Mapping[str, Any]) -> Object:
        """Change replicas and annotations of a child by a merge patch; Conflict if it is not of this version any more."""
        path = _path(key.kind.api_version, key.kind.plural, namespace, key.name)
        body = {**patch, "metadata": {**patch["metadata"], "resourceVersion": version}}
        return await self._request("PATCH", path, body, _MERGE, fieldManager=SCALE_MANAGER)

    async def delete_named(self, api_version: str, plural: str, namespace: str, name: str) -> bool:
        """Delete an object that is no child by its name, which nobody else uses. False if there is none."""
        try:
            await self._request("DELETE", _path(api_version, plural, namespace, name))
        except NotFound:
            return False
        return True

    async def delete_child(self, namespace: str, key: ChildKey, uid: str) -> bool:
        """Delete a child if it still has this uid; its dependents go in the background. False if there is none."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", _path(key.kind.api_version, key.kind.plural, namespace, key.name), options)
        except NotFound:
            return False
        return True

    async def is_kept(self, namespace: str, name: str, uid: str) -> bool:
        """Tell whether a service is there, is the one of this uid and is not being deleted."""
        path = _path("sedna.io/v1alpha1", "jointinferenceservices", namespace, name)
        try:
            metadata = (await self._request("GET", path))["metadata"]
        except NotFound:
            return False
        return metadata.get("uid") == uid and not metadata.get("deletionTimestamp")

    async def write_status(self, namespace: str, name: str, uid: str, status: Mapping[str, Any]) -> Object:
        """Replace the fields of a service's status; those with None are removed. Conflict if its uid is not this one."""
        path = _path("sedna.io/v1alpha1", "jointinferenceservices", namespace, f"{name}/status")
        body = {"metadata": {"uid": uid}, "status": status}
        return await self._request("PATCH", path, body, _MERGE, fieldManager=FIELD_MANAGER)

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """Create a core/v1 Event."""
        await self._request("POST", _path("v1", "events", namespace), event)

    async def events_about(self, namespace: str, uid: str) -> list[Object]:
        """Return up to 20 Events about an object."""
        path = _path("v1", "events", namespace)
        answer = await self._request("GET", path, fieldSelector=f"involvedObject.uid={uid}", limit="20")
        return list(answer.get("items") or ())

    async def secret_annotations(self, namespace: str, name: str) -> dict[str, str] | None:
        """Return the annotations of a Secret, or None when there is none; its data stays on the server."""
        try:
            answer = await self._request("GET", _path("v1", "secrets", namespace, name), accept=_METADATA_ONLY)
        except NotFound:
            return None
        return annotations_of(answer)

    async def list_objects(self, api_version: str, plural: str, namespace: str | None, selector: str) -> list[Object]:
        """Return all objects of a resource that have these labels, page by page."""
        path = _path(api_version, plural, namespace)
        query = {"limit": str(_PAGE), **({"labelSelector": selector} if selector else {})}
        for _ in range(_MOST_LISTS - 1):
            try:
                return await self._pages(api_version, path, query)
            except Unavailable as failure:
                if failure.code != _EXPIRED:
                    raise
        return await self._pages(api_version, path, query)

    async def _pages(self, api_version: str, path: str, query: Mapping[str, str]) -> list[Object]:
        found: list[Object] = []
        page = dict(query)
        while True:
            answer = await self._request("GET", path, **page)
            kind = str(answer.get("kind", "")).removesuffix("List")
            found += [{"apiVersion": api_version, "kind": kind, **item} for item in answer.get("items") or ()]
            following = answer.get("metadata", {}).get("continue")
            if not following:
                return found
            page["continue"] = following

    async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> Object | None:
        """Return any object as it is, or None."""
        try:
            return await self._request("GET", _path(api_version, plural, namespace, name))
        except NotFound:
            return None

    async def apply_object(self, plural: str, namespace: str | None, manifest: Mapping[str, Any]) -> Object:
        """Apply a manifest that is no child's by server-side apply and return the object."""
        path = _path(manifest["apiVersion"], plural, namespace, manifest["metadata"]["name"])
        return await self._request("PATCH", path, manifest, _APPLY, fieldManager=FIELD_MANAGER, force="true")

    async def delete_object(self, plural: str, namespace: str | None, found: Mapping[str, Any]) -> bool:
        """Delete this very object, as it was returned here. False if there is none any more."""
        metadata = found["metadata"]
        options = {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", _path(found["apiVersion"], plural, namespace, metadata["name"]), options)
        except NotFound:
            return False
        return True

    async def review(self, group: str, plural: str, spec: Mapping[str, Any]) -> Object:
        """Return the status of a review of the version v1, such as of a TokenReview; it is no object that is kept."""
        status = (await self._request("POST", _path(f"{group}/v1", plural, None), {"spec": dict(spec)})).get("status")
        return status if isinstance(status, dict) else {}

    async def watch_secret(self, namespace: str, name: str, seconds: int) -> aiohttp.ClientResponse:
        """Open a watch of one Secret's metadata; the caller reads its lines and closes it."""
        query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": str(seconds)}
        url = f"{_path('v1', 'secrets', namespace)}?{urlencode(query)}"
        return await self._open("GET", url, _METADATA_ONLY, seconds + 30)

    async def _request(
        self, method: str, path: str, body: Any = None, content: str = _JSON, *, accept: str = _JSON, **query: str
    ) -> Object:
        if method != "GET":
            self._check_leadership()
        url = f"{path}?{urlencode(query)}" if query else path
        code = 0
        try:
            response = await self._open(method, url, accept, self._timeout_s, body=body, content=content)
            code = response.status
            answer = _parsed(await response.read(), code)
        except (aiohttp.ClientError, ApiException, OSError, TimeoutError, ValueError) as failure:
            said = f"the API server gave no usable answer: {type(failure).__name__}: {failure}"
            raise Unavailable(said[:_MAX_MESSAGE]) from failure
        finally:
            self._observe(method, _resource(path), code)
        if code >= 400:
            raise _error(code, answer)
        return answer if isinstance(answer, dict) else {}

    def _check_leadership(self) -> None:
        if not self._may_write():
            raise LeadershipLost("not written: the lease has run out, and another replica may lead by now")

    async def _open(
        self, method: str, url: str, accept: str, timeout_s: float, *, body: Any = None, content: str = _JSON
    ) -> aiohttp.ClientResponse:
        _BEFORE_WRITING.set(None if method == "GET" else self._check_leadership)
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": FIELD_MANAGER}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        # The client's own serialization copies every body first; these are plain JSON already.
        answer = await self._client.rest_client.request(
            method,
            self._client.configuration.host + url,
            headers=headers,
            body=body,
            _request_timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._timeout_s),
        )
        response: aiohttp.ClientResponse = answer.response
        return response


def annotations_of(secret: Mapping[str, Any]) -> dict[str, str]:
    """Return the annotations of a Secret without the one in which `kubectl apply` keeps all of its data."""
    annotations = secret["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if key != _LAST_APPLIED}


def _path(api_version: str, plural: str, namespace: str | None, name: str = "") -> str:
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{root}{scope}/{plural}" + (f"/{quote(name)}" if name else "")


def _resource(path: str) -> str:
    """Return the plural in a path, with the subresource behind it."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    return "/".join([parts[0], *parts[2:3]])


def _parsed(data: bytes, code: int) -> Any:
    """Return the answer; a refusal need not be JSON, as proxies and paths that are not served answer with text."""
    try:
        return json.loads(data) if data else {}
    except ValueError:
        if code < 400:
            raise
        return {"message": data[:_MAX_MESSAGE].decode(errors="replace")}


def _error(code: int, answer: Any) -> ClusterError:
    status = answer if isinstance(answer, dict) else {}
    # Of a manifest with a misspelt field or a number for a text, server-side apply says 500; asking again will not help.
    if code == 500 and any(sign in str(status.get("message")) for sign in _UNTYPED):
        code = 422
    message = redact(" ".join(str(status.get("message") or f"status {code}")[:_MAX_MESSAGE].split()))
    kind = _ERRORS.get(code, Unavailable)
    return kind(message, code, str(status.get("reason") or ""))
