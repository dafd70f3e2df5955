"""A service that is as it should be costs no write at all, whatever happens that does not concern it.

SEDNA_QUIET_SECONDS=600 makes the quiet time ten minutes long, in which the watches are renewed by themselves as well.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.children import ChildKind
from controller.cluster import FIELD_MANAGER
from sedna_py.api.child_names import Role
from tests.cluster.audit import ApiWrite
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.integration.normalise import normalise
from tests.integration.played_kubelet import PlayedKubelet
from tests.integration.replica import Replica, seconds_until
from tests.integration.services import (
    SERVICES,
    SOON_S,
    Service,
    Site,
    bad_lines,
    difference,
    example_documents,
    merged,
    serving,
    site_of,
    start,
)

Object = dict[str, Any]
QUIET_S = float(os.environ.get("SEDNA_QUIET_SECONDS", "12"))
EDITS = 100
REST_S = 3.0
NODE = "played"
ON_NODE: Object = {f"{role}Worker": {"template": {"spec": {"nodeName": NODE}}} for role in Role}
DEPLOYMENT, HPA = ChildKind.DEPLOYMENT, ChildKind.HPA
PLURALS = {kind.plural for kind in ChildKind}
NO_HPA: Object = {"cloudWorker": {"hpa": None}, "edgeWorker": {"hpa": None}}


@pytest.fixture(scope="module")
def audited(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of our own, which writes down who writes."""
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("audited"), audit=True) as running:
        yield running


@pytest.fixture
def node(audited: ControlPlane) -> Iterator[PlayedKubelet]:
    """A node on which every pod serves: one that never starts is news after ten minutes."""
    with PlayedKubelet(audited) as kubelet:
        kubelet.register(NODE)
        yield kubelet


@pytest.fixture
def sites(audited: ControlPlane) -> Iterator[tuple[Site, Site]]:
    names = [audited.create_namespace() for _ in range(2)]
    with site_of(audited, names[0]) as one, site_of(audited, names[1]) as other:
        yield one, other
    for name in names:
        audited.delete_namespace(name)


@pytest.fixture
def site(sites: tuple[Site, Site]) -> Site:
    return sites[0]


@pytest.fixture
def controller(site: Site, tmp_path: Path) -> Iterator[Replica]:
    """A controller that compares all it knows with full lists each second."""
    with serving(site.control_plane, tmp_path, site.namespace, {"RESYNC_S": "1"}) as running:
        yield running


def all_sorts(site: Site) -> list[Service]:
    """Create services of every sort: whole, without autoscalers, with a download, and such as lack something."""
    odd = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"nodeSelector": {}, "tolerations": [], "restartPolicy": "Always"},
    }
    # The metric of its autoscaler cannot be had: no container has a request.
    container = {"name": "big-model", "image": "i", "resources": {}}
    changes: dict[str, Object] = {
        "whole": {},
        "bare": NO_HPA,
        "unusual": {"edgeWorker": {"template": odd}},
        "unscaled": {"cloudWorker": {"template": {"spec": {"containers": [container]}}}},
    }
    made = [site.service(name, merged(ON_NODE, change)) for name, change in changes.items()]
    *models, _ = example_documents("helmet_detection_hpa", "fetching")
    site.kubectl("create", "secret", "generic", "store", "--from-literal=ACCESS_KEY_ID=a")
    site.kubectl("annotate", "secret", "store", "s3-endpoint=store:9000")
    for model in models:
        site.create("models", merged(model, {"spec": {"url": "s3://bucket/model.pb", "credentialName": "store"}}))
    made.append(site.service("fetching", ON_NODE, models=False))
    for service in made:
        service.settle()
    waiting = site.service("waiting", models=False)
    seconds_until(lambda: waiting.condition("CloudReady").get("reason") == "ModelMissing", "the one that waits", SOON_S)
    return [*made, waiting]


