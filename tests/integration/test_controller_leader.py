"""Two replicas of the controller: one works, the other takes over in time, and never do both write."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sedna_py.api.child_names import Role, deployment_name
from tests.cluster.audit import ApiWrite
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.integration.replica import Replica, replica, seconds_until
from tests.integration.service_on_cluster import Cluster
from tests.integration.services import know_our_kinds
from tests.integration.storm import Scene, Storm, differences_that_stay, storm_service

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMESPACE = "sedna"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/sedna-controller"
CHILDREN = ("deployments", "services", "horizontalpodautoscalers")
CHILDREN_PER_SERVICE = 4  # two Deployments, two Services
LONGEST_TAKE_OVER_S = 15.0
LONG_LEASE = {"LEASE_DURATION_S": "30"}
LONGEST_HAND_OVER_S = 20.0  # a lease that is not given up would be waited for longer


@dataclass(frozen=True)
class Pair:
    """Two replicas with rights of their own, and the namespace that they work on; `first` leads in the beginning."""

    plane: ControlPlane
    scene: Scene
    first: Replica
    second: Replica

    def writes(self) -> list[ApiWrite]:
        """Return what the replicas wrote in the scene's namespace, the refused included; events and leases are elsewhere."""
        users = {account(one.name) for one in (self.first, self.second)}
        return [
            write
            for write in self.plane.api_writes()
            if write.user in users and write.namespace == self.scene.namespace
        ]

    def child_writes(self, by: Replica) -> int:
        return sum(write.user == account(by.name) and write.resource in CHILDREN for write in self.writes())

    def lease(self, time: str) -> datetime:
        """Return one of the times in the Lease."""
        return datetime.fromisoformat(self.scene.cluster.get(LEASE)["spec"][time])

    def writers(self) -> list[str]:
        """Return who wrote, in order; a name comes again when it wrote after the other had."""
        return [user.rpartition(":")[2] for user, _ in groupby(write.user for write in self.writes())]


def account(name: str) -> str:
    return f"system:serviceaccount:{NAMESPACE}:{name}"


@pytest.fixture(scope="module")
def plane(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that writes down who wrote what, with the controller's roles for two accounts."""
    with ControlPlane(kubernetes_binaries, tmp_path_factory.mktemp("audited"), audit=True) as running:
        running.kubectl("apply", "-k", str(DEPLOY))
        know_our_kinds(running)
        running.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(accounts("first", "second")))
        yield running


def accounts(*names: str) -> Iterator[dict[str, Any]]:
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE} for name in names]
    for name in names:
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}
    for kind, role in (("ClusterRole", "sedna-controller"), ("Role", "sedna-controller-lease")):
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{kind}Binding",
            "metadata": {"name": "replicas", **({"namespace": NAMESPACE} if kind == "Role" else {})},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": subjects,
        }


@pytest.fixture
def pair(request: pytest.FixtureRequest, plane: ControlPlane, tmp_path: Path) -> Iterator[Pair]:
    """Two replicas that run, one of which leads; the parameter has settings of theirs."""
    settings = {"POD_NAMESPACE": NAMESPACE, "REPORT_INTERVAL_S": "0", **getattr(request, "param", {})}
    cluster = Cluster.of(plane)
    namespace = plane.create_namespace()
    with ExitStack() as stack:
        stack.callback(cluster.http.close)
        stack.callback(cluster.http.delete, LEASE)  # the next test shall not wait until it has run out
        stack.callback(plane.delete_namespace, namespace)
        first, second = (
            stack.enter_context(replica(name, tmp_path, plane.kubeconfig_for(name, NAMESPACE), settings))
            for name in ("first", "second")
        )
        first.start()
        seconds_until(first.leads, "a first leader")
        second.start()
        seconds_until(lambda: second.metric("sedna_controller_leader") == 0, "a standby")
        yield Pair(plane, Scene(cluster, namespace), first, second)


def settle(pair: Pair) -> None:
    left = differences_that_stay(pair.scene)
    assert not left, "\n".join([*left, pair.first.log_tail(), pair.second.log_tail()])


def complete(pair: Pair, name: str) -> bool:
    """Return whether all children of a new service are there."""
    return sum(owned[1].startswith(f"{name}-") for owned in pair.scene.children()) == CHILDREN_PER_SERVICE


