"""The API server goes away, answers nonsense, forgets what the watches knew, loses the CRDs: the controller stays and goes on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.children import ChildKind
from sedna_py.api.child_names import Role, cloud_service_name, deployment_name
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.integration.gate import Gate, gate
from tests.integration.replica import Replica, replica, seconds_until
from tests.integration.service_on_cluster import ROOT, Cluster, install_crds
from tests.integration.storm import Scene, Storm, differences, differences_that_stay, storm_service

NAMESPACE = "sedna"
OUTAGE_S = float(os.environ.get("SEDNA_OUTAGE_SECONDS", "6"))
BACK_S = 30.0
MOST_LINES = 60
WAYS = {"alone": {}, "elected": {"LEADER_ELECTION": "true"}}
SCOPES = {"cluster": {}, "namespace": {"WATCH_NAMESPACES": "{namespace}"}}
NAMESPACES = 7


@dataclass(frozen=True)
class Site:
    """A controller with the installation's rights behind a gate, and the namespace that it works on."""

    plane: ControlPlane
    scene: Scene
    controller: Replica
    gate: Gate

    def create(self, name: str) -> None:
        self.scene.create("jointinferenceservices", storm_service(name))

    def has_children(self, name: str) -> bool:
        wanted = {(ChildKind.DEPLOYMENT, deployment_name(name, role)) for role in Role}
        return wanted | {(ChildKind.SERVICE, cloud_service_name(name))} <= self.scene.children().keys()

    def settle(self) -> None:
        left = differences_that_stay(self.scene)
        assert not left, "\n".join([*left, self.controller.log_tail()])


@dataclass(frozen=True)
class Fragile:
    """A control plane that these tests may break, with empty namespaces made beforehand: after an outage the controller
    manager takes up to a minute until it looks after a new one.
    """

    plane: ControlPlane
    namespaces: list[str]


@pytest.fixture(scope="module")
def fragile(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("fragile")) as running:
        install_crds(running)
        running.kubectl("apply", "-k", str(ROOT / "deploy"))
        yield Fragile(running, [running.create_namespace() for _ in range(NAMESPACES)])


@pytest.fixture
def site(request: pytest.FixtureRequest, fragile: Fragile, tmp_path: Path) -> Iterator[Site]:
    """A site whose controller is not started yet; the parameter has settings of it."""
    plane = fragile.plane
    cluster = Cluster.of(plane)
    namespace = fragile.namespaces.pop()
    chosen = {name: value.format(namespace=namespace) for name, value in getattr(request, "param", {}).items()}
    settings = {"POD_NAMESPACE": NAMESPACE, "LEADER_ELECTION": "false", **chosen}
    with ExitStack() as stack:
        stack.callback(cluster.http.close)
        door = stack.enter_context(gate(plane))
        kubeconfig = door.kubeconfig(plane.kubeconfig_for("sedna-controller", NAMESPACE), tmp_path / "kubeconfig")
        controller = stack.enter_context(replica("controller", tmp_path, kubeconfig, settings))
        yield Site(plane, Scene(cluster, namespace), controller, door)
        assert not controller.has_ended(), controller.log_tail()


@pytest.fixture
def settled(site: Site) -> Site:
    """A site with five services and all that they ask for."""
    install_crds(site.plane)  # another test may have taken them away
    Storm(site.scene, random.Random(0)).begin(services=5)
    site.controller.start()
    site.settle()
    return site


@pytest.mark.parametrize("site", WAYS.values(), ids=WAYS.keys(), indirect=True)
@pytest.mark.timeout(120 + 2 * OUTAGE_S)
def test_an_api_server_that_was_away_finds_the_controller_at_work(settled):
    storm = Storm(settled.scene, random.Random(5), deletes=False)
    pid, lines = settled.controller.pid, len(settled.controller.log().splitlines())
    storm.blow(10)
    settled.plane.stop_api_server()
    end = time.monotonic() + OUTAGE_S
    seconds_until(lambda: settled.controller.has_ended() or time.monotonic() > end, "the end", OUTAGE_S + 5)
    settled.plane.start_api_server()
    seconds_until(lambda: lists_everything(settled), "lists of everything", BACK_S)
    storm.blow(10)
    storm.calm_down()
    took = seconds_until(lambda: not differences(settled.scene), "what is wanted", 60)
    said = settled.controller.log().splitlines()[lines:]
    print(f"converged {took:.1f} s after the return; {len(said)} lines of log")
    assert took < BACK_S
    assert not settled.controller.has_ended(), settled.controller.log_tail()
    assert settled.controller.pid == pid
    assert len(said) < MOST_LINES, "\n".join(said)
    if "SEDNA_OUTAGE_SECONDS" in os.environ:
        settled.plane.create_namespace()  # which waits for the controller manager