def of_the_controller(audited: ControlPlane) -> list[ApiWrite]:
    """Return what neither Kubernetes' own controllers nor these tests have written."""
    ours = ("kubectl", "python-httpx", "kube-")
    return [write for write in audited.api_writes() if write.user == "admin" and not write.user_agent.startswith(ours)]


def words(writes: list[ApiWrite]) -> list[str]:
    return [f"{write.verb} {write.resource} {write.name} {write.code}" for write in writes]


class Witness:
    """Tells what was written since it was made, or since it was asked last."""

    def __init__(self, audited: ControlPlane) -> None:
        self._audited = audited
        self._seen = len(of_the_controller(audited))

    def peek(self) -> list[ApiWrite]:
        return of_the_controller(self._audited)[self._seen :]

    def wait_for(self, count: int) -> None:
        seconds_until(lambda: len(self.peek()) >= count, f"{count} writes", SOON_S)

    def new(self) -> list[ApiWrite]:
        writes = self.peek()
        self._seen += len(writes)
        return writes


def versions(services: list[Service]) -> dict[str, str]:
    """Return the versions of all children."""
    found = {}
    for service in services:
        found |= {str(key): live["metadata"]["resourceVersion"] for key, live in service.children().items()}
    return found


def generations(services: list[Service]) -> dict[str, tuple[Any, str]]:
    found = {}
    for service in services:
        for key, live in service.children().items():
            found[str(key)] = (live["metadata"].get("generation"), live["metadata"]["uid"])
    return found


def written_by_others(audited: ControlPlane) -> set[str]:
    """Return the names of the children whose status one of Kubernetes' own controllers has written."""
    return {
        write.name
        for write in audited.api_writes()
        if write.user != "admin" and write.resource.split("/")[0] in PLURALS
    }


def rewritten_autoscalers(audited: ControlPlane, since: int) -> set[str]:
    """Return the names of those whose status others than the controller have written, after so many writes."""
    writes = audited.api_writes()[since:]
    return {write.name for write in writes if write.user != "admin" and write.resource == f"{HPA.plural}/status"}


def wait_for_rest(services: list[Service], audited: ControlPlane) -> None:
    """Wait until the last status is written: all pods serve, and no autoscaler has a metric."""
    witness, quiet_since = Witness(audited), time.monotonic()
    started = [service for service in services if service.child(service.key(DEPLOYMENT))]

    def is_at_rest() -> bool:
        nonlocal quiet_since
        conditions = [condition for service in started for condition in service.status()["conditions"]]
        if witness.new() or any(condition.get("reason") == "Starting" for condition in conditions):
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > REST_S

    seconds_until(is_at_rest, "an end of all writes", 90)


