"""Requests to an API server: a real one on loopback that says what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from controller import errors
from controller.children import ChildKey, ChildKind
from controller.cluster import Cluster, annotations_of
from controller.errors import ClusterError, Conflict, Forbidden, NotFound, Refused, Unavailable

KEY = ChildKey(ChildKind.DEPLOYMENT, "d")
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
SERVICES = "/apis/sedna.io/v1alpha1/namespaces/shop/jointinferenceservices"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
API_SERVICE = {"apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": "v1.x"}}
MANIFEST = {"metadata": {"name": "d", "labels": {"a": "b"}}, "spec": {}}


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Server:
    """Answers each request with the next of `answers`: (status, JSON or text) or a handler."""

    answers: list[Any] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    seen: list[tuple[str, str, int]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        self.asked.append(Asked(request.method, request.path, dict(request.query), request.headers, body))
        answer = self.answers.pop(0) if self.answers else (200, {"metadata": {}})
        if callable(answer):
            result: web.StreamResponse = await answer(request)
            return result
        status, content = answer
        body = content if isinstance(content, (str, bytes)) else json.dumps(content)
        return web.Response(status=status, body=body, content_type="application/json")


def talk(scenario: Callable[[Cluster, Server], Awaitable[None]], *answers: Any, timeout_s: float = 5) -> Server:
    server = Server(list(answers))
    patch_tls = mock.patch("ssl.create_default_context", return_value=_NO_TLS)  # it reads all CAs of the machine

    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        host = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        configuration = Configuration(host=host)
        configuration.api_key["BearerToken"] = "Bearer secret-token"
        with patch_tls:
            client = ApiClient(configuration)
        cluster = Cluster(client, timeout_s=timeout_s, observe=lambda *seen: server.seen.append(seen))
        try:
            await scenario(cluster, server)
        finally:
            await cluster.close()
            await runner.cleanup()

    asyncio.run(main())
    return server


async def apply(cluster: Cluster, _: Server) -> None:
    await cluster.apply_child("shop", ChildKind.DEPLOYMENT, MANIFEST, "u1")


async def apply_new(cluster: Cluster, _: Server) -> None:
    await cluster.apply_child("shop", ChildKind.DEPLOYMENT, MANIFEST, None)


async def patch(cluster: Cluster, _: Server) -> None:
    await cluster.patch_child("shop", KEY, [{"op": "remove", "path": "/spec/x"}])


async def delete(cluster: Cluster, _: Server) -> None:
    assert await cluster.delete_child("shop", KEY, "u1")


async def status(cluster: Cluster, _: Server) -> None:
    await cluster.write_status("shop", "helmet", "u1", {"phase": "Running", "active": None})


async def event(cluster: Cluster, _: Server) -> None:
    await cluster.create_event("shop", {"reason": "Created"})


async def events(cluster: Cluster, _: Server) -> None:
    assert await cluster.events_about("shop", "u1") == []


async def get_other(cluster: Cluster, _: Server) -> None:
    assert await cluster.get_object("discovery.k8s.io/v1", "endpointslices", "shop", "x") == {"metadata": {}}


async def apply_other(cluster: Cluster, _: Server) -> None:
    await cluster.apply_object("apiservices", None, API_SERVICE)


async def delete_other(cluster: Cluster, _: Server) -> None:
    found = {**API_SERVICE, "metadata": {"name": "v1.x", "uid": "u1"}}
    assert await cluster.delete_object("apiservices", None, found)


async def review(cluster: Cluster, _: Server) -> None:
    assert await cluster.review("authentication.k8s.io", "tokenreviews", {"token": "t"}) == {}


FORCE = {"fieldManager": "sedna-controller", "force": "true"}
OURS = {"fieldManager": "sedna-controller"}


@pytest.mark.parametrize(
    ("call", "line", "content", "query", "body"),
    [
        (
            apply,
            f"PATCH {DEPLOYMENTS}/d",
            "application/apply-patch+yaml",
            FORCE,
            {**MANIFEST, "metadata": {**MANIFEST["metadata"], "uid": "u1"}},
        ),
        (apply_new, f"PATCH {DEPLOYMENTS}/d", "application/apply-patch+yaml", FORCE, MANIFEST),
        (
            patch,
            f"PATCH {DEPLOYMENTS}/d",
            "application/json-patch+json",
            OURS,
            [{"op": "remove", "path": "/spec/x"}],
        ),
        (
            delete,
            f"DELETE {DEPLOYMENTS}/d",
            "application/json",
            {},
            {"preconditions": {"uid": "u1"}, "propagationPolicy": "Background"},
        ),
        (
            status,
            f"PATCH {SERVICES}/helmet/status",
            "application/merge-patch+json",
            OURS,
            {"metadata": {"uid": "u1"}, "status": {"phase": "Running", "active": None}},
        ),
        (event, "POST /api/v1/namespaces/shop/events", "application/json", {}, {"reason": "Created"}),
        (
            events,
            "GET /api/v1/namespaces/shop/events",
            "application/json",
            {"fieldSelector": "involvedObject.uid=u1", "limit": "20"},
            None,
        ),
        (
            get_other,
            "GET /apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/x",
            "application/json",
            {},
            None,
        ),
        (apply_other, f"PATCH {API_SERVICES}/v1.x", "application/apply-patch+yaml", FORCE, API_SERVICE),
        (
            delete_other,
            f"DELETE {API_SERVICES}/v1.x",
            "application/json",
            {},
            {"preconditions": {"uid": "u1"}, "propagationPolicy": "Background"},
        ),
        (
            review,
            "POST /apis/authentication.k8s.io/v1/tokenreviews",
            "application/json",
            {},
            {"spec": {"token": "t"}},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_request_is_what_the_api_server_expects(
    call: Any, line: str, content: str, query: dict[str, str], body: Any
) -> None:
    (asked,) = talk(call).asked
    assert f"{asked.method} {asked.path}" == line
    assert (asked.query, asked.body) == (query, body)
    assert asked.headers["Content-Type"] == content
    assert asked.headers["Accept"] == "application/json"
    assert asked.headers["Authorization"] == "Bearer secret-token"


def test_an_apply_leaves_the_manifest_as_it_is() -> None:
    talk(apply)
    assert "uid" not in MANIFEST["metadata"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, Refused) for code in (400, 405, 413, 415, 422)),
        *((code, Forbidden) for code in (401, 403)),
        (404, NotFound),
        (409, Conflict),
        *((code, Unavailable) for code in (408, 410, 429, 500, 502, 503, 504)),
    ],
)
def test_a_refusal_becomes_the_error_of_its_code(code: int, kind: type[ClusterError]) -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        with pytest.raises(kind) as caught:
            await cluster.apply_child("shop", ChildKind.DEPLOYMENT, MANIFEST, None)
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.reason, caught.value.message) == (code, "Because", "so it is")
        assert str(caught.value) == "so it is"

    server = talk(scenario, (code, {"kind": "Status", "message": "so\n it is", "reason": "Because"}))
    assert server.seen == [("PATCH", "deployments", code)]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((404, "404 page not found\n"), NotFound, "404 page not found"),  # of a group that has no CRD yet
        ((503, "<html>no backend</html>"), Unavailable, "no backend"),
        ((403, ""), Forbidden, "status 403"),
        ((500, "[1]"), Unavailable, "status 500"),
        ((500, {"message": "failed to create typed patch object: .spec.x: no such field"}), Refused, ".spec.x"),
        ((200, "{not json"), Unavailable, "no usable answer: JSONDecodeError"),
        ((422, {"message": "x" * 5000}), Refused, "x" * 1000),
        ((422, {"message": "value https://me:word@host/x is bad"}), Refused, "https://***@host/x"),
    ],
)
def test_an_answer_of_any_shape_is_one_line_for_people(answer: Any, kind: type[ClusterError], said: str) -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        with pytest.raises(kind) as caught:
            await patch(cluster, _)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 1000

    talk(scenario, answer)


def test_a_request_ends_in_time_and_counts_as_unavailable() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError

    async def scenario(cluster: Cluster, _: Server) -> None:
        async with asyncio.timeout(3):
            with pytest.raises(Unavailable, match="TimeoutError"):
                await cluster.get_child("shop", KEY)

    assert talk(scenario, never, timeout_s=0.05).seen == [("GET", "deployments", 0)]


def test_an_answer_that_breaks_off_counts_as_unavailable() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"metadata"')
        assert request.transport is not None
        request.transport.close()
        return response

    async def scenario(cluster: Cluster, _: Server) -> None:
        with pytest.raises(Unavailable):
            await cluster.get_child("shop", KEY)

    talk(scenario, half)


def test_no_connection_counts_as_unavailable_and_is_seen() -> None:
    seen: list[Any] = []

    async def main() -> None:
        cluster = Cluster(
            ApiClient(Configuration(host="http://127.0.0.1:1")), timeout_s=2, observe=lambda *s: seen.append(s)
        )
        try:
            with pytest.raises(Unavailable, match="ClientConnectorError"):
                await cluster.list_objects("v1", "nodes", None, "")
        finally:
            await cluster.close()

    asyncio.run(main())
    assert seen == [("GET", "nodes", 0)]


def test_nothing_is_there_is_an_answer() -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        assert await cluster.get_child("shop", KEY) is None
        assert await cluster.delete_child("shop", KEY, "u1") is False
        assert await cluster.secret_annotations("shop", "s") is None
        assert await cluster.is_kept("shop", "helmet", "u1") is False

    gone = (404, {"message": "not found"})
    talk(scenario, gone, gone, gone, gone)


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [({"uid": "u1"}, True), ({"uid": "u2"}, False), ({"uid": "u1", "deletionTimestamp": "t"}, False)],
)
def test_a_service_is_kept_while_it_is_that_one_and_not_going(metadata: Any, kept: bool) -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        assert await cluster.is_kept("shop", "helmet", "u1") is kept

    talk(scenario, (200, {"metadata": metadata}))


def test_other_objects_that_are_not_there_are_an_answer() -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        assert await cluster.get_object("v1", "services", "shop", "x") is None
        found = {**API_SERVICE, "metadata": {"name": "v1.x", "uid": "u1"}}
        assert await cluster.delete_object("apiservices", None, found) is False

    talk(scenario, (404, {}), (404, {}))


def test_of_a_secret_only_metadata_is_asked_for_and_no_copy_of_its_data_is_kept() -> None:
    copy = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"SECRET_ACCESS_KEY":"aHVzaA=="}}'}
    annotations = {"s3-endpoint": "store:9000", **copy}

    async def scenario(cluster: Cluster, _: Server) -> None:
        assert await cluster.secret_annotations("shop", "s") == {"s3-endpoint": "store:9000"}
        assert await cluster.secret_annotations("shop", "bare") == {}

    server = talk(scenario, (200, {"metadata": {"annotations": annotations}}), (200, {"metadata": {}}))
    for asked in server.asked:
        assert asked.headers["Accept"] == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert annotations_of({"metadata": {"annotations": None}}) == {}


def test_a_watch_is_of_one_secret_and_of_its_metadata() -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        response = await cluster.watch_secret("shop", "s", 300)
        assert response.status == 200
        response.close()

    (asked,) = talk(scenario).asked
    assert asked.path == "/api/v1/namespaces/shop/secrets"
    assert asked.query == {"watch": "true", "fieldSelector": "metadata.name=s", "timeoutSeconds": "300"}
    assert "PartialObjectMetadata;" in asked.headers["Accept"]


@pytest.mark.parametrize("call", [apply, patch, delete, status, event, apply_other, delete_other])
def test_nothing_is_written_by_a_replica_that_may_not(call: Any) -> None:
    async def scenario(cluster: Cluster, server: Server) -> None:
        cluster._may_write = lambda: False
        with pytest.raises(errors.LeadershipLost):
            await call(cluster, server)
        assert await cluster.list_objects("v1", "nodes", None, "") == []

    assert [asked.method for asked in talk(scenario).asked] == ["GET"]


def page(names: str, following: str = "") -> tuple[int, dict[str, Any]]:
    items = [{"metadata": {"name": name}} for name in names]
    return 200, {"kind": "DeploymentList", "metadata": {"continue": following}, "items": items}


EXPIRED = (410, {"message": "The provided continue parameter is too old", "reason": "Expired"})


@pytest.mark.parametrize(
    ("answers", "names", "tokens"),
    [
        ([page("")], "", [None]),
        ([page("ab", "t1"), page("cd", "t2"), page("e")], "abcde", [None, "t1", "t2"]),
        ([page("ab", "t1"), EXPIRED, page("xb", "t2"), page("c")], "xbc", [None, "t1", None, "t2"]),
    ],
)
def test_a_list_is_read_to_its_end_and_begun_anew_when_its_pages_expire(
    answers: list[Any], names: str, tokens: list[str | None]
) -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        found = await cluster.list_objects("apps/v1", "deployments", "shop", "app=x")
        assert [item["metadata"]["name"] for item in found] == list(names)
        assert all((item["apiVersion"], item["kind"]) == ("apps/v1", "Deployment") for item in found)

    server = talk(scenario, *answers)
    assert [asked.query.get("continue") for asked in server.asked] == tokens
    assert {(asked.query["limit"], asked.query["labelSelector"]) for asked in server.asked} == {("500", "app=x")}


def test_a_list_that_expires_again_and_again_is_given_up() -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        with pytest.raises(Unavailable, match="too old"):
            await cluster.list_objects("apps/v1", "deployments", None, "")

    server = talk(scenario, *[page("a", "t"), EXPIRED] * 3)
    assert len(server.asked) == 6
    assert server.asked[0].path == "/apis/apps/v1/deployments"
    assert "labelSelector" not in server.asked[0].query


def test_requests_are_counted_by_resource_and_never_by_name() -> None:
    async def scenario(cluster: Cluster, _: Server) -> None:
        await cluster.list_objects("v1", "nodes", None, "")
        await cluster.list_objects("apps/v1", "deployments", "shop", "")
        await cluster.write_status("shop", "namespaces", "u", {})
        await cluster.get_child("namespaces", ChildKey(ChildKind.HPA, "services"))
        await cluster.create_event("shop", {})
        await cluster.get_object("apiregistration.k8s.io/v1", "apiservices", None, "v1.x")

    assert talk(scenario).seen == [
        ("GET", "nodes", 200),
        ("GET", "deployments", 200),
        ("PATCH", "jointinferenceservices/status", 200),
        ("GET", "horizontalpodautoscalers", 200),
        ("POST", "events", 200),
        ("GET", "apiservices", 200),
    ]
