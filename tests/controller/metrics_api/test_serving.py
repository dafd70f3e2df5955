"""The API over TLS on loopback, with an API server in memory and a front proxy with certificates of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from errno import EMFILE
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from controller.errors import Forbidden, Unavailable
from controller.metrics import ControllerMetrics
from controller.metrics_api import server
from controller.metrics_api.answers import MetricValue
from controller.metrics_api.catalogue import GROUP, POD_METRICS, SERVICES, VERSIONS
from controller.metrics_api.certificates import LIFETIME, RENEW_AFTER
from controller.metrics_api.front_proxy import CONFIG_MAP
from controller.metrics_api.paths import MetricPath
from controller.metrics_api.registration import SERVICE
from controller.metrics_api.selectors import Selector
from controller.metrics_api.serving import KNOWN_S, OVERLAP_S, Serving
from controller.settings import ControllerSettings
from sedna_py.metrics import names
from tests.cluster.pki import Authority, KeyPair, Subject
from tests.controller.fakes import until
from tests.controller.metrics_api.test_registration import V2, InMemory

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIST = f"/apis/{GROUP}/v1beta2/namespaces/shop/pods/*/sedna_concurrency"
HPA = {"X-Remote-User": "hpa"}


class ApiServer(InMemory):
    """Lets `hpa` and the token `good` do everything, and nobody else anything."""

    def __init__(self, front_proxy: Path) -> None:
        super().__init__()
        self.failure: Exception | None = None
        data = {
            "requestheader-client-ca-file": front_proxy.read_text(encoding="utf-8"),
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        }
        self.put("v1", "configmaps", CONFIG_MAP[1], data=data)

    async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> Any:
        if self.failure is not None:
            raise self.failure
        return await super().get_object(api_version, plural, namespace, name)

    async def review(self, group: str, plural: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        if plural == "tokenreviews":
            return {"authenticated": spec["token"] in {"good", "poor"}, "user": {"username": spec["token"]}}
        return {"allowed": spec["user"] in {"good", "hpa"}}


@dataclass
class Played:
    """A source with the values of pods, by name."""

    values: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[MetricPath, Selector]] = field(default_factory=list)

    def find(self, path: MetricPath, selector: Selector) -> Sequence[MetricValue]:
        self.asked.append((path, selector))
        if path.metric == "sedna_broken":
            raise ZeroDivisionError
        known = self.values if path.metric in POD_METRICS or path.resource == SERVICES else {}
        return [MetricValue(name, value, AT, 59.6) for name, value in known.items() if path.name in {"*", name}]


class Site:
    """Everything around one Serving."""

    def __init__(self, folder: Path) -> None:
        self.proxy = Authority.create(folder / "front", "front-proxy-ca")
        self.proxy_client = self.proxy.issue("client", Subject("front-proxy-client"))
        self.stranger = self.proxy.issue("stranger", Subject("somebody"))
        other = Authority.create(folder / "other", "front-proxy-ca")
        self.forged = other.issue("client", Subject("front-proxy-client"))
        self.api_server = ApiServer(self.proxy.pair.certificate)
        self.source = Played({"a": 2.0, "b": 0.5})
        self.registry = CollectorRegistry()
        self.now, self.wall = 0.0, datetime.now(UTC) - RENEW_AFTER - timedelta(minutes=1)
        settings = ControllerSettings(
            http_host="127.0.0.1", metrics_api_port=0, pod_namespace="sedna", pod_ip="127.0.0.1"
        )
        metrics = ControllerMetrics(self.registry)
        self.serving = Serving(self.api_server, self.source, settings, metrics, lambda: self.now, lambda: self.wall)

    @property
    def port(self) -> int:
        port: int = self.api_server.objects["endpointslices", SERVICE]["ports"][0]["port"]
        return port

    def bundle(self) -> list[str]:
        found = self.api_server.objects["apiservices", V2]["spec"]["caBundle"]
        end = "-----END CERTIFICATE-----\n"
        return [one + end for one in base64.b64decode(found).decode().split(end)[:-1]]

    def context(self, client: KeyPair | None, authorities: Sequence[str] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata="".join(authorities or self.bundle()))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def client(self, client: KeyPair | None, authorities: Sequence[str] | None = None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.context(client, authorities))
        return aiohttp.ClientSession(f"https://127.0.0.1:{self.port}", connector=connector)

    def asking(self, authorities: Sequence[str]) -> aiohttp.ClientSession:
        """Return the front proxy's client, which trusts these."""
        return self.client(self.proxy_client, authorities)

    async def get(
        self, path: str, headers: Mapping[str, str] = HPA, *, client: KeyPair | None = None, method: str = "GET"
    ) -> tuple[int, Any]:
        """Ask on a connection of its own and return status and body; as the front proxy unless told otherwise."""
        host = f"{SERVICE}.sedna.svc"
        async with (
            self.client(client or self.proxy_client) as session,
            session.request(method, path, headers=headers, server_hostname=host) as reply,
        ):
            return reply.status, json.loads(await reply.read() or b"null")

    def state(self) -> str:
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == names.CONTROLLER_METRICS_API]
        [found] = [sample.labels["state"] for sample in samples if sample.value == 1]
        return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def serve(site: Site, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run the scenario once a step is done, with nobody but it doing more of them."""

    async def main() -> None:
        await site.serving._step()
        try:
            await scenario()
        finally:
            await site.serving._server.stop()

    asyncio.run(main())


def test_discovery(site):
    async def scenario() -> None:
        for version in VERSIONS:
            status, found = await site.get(f"/apis/{GROUP}/{version}")
            assert (status, found["kind"], found["groupVersion"]) == (200, "APIResourceList", f"{GROUP}/{version}")
            assert {"pods/sedna_concurrency", f"{SERVICES}/sedna_expected_cloud_load"} <= {
                one["name"] for one in found["resources"]
            }
            assert all(one["namespaced"] and one["verbs"] == ["get"] for one in found["resources"])
        status, group = await site.get(f"/apis/{GROUP}")
        assert (status, group["preferredVersion"]["version"]) == (200, "v1beta2")
        assert (await site.get("/apis"))[1]["groups"][0]["name"] == GROUP
        assert (await site.get("/openapi/v2"))[1]["swagger"] == "2.0"
        assert (await site.get("/openapi/v3"))[1] == {"paths": {}}

    serve(site, scenario)


@pytest.mark.parametrize(
    ("version", "metric"),
    [("v1beta2", {"metric": {"name": "sedna_concurrency"}}), ("v1beta1", {"metricName": "sedna_concurrency"})],
)
def test_the_values_of_pods(site, version, metric):
    async def scenario() -> None:
        path = LIST.replace("v1beta2", version).replace("*", "%2A") + "?labelSelector=app%3Dx"
        status, found = await site.get(path)
        assert (status, found["kind"], found["apiVersion"]) == (200, "MetricValueList", f"{GROUP}/{version}")
        assert [one["value"] for one in found["items"]] == ["2", "500m"]
        assert found["items"][0] == {
            "describedObject": {"kind": "Pod", "namespace": "shop", "name": "a", "apiVersion": "/v1"},
            **metric,
            "timestamp": "2026-05-01T12:00:00Z",
            "windowSeconds": 60,
            "value": "2",
        }
        [(asked, selector)] = site.source.asked
        assert (asked.namespace, asked.resource, asked.name) == ("shop", "pods", "*")
        assert selector.selects({"app": "x"})
        assert not selector.selects({"app": "y"})
        status, found = await site.get(LIST.replace("*", "b"))
        assert [one["describedObject"]["name"] for one in found["items"]] == ["b"]

    serve(site, scenario)


def test_the_value_of_a_service(site):
    async def scenario() -> None:
        site.source.values = {"helmet": 1.5}
        path = f"/apis/{GROUP}/v1beta2/namespaces/shop/{SERVICES}/helmet/sedna_expected_cloud_load"
        _, found = await site.get(path)
        assert found["items"][0]["describedObject"] == {
            "kind": "JointInferenceService",
            "namespace": "shop",
            "name": "helmet",
            "apiVersion": "sedna.io/v1alpha1",
        }

    serve(site, scenario)


@pytest.mark.parametrize(
    ("path", "method", "status", "reason", "words"),
    [
        (
            LIST.replace("concurrency", "nothing"),
            "GET",
            404,
            "NotFound",
            "could not find the metric sedna_nothing for pods",
        ),
        (LIST.replace("*", "c"), "GET", 404, "NotFound", "the metric sedna_concurrency for pods c"),
        (LIST + "?metricLabelSelector=a%3Db", "GET", 404, "NotFound", "sedna_concurrency"),
        (LIST + "?labelSelector=a%3Db%3Dc", "GET", 400, "BadRequest", "the label selector cannot be used"),
        (LIST + "?watch=true", "GET", 400, "BadRequest", "cannot be watched"),
        (LIST, "POST", 405, "MethodNotAllowed", "POST"),
        (LIST, "DELETE", 405, "MethodNotAllowed", "DELETE"),
        (f"/apis/{GROUP}/v1beta3", "GET", 404, "NotFound", "could not find the requested resource"),
        (LIST.replace("concurrency", "broken"), "GET", 500, "InternalError", "unexpected error"),
    ],
)
def test_everything_else_is_a_status(site, path, method, status, reason, words):
    async def scenario() -> None:
        code, found = await site.get(path, method=method)
        assert (code, found["kind"], found["status"], found["reason"], found["code"]) == (
            status,
            "Status",
            "Failure",
            reason,
            status,
        )
        assert words in found["message"]

    serve(site, scenario)


def test_who_is_let_in(site):
    async def scenario() -> None:
        assert (await site.get(LIST, client=site.stranger))[0] == 401  # of the authority, with another name
        assert (await site.get(LIST, {}))[0] == 401
        assert (await site.get(LIST, {"X-Remote-User": "somebody"}))[0] == 403
        async with site.client(None) as nobody:
            for headers, status in (
                (HPA, 401),
                ({}, 401),
                ({"Authorization": "Bearer bad"}, 401),
                ({"Authorization": "Bearer poor"}, 403),
                ({"Authorization": "Bearer good"}, 200),
                ({"Authorization": "Bearer bad", **HPA}, 401),
            ):
                async with nobody.get(LIST, headers=headers, server_hostname=f"{SERVICE}.sedna.svc") as reply:
                    assert (reply.status, headers) == (status, headers)
                    assert (await reply.json())["kind"] in {"Status", "MetricValueList"}
            async with nobody.get("/healthz", server_hostname=f"{SERVICE}.sedna.svc") as reply:
                assert (reply.status, await reply.text()) == (200, "ok")
        with pytest.raises((aiohttp.ClientError, OSError)):
            await site.get(LIST, client=site.forged)
        assert len(site.source.asked) == 1

    serve(site, scenario)


def test_a_new_certificate_is_trusted_before_it_is_shown_and_drops_no_connection(site):
    async def scenario() -> None:
        [first] = site.bundle()
        async with site.client(site.proxy_client) as session:
            options = {"headers": HPA, "server_hostname": f"{SERVICE}.sedna.svc"}
            async with session.get(LIST, **options) as reply:
                assert reply.status == 200
                before = reply.connection.transport if reply.connection else None
            site.wall += RENEW_AFTER + timedelta(seconds=1)
            site.now += RENEW_AFTER.total_seconds()
            await site.serving._step()
            assert site.bundle()[0] == first
            [_, second] = site.bundle()
            async with site.asking([first]) as old, old.get(LIST, **options) as reply:  # which has not heard of it yet
                assert reply.status == 200
            site.now += KNOWN_S
            await site.serving._step()
            assert site.bundle() == [first, second]
            async with session.get(LIST, **options) as reply:  # the connection that was there
                assert reply.status == 200
                assert before is None or reply.connection is None or reply.connection.transport is before
        async with site.asking([second]) as new, new.get(LIST, **options) as reply:
            assert reply.status == 200
        async with site.asking([first]) as old:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await old.get(LIST, **options)
        await site.serving._step()
        assert site.bundle() == [first, second]
        site.now += OVERLAP_S
        await site.serving._step()
        assert site.bundle() == [second]

    serve(site, scenario)


def test_connections_come_through_while_the_context_changes(site):
    """Of callers who hear at once of a new authority, and may connect at any moment."""

    async def scenario() -> None:
        done = [0] * 4

        async def keep_asking(asker: int) -> None:
            while not over.is_set():
                assert (await site.get(LIST))[0] == 200
                done[asker] += 1

        over = asyncio.Event()
        askers = [asyncio.create_task(keep_asking(asker)) for asker in range(4)]

        def has_gone_on(asker: int, before: int) -> bool:
            return done[asker] > before or askers[asker].done()  # it failed, which is told below

        shown = set()
        for renewal in range(2):
            for pause_s in (RENEW_AFTER.total_seconds(), KNOWN_S, OVERLAP_S):
                site.now += pause_s
                site.wall += timedelta(seconds=pause_s)
                await site.serving._step()
                shown.add(site.serving._shown)
                for asker, before in enumerate(done.copy()):
                    await until(lambda asker=asker, before=before: has_gone_on(asker, before), 20)
            assert len(shown) == 2 + renewal
        over.set()
        await asyncio.gather(*askers)

    # TLS has the real time: by that all of them are valid.
    site.wall = datetime.now(UTC) - LIFETIME + timedelta(hours=1)
    serve(site, scenario)


def test_where_the_clock_was_put_back_another_certificate_is_shown_at_once(site):
    async def scenario() -> None:
        site.wall -= timedelta(hours=1)
        [first] = site.bundle()
        await site.serving._step()
        assert site.bundle()[-1] != first
        options = {"headers": HPA, "server_hostname": f"{SERVICE}.sedna.svc"}
        async with site.asking(site.bundle()[-1:]) as session, session.get(LIST, **options) as reply:
            assert reply.status == 200

    serve(site, scenario)


def test_one_connection_too_many_is_closed_and_who_never_shakes_hands_counts(site, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)

    async def scenario() -> None:
        _, silent = await asyncio.open_connection("127.0.0.1", site.port)
        await until(lambda: len(site.serving._server._greeted) == 1, 20)
        with pytest.raises((aiohttp.ClientError, OSError)):
            await site.get(LIST)
        silent.close()
        await until(lambda: not site.serving._server._greeted, 20)
        assert (await site.get(LIST))[0] == 200

    serve(site, scenario)


def test_a_process_that_may_open_no_more_files_takes_connections_again_when_it_may(site, monkeypatch, caplog):
    accept, failures = asyncio.SelectorEventLoop.sock_accept, [OSError(EMFILE, "Too many open files")]

    async def sock_accept(loop, listener):
        if failures:
            raise failures.pop()
        return await accept(loop, listener)

    async def scenario() -> None:
        assert (await site.get(LIST))[0] == 200
        assert "cannot take a connection: [Errno 24] Too many open files; again in 0.01 s" in caplog.text

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_accept", sock_accept)
    monkeypatch.setattr(server, "ACCEPT_AGAIN_S", 0.01)
    serve(site, scenario)


def test_who_does_not_shake_hands_in_time_is_let_go(site, monkeypatch):
    monkeypatch.setattr(server, "HANDSHAKE_S", 0.1)

    async def scenario() -> None:
        reader, silent = await asyncio.open_connection("127.0.0.1", site.port)
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        silent.close()

    serve(site, scenario)


def test_another_front_proxy_is_trusted_from_the_next_look_on_and_the_one_before_is_not(site, tmp_path):
    async def scenario() -> None:
        assert (await site.get(LIST))[0] == 200
        data = site.api_server.objects["configmaps", CONFIG_MAP[1]]["data"]
        data["requestheader-client-ca-file"] = (tmp_path / "other" / "front-proxy-ca.crt").read_text()
        site.api_server.objects["configmaps", CONFIG_MAP[1]]["data"] = dict(data)
        await site.serving._step()
        assert (await site.get(LIST, client=site.forged))[0] == 200  # it is not, now
        with pytest.raises((aiohttp.ClientError, OSError)):
            await site.get(LIST, client=site.proxy_client)

    serve(site, scenario)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (lambda site: site.api_server.objects.pop(("services", SERVICE)), "no_service", "apply deploy/metrics-api"),
        (
            lambda site: site.api_server.put("apiregistration.k8s.io/v1", "apiservices", V2, spec={}),
            "foreign",
            "belongs to",
        ),
        (
            lambda site: setattr(site.api_server, "failure", Forbidden("no rights", 403)),
            "forbidden",
            "no rights; apply deploy",
        ),
        (lambda site: setattr(site.api_server, "failure", Unavailable("away")), "failed", "away"),
        (lambda site: setattr(site.api_server, "failure", ZeroDivisionError()), "failed", "unexpected error"),
    ],
)
def test_why_it_is_not_served_is_said_once(site, change, state, words, caplog):
    change(site)

    async def scenario() -> None:
        caplog.set_level("INFO")
        with suppress(KeyError):
            for _ in range(3):
                await site.serving._step()
        assert site.state() == state
        said = [record.message for record in caplog.records if record.message.startswith("metrics API:")]
        assert len([message for message in said if words in message]) <= 1
        assert site.serving._server.port == 0
        assert "apiservices" not in {plural for plural, name in site.api_server.objects if name != V2}

    serve(site, scenario)


def test_it_begins_to_serve_when_what_was_missing_is_there(site):
    async def scenario() -> None:
        site.api_server.failure = None
        await site.serving._step()
        assert site.state() == "serving"
        assert (await site.get(LIST))[0] == 200

    site.api_server.failure = Unavailable("away")
    serve(site, scenario)


def test_it_runs_by_itself_and_leaves_nothing_behind(site):
    async def main() -> None:
        running = asyncio.create_task(site.serving.run())
        await until(lambda: ("apiservices", V2) in site.api_server.objects)
        assert (await site.get(LIST))[0] == 200
        port = site.port
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(main())


def test_a_port_that_is_taken_is_said_and_tried_again(site, caplog):
    async def main() -> None:
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        site.serving._settings = ControllerSettings(http_host="127.0.0.1", metrics_api_port=port, pod_ip="127.0.0.1")
        await site.serving._step()
        assert site.state() == "failed"
        assert "write another METRICS_API_PORT" in caplog.text
        taken.close()
        await taken.wait_closed()
        await site.serving._step()
        assert site.state() == "serving"
        await site.serving._server.stop()

    asyncio.run(main())