# The last of each ends the framework's watches; it goes on asking at the others.
@pytest.mark.parametrize("statuses", [(403, 429, 500, 503, 401), (404,)], ids=["401", "404"])
def test_an_api_server_that_answers_nonsense_for_a_while_changes_nothing(settled, statuses):
    before = uids(settled)
    for status in statuses:
        settled.gate.answer(status)
        seconds_until(lambda: settled.gate.answers >= 4, f"questions that are answered with {status}")
        assert not settled.controller.has_ended(), f"{status}:\n{settled.controller.log_tail()}"
    settled.gate.open()
    settled.create("after-the-nonsense")
    took = seconds_until(lambda: settled.has_children("after-the-nonsense"), "a service made after it", 60)
    print(f"converged {took:.1f} s after the return")
    assert took < BACK_S
    assert uids(settled).items() >= before.items()
    assert "Traceback" not in settled.controller.log(), settled.controller.log()


def lists_everything(site: Site) -> bool:
    """Return whether nothing is answered with 429, as lists are by an API server that has just begun."""
    paths = [site.scene.path(plural) for plural in ("jointinferenceservices", "models", *(k.plural for k in ChildKind))]
    return all(site.scene.cluster.http.get(path).is_success for path in paths)


def uids(site: Site) -> dict[tuple[ChildKind, str], str]:
    return {key: child["metadata"]["uid"] for key, child in site.scene.children().items()}


def test_what_was_deleted_while_the_watches_were_cut_and_forgotten_is_seen_soon(settled):
    settled.gate.shut()
    settled.scene.delete("deployments", deployment_name("s0", Role.EDGE))
    settled.scene.delete("services", cloud_service_name("s1"))
    settled.scene.delete("jointinferenceservices", "s2")
    settled.plane.stop_api_server()
    settled.plane.start_api_server()  # which answers a version from before with 410
    settled.gate.open()
    seconds_until(lambda: lists_everything(settled), "lists of everything", BACK_S)
    took = seconds_until(lambda: all(settled.has_children(name) for name in ("s0", "s1")), "the repair", 60)
    print(f"repaired {took:.1f} s after the return")
    assert took < BACK_S
    seconds_until(lambda: services_known(settled) == services_there(settled), "the service to be forgotten", BACK_S)


def services_known(site: Site) -> float | None:
    return site.controller.metric('sedna_controller_watched_objects{resource="jointinferenceservices"}')


def services_there(site: Site) -> int:
    return len(site.scene.cluster.get("/apis/sedna.io/v1alpha1/jointinferenceservices")["items"])


@pytest.mark.parametrize("site", SCOPES.values(), ids=SCOPES.keys(), indirect=True)
def test_the_crds_may_come_after_the_controller_and_be_replaced_while_it_runs(site):
    site.plane.kubectl("delete", "--ignore-not-found", "-f", str(ROOT / "crds"))
    site.controller.start()
    seconds_until(lambda: "install the CRDs" in site.controller.log(), "a controller that says what is missing")
    pid = site.controller.pid
    for name in ("before", "after"):
        install_crds(site.plane)
        Storm(site.scene, random.Random(0)).begin()
        site.create(name)
        took = seconds_until(lambda name=name: site.has_children(name), f"the service {name}", 60)
        print(f"{name}: {took:.1f} s after the CRDs came")
        assert took < BACK_S
        site.plane.kubectl("delete", "-f", str(ROOT / "crds"))
    assert site.controller.pid == pid
    assert not site.controller.has_ended(), site.controller.log_tail()
