"""What is written, and in which order, into an API server in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.errors import Forbidden
from controller.metrics_api.certificates import make_certificate
from controller.metrics_api.registration import OWNER, SERVICE, NotServed, Registration, Standing

NOW = datetime(2026, 5, 1, tzinfo=UTC)
FIRST, SECOND, THIRD = (make_certificate(["x"], NOW).authority for _ in range(3))
V1, V2 = "v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"


class InMemory:
    """Objects by plural and name; `writes` has what was done."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.put("v1", "services", SERVICE)
        self.put("rbac.authorization.k8s.io/v1", "clusterroles", OWNER)

    def put(self, api_version: str, plural: str, name: str, **fields: Any) -> None:
        metadata = {"name": name, "uid": f"uid-{name}"}
        self.objects[plural, name] = {"apiVersion": api_version, "metadata": metadata, **fields}

    async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> Any:
        return self.objects.get((plural, name))

    async def apply_object(self, plural: str, namespace: str | None, manifest: Mapping[str, Any]) -> dict[str, Any]:
        name = manifest["metadata"]["name"]
        self.writes.append(f"apply {name}")
        metadata = {**manifest["metadata"], "uid": f"uid-{name}"}
        self.objects[plural, name] = {**manifest, "metadata": metadata}
        return self.objects[plural, name]

    async def delete_object(self, plural: str, namespace: str | None, found: Mapping[str, Any]) -> bool:
        self.writes.append(f"delete {found['metadata']['name']}")
        return self.objects.pop((plural, found["metadata"]["name"]), None) is not None

    def bundle(self, name: str = V2) -> bytes:
        return base64.b64decode(self.objects["apiservices", name]["spec"]["caBundle"])


def keep(
    server: InMemory, authority: bytes, *, address: str = "10.0.0.1", port: int = 9443, alone: bool = False
) -> list[str]:
    """Do one pass and return what was written."""

    async def scenario() -> None:
        registration = Registration(server, "sedna", address)
        await registration.keep(await registration.look(), port, authority, NOW, alone=alone)

    before = len(server.writes)
    asyncio.run(scenario())
    return server.writes[before:]


def test_the_first_time_an_api_is_registered_when_it_leads_somewhere():
    server = InMemory()
    assert keep(server, FIRST) == [f"apply {SERVICE}", f"apply {V2}", f"apply {V1}"]
    assert server.bundle(V1) == server.bundle(V2) == FIRST
    registered = server.objects["apiservices", V2]
    assert registered["spec"]["service"] == {"namespace": "sedna", "name": SERVICE, "port": 443}
    assert registered["metadata"]["ownerReferences"][0]["name"] == OWNER
    priorities = [server.objects["apiservices", name]["spec"]["versionPriority"] for name in (V1, V2)]
    assert priorities == sorted(priorities)
    found = server.objects["endpointslices", SERVICE]
    assert found["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]
    assert found["ports"] == [{"name": "https", "port": 9443, "protocol": "TCP"}]
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == SERVICE
    assert found["metadata"]["ownerReferences"][0]["uid"] == f"uid-{SERVICE}"


def test_nothing_is_written_where_all_is_as_it_should_be():
    server = InMemory()
    keep(server, FIRST)
    assert keep(server, FIRST) == []
    assert keep(server, FIRST, alone=True) == []


def test_another_replica_is_trusted_before_callers_are_led_to_it():
    server = InMemory()
    keep(server, FIRST)
    assert keep(server, SECOND, address="10.0.0.2") == [f"apply {V2}", f"apply {V1}", f"apply {SERVICE}"]
    assert server.bundle() == FIRST + SECOND
    assert keep(server, SECOND, address="10.0.0.2", alone=True) == [f"apply {V2}", f"apply {V1}"]
    assert server.bundle() == SECOND


def test_no_more_than_one_other_authority_is_trusted_and_none_that_has_ended():
    server = InMemory()
    keep(server, FIRST)
    keep(server, SECOND)
    keep(server, THIRD)
    assert server.bundle() == SECOND + THIRD
    ended = make_certificate(["x"], NOW - timedelta(days=30)).authority
    for name in (V1, V2):
        server.objects["apiservices", name]["spec"]["caBundle"] = base64.b64encode(ended).decode()
    keep(server, THIRD)
    assert server.bundle() == THIRD


@pytest.mark.parametrize("bundle", ["", "no base64!", base64.b64encode(b"no PEM").decode()])
def test_a_bundle_that_somebody_has_spoilt_is_written_anew(bundle):
    server = InMemory()
    keep(server, FIRST)
    server.objects["apiservices", V2]["spec"]["caBundle"] = bundle
    assert keep(server, FIRST) == [f"apply {V2}"]
    assert server.bundle() == FIRST


def test_an_address_of_the_other_family_needs_another_slice():
    server = InMemory()
    keep(server, FIRST)
    assert keep(server, FIRST, address="fd00::2") == [f"delete {SERVICE}", f"apply {SERVICE}"]
    assert server.objects["endpointslices", SERVICE]["addressType"] == "IPv6"


def look(server: InMemory) -> NotServed:
    with pytest.raises(NotServed) as caught:
        asyncio.run(Registration(server, "sedna", "10.0.0.1").look())
    return caught.value


@pytest.mark.parametrize(
    ("spec", "whose"),
    [
        (
            {"service": {"namespace": "monitoring", "name": "prometheus-adapter"}},
            "Service monitoring/prometheus-adapter",
        ),
        ({"service": {"namespace": "other", "name": SERVICE}}, f"Service other/{SERVICE}"),
        ({}, "the API server itself"),
    ],
)
def test_what_somebody_else_serves_is_left_alone_and_ours_is_withdrawn(spec, whose):
    server = InMemory()
    keep(server, FIRST)
    server.put("apiregistration.k8s.io/v1", "apiservices", V1, spec=spec)
    server.writes.clear()
    problem = look(server)
    assert problem.standing is Standing.FOREIGN
    assert f"APIService {V1} belongs to {whose}" in str(problem)
    assert server.writes == [f"delete {V2}"]
    assert look(server).standing is Standing.FOREIGN
    assert server.writes == [f"delete {V2}"]


def test_without_the_service_nothing_is_registered():
    server = InMemory()
    del server.objects["services", SERVICE]
    problem = look(server)
    assert problem.standing is Standing.NO_SERVICE
    assert f"sedna/{SERVICE}; apply deploy/metrics-api" in str(problem)
    assert server.writes == []


def test_a_role_that_cannot_be_read_owns_nothing():
    class Closed(InMemory):
        async def get_object(self, api_version: str, plural: str, namespace: str | None, name: str) -> Any:
            if plural == "clusterroles":
                raise Forbidden("no", 403)
            return await super().get_object(api_version, plural, namespace, name)

    server = Closed()
    keep(server, FIRST)
    assert "ownerReferences" not in server.objects["apiservices", V2]["metadata"]


def test_our_apis_are_withdrawn_where_a_setting_says_so():
    server = InMemory()
    keep(server, FIRST)
    server.put("apiregistration.k8s.io/v1", "apiservices", V1, spec={"service": {"namespace": "a", "name": "b"}})
    asyncio.run(Registration(server, "sedna", "10.0.0.1").end())
    assert server.writes[-1] == f"delete {V2}"
    assert ("apiservices", V1) in server.objects