def disturb(services: list[Service], edits: Iterator[int], seconds: float) -> None:
    """Do nothing that matters for so many seconds: a quarter of all edits of labels."""
    deadline = time.monotonic() + seconds
    for number in itertools.islice(edits, EDITS // 4):
        service = services[number % len(services)]
        body = {"metadata": {"labels": {"round": str(number)}, "annotations": {"round": str(number)}}}
        assert service.site.patch(SERVICES, service.name, body)
        time.sleep(max(0.0, deadline - time.monotonic()) / (EDITS // 4))
    time.sleep(max(0.0, deadline - time.monotonic()))  # the rest of the time in which nothing may happen


@pytest.mark.timeout(QUIET_S + 240)
def test_nothing_is_written_while_nothing_changes(
    audited: ControlPlane, site: Site, controller: Replica, node: PlayedKubelet
) -> None:
    services = all_sorts(site)
    assert any(write.resource == "deployments" for write in of_the_controller(audited)), "the audit log is not ours"
    wait_for_rest(services, audited)
    before, generation = versions(services), generations(services)
    statuses = {service.name: service.status() for service in services}
    witness, edits, resyncs = Witness(audited), iter(range(EDITS)), lists(controller)

    disturb(services, edits, QUIET_S * 0.55)  # of ten minutes that is longer than a watch lasts
    assert words(witness.new()) == []
    assert lists(controller) > resyncs, "no full comparison was made"

    for end in (controller.stop, controller.crash):
        end()
        start(controller)
        # Each child is applied once, for a new process does not know what the one before it has applied.
        applied = [f"patch {key.kind.plural} {key.name} 200" for s in services for key in s.children()]
        witness.wait_for(len(applied))
        disturb(services, edits, QUIET_S * 0.15)
        assert sorted(words(witness.new())) == sorted(applied)

    written = len(audited.api_writes())
    audited.stop_api_server()
    audited.start_api_server()
    eventually_listed(controller)
    disturb(services, edits, QUIET_S * 0.15)
    # Kubernetes' own autoscaler may have met the outage and say so: of that alone a status tells.
    retold = rewritten_autoscalers(audited, written)
    news = {service.name for service in services if retold & {key.name for key in service.child_keys()}}
    assert words([w for w in witness.new() if w.resource != f"{SERVICES}/status" or w.name not in news]) == []

    changed = {name for name, version in versions(services).items() if version != before[name]}
    assert {name for name in changed if name.split()[1] not in written_by_others(audited)} == set()
    assert generations(services) == generation
    seconds_until(lambda: {s.name: s.status() for s in services} == statuses, "the statuses of before", SOON_S)


def test_an_end_while_the_api_server_is_away_is_no_error(audited: ControlPlane, controller: Replica) -> None:
    audited.stop_api_server()
    try:
        seconds_until(lambda: "will retry" in controller.log(), "a request of the framework that failed", SOON_S)
        controller.stop()
        assert bad_lines(controller.log()) == []
    finally:
        audited.start_api_server()
    start(controller)


def lists(controller: Replica) -> float:
    """Return how many requests for a list of Models the controller has made since its start."""
    return controller.metric('sedna_controller_api_requests_total{code="2xx",resource="models",verb="GET"}') or 0


def eventually_listed(controller: Replica) -> None:
    before = lists(controller)
    seconds_until(lambda: lists(controller) > before, "a full comparison after the outage", 60)


def test_an_edit_of_an_autoscaler_alone_writes_nothing_else(
    audited: ControlPlane, site: Site, controller: Replica
) -> None:
    service = site.settled_service("scaled")
    key, before, witness = service.key(HPA), generations([service]), Witness(audited)

    service.edit({"cloudWorker": {"hpa": {"maxReplicas": 9}}})
    service.settle()

    assert [word for word in words(witness.new()) if word.split()[1] in PLURALS] == [
        f"patch {HPA.plural} {key.name} 200"
    ]
    assert generations([service]) == before


def test_the_same_service_twice_gives_the_same_objects(sites: tuple[Site, Site], tmp_path: Path) -> None:
    """In two namespaces, by two controllers, one of which has seen it change and change back."""
    made = []
    for number, site in enumerate(sites):
        folder = tmp_path / str(number)
        folder.mkdir()
        with serving(site.control_plane, folder, site.namespace):
            service = site.settled_service("same")
            if number:
                service.edit({"cloudWorker": {"template": {"spec": {"hostNetwork": True}}, "hpa": None}})
                service.edit({"edgeWorker": {"hardExampleMining": {"parameters": None}}})
                service.settle()
                [*_, document] = example_documents("helmet_detection_hpa", "same")
                site.kubectl("replace", "-f", "-", stdin=json.dumps(document))
                service.settle()
            made.append(written(service))
    assert difference(*made) == ""


def written(service: Service) -> dict[str, Any]:
    """Return the children, and which of their fields the controller has applied."""
    found: dict[str, Any] = {}
    names = {service.site.namespace: "somewhere", service.document()["metadata"]["uid"]: "somebody"}
    for key, live in service.children().items():
        [applied] = [e["fieldsV1"] for e in live["metadata"]["managedFields"] if e["manager"] == FIELD_MANAGER]
        text = json.dumps(applied)
        for actual, stable in names.items():
            text = text.replace(actual, stable)
        found[str(key)] = {"object": normalise(live, names), "applied": json.loads(text)}
    return found