def test_one_of_two_replicas_does_all_the_work_and_gets_the_reports_that_reach_the_other(pair):
    storm = Storm(pair.scene, random.Random(1))
    storm.begin(services=5)
    settle(pair)
    assert pair.first.leads()
    assert not pair.second.leads()
    assert pair.writers() == ["first"]
    assert pair.child_writes(pair.first) == 5 * CHILDREN_PER_SERVICE

    edge = deployment_name("s0", Role.EDGE)
    seconds_until(lambda: pods(pair, edge), "a pod of the edge worker")
    (pod,) = pods(pair, edge)
    report = {
        "name": pod,
        "namespace": pair.scene.namespace,
        "ownerName": "s0",
        "ownerKind": "jointinferenceservice",
        "kind": "inference",
        "status": "running",
        "ownerInfo": {"inferenceNumber": 70, "hardExampleNumber": 7, "uploadCloudRatio": 0.1},
    }
    url = f"http://127.0.0.1:{pair.second.port}/sedna/workers/{pod}/info"
    seconds_until(lambda: httpx.post(url, json=report, trust_env=False).is_success, "the standby to pass it on")
    seconds_until(lambda: "70" in reported(pair, "s0"), "the report in the status")
    assert pair.writers() == ["first"]


def pods(pair: Pair, deployment: str) -> list[str]:
    names = [pod["metadata"]["name"] for pod in pair.scene.items("pods")]
    return [name for name in names if name.startswith(deployment)]


def reported(pair: Pair, name: str) -> list[str]:
    service = pair.scene.cluster.get(pair.scene.path("jointinferenceservices", name))
    return [str(metric["value"]) for metric in service.get("status", {}).get("metrics", ())]


@pytest.mark.parametrize("pair", [LONG_LEASE], ids=["long lease"], indirect=True)
def test_a_leader_that_is_asked_to_go_hands_over_at_once(pair):
    Storm(pair.scene, random.Random(3)).begin(services=1)
    settle(pair)
    pair.first.ask_to_go()
    pair.scene.create("jointinferenceservices", storm_service("after-the-end"))
    took = seconds_until(lambda: complete(pair, "after-the-end"), "a service made after the end", 30)
    print(f"hand_over {took:.1f} s")
    assert took < LONGEST_HAND_OVER_S
    settle(pair)
    assert pair.writers() == ["first", "second"]


@pytest.mark.parametrize("pair", [LONG_LEASE], ids=["long lease"], indirect=True)
@pytest.mark.timeout(300)
def test_a_leader_that_was_held_up_past_its_lease_writes_nothing_any_more(pair):
    storm = Storm(pair.scene, random.Random(4), deletes=False)
    storm.begin(services=5)
    storm.blow(10)
    seconds_until(lambda: pair.child_writes(pair.first), "the leader to write")
    pair.first.hold()
    storm.blow(10)
    took = seconds_until(lambda: pair.child_writes(pair.second), "the standby to write", 60)
    print(f"take_over {took:.1f} s")
    storm.blow(10)  # news that wait in the connections of the first
    pair.first.let_go()
    storm.blow(30)
    seconds_until(lambda: not pair.first.leads(), "the first to know")
    storm.calm_down()
    settle(pair)
    assert pair.writers() == ["first", "second"], (pair.writes(), pair.first.log_tail())
    assert not pair.first.has_ended()

    pair.second.stop()
    seconds_until(pair.first.leads, "the first to lead again", LONGEST_HAND_OVER_S)


def test_the_standby_takes_over_from_a_leader_killed_in_a_storm(pair):
    storm = Storm(pair.scene, random.Random(2), deletes=False)
    storm.begin(services=5)
    storm.blow(15)
    seconds_until(lambda: pair.child_writes(pair.first), "the leader to write")
    pair.first.crash()
    renewed = pair.lease("renewTime")
    pair.scene.create("jointinferenceservices", storm_service("after-the-crash"))
    took = seconds_until(lambda: complete(pair, "after-the-crash"), "a service made after the crash", 60)
    print(f"take_over {took:.1f} s")
    # By the Lease: how long the work that was left takes depends on the machine.
    assert (pair.lease("acquireTime") - renewed).total_seconds() < LONGEST_TAKE_OVER_S
    storm.blow(15)
    storm.calm_down()
    settle(pair)
    assert pair.writers() == ["first", "second"]
