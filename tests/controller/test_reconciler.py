"""One pass over one service, with everything but the API server real."""

from __future__ import annotations

from typing import Any

import pytest

from controller.child_sync import CONTESTED_PAUSE_S, MOST_REPAIRS
from controller.children import ChildKey, ChildKind
from controller.errors import Conflict, Forbidden, NameTaken, NotFound, Refused, Unavailable
from controller.reconciler import Look
from tests.controller.one_service import CLOUD, EDGE, EDGE_HPA, FRONT, HELMET, PODS, Site, helmet
from tests.refused_documents import changed, model

APPLIES = [f"apply {key}" for key in (CLOUD, FRONT, PODS, EDGE)]
HPA = {"spec.edgeWorker.hpa": {"maxReplicas": 3}}
S3 = changed(model("s3://bucket/yolo.xml", "m"), "spec.credentialName", "s")
CREDENTIALS = ("shop", "s")


def settled(document: dict[str, Any] | None = None, **settings: Any) -> Site:
    """Return a site whose service has been seen to and told of."""
    site = Site(**settings)
    site.put(document or helmet())
    site.reconcile()
    site.calls()
    site.told()
    return site


def test_a_new_service_costs_its_children_a_status_and_two_events_at_most() -> None:
    site = Site()
    site.put(helmet())
    look = site.reconcile()
    assert look.failure is None
    calls = site.writes()
    assert calls[:5] == [*APPLIES, "status helmet"]
    assert set(calls[5:]) <= {"event"}
    assert [text.split()[0] for text in site.told()][:1] == ["Created"]
    assert site.reconcile().failure is None
    assert site.calls() == []


def test_models_may_come_after_the_services_that_use_them() -> None:
    site = Site()
    site.models.clear()
    site.restart()
    site.put(helmet())
    assert site.reconcile().blocked
    assert [call for call in site.writes() if call.startswith("apply")] == APPLIES[1:3]
    assert site.condition("EdgeReady")[1] == "ModelMissing"
    site.enqueued.clear()
    site.put_model(model("/models/yolo.xml", "m"))
    assert site.enqueued == [HELMET]
    assert not site.reconcile().blocked
    assert [call for call in site.writes() if call.startswith("apply")] == [APPLIES[0], APPLIES[3]]


def test_a_model_that_becomes_unusable_leaves_what_runs() -> None:
    site = settled()
    site.put_model(model("models/relative.xml", "m"))
    site.reconcile()
    assert not [call for call in site.writes() if call.startswith(("apply", "delete"))]
    assert site.condition("EdgeReady")[1] == "ModelInvalid"


def test_a_service_that_cannot_be_read_keeps_its_children_and_says_why() -> None:
    site = settled(helmet(changes=HPA))
    site.put(changed(helmet(generation=2), "spec.edgeWorker", "text"))
    assert site.reconcile().failure is None
    assert not [call for call in site.writes() if call.startswith(("apply", "delete"))]
    status, reason, message = site.condition("SpecAccepted")
    assert (status, reason) == ("False", "InvalidSpec")
    assert "spec.edgeWorker" in message
    assert ("shop", EDGE_HPA) in site.cluster.objects


def test_a_service_that_is_going_is_left_to_the_garbage_collector() -> None:
    site = settled()
    going = helmet(generation=2)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    site.put(going)
    site.cluster.remove("shop", EDGE)
    site.cluster.deliver(site.intake)
    assert site.reconcile() == Look()
    assert site.calls() == []


def test_a_service_that_is_gone_is_forgotten() -> None:
    site = settled()
    site.end()
    assert site.reconcile() == Look()
    assert site.calls() == []
    assert sum(site.status.count(phase) for phase in ("Starting", "Running", "Degraded", "Failed")) == 0
    assert site.reconcile() == Look()


def test_a_service_made_anew_under_its_name_waits_for_the_old_children_and_then_goes_on() -> None:
    site = settled()
    site.end()
    site.put(helmet(uid="two"))
    look = site.reconcile()
    assert isinstance(look.failure, NameTaken)
    assert not [call for call in site.writes() if call.startswith(("apply", "delete"))]
    assert "earlier service" in site.condition("EdgeReady")[2]
    for key in (CLOUD, FRONT, PODS, EDGE):  # the garbage collector comes
        site.cluster.remove("shop", key)
    site.enqueued.clear()
    site.cluster.deliver(site.intake)
    assert set(site.enqueued) == {HELMET}
    assert site.reconcile().failure is None
    assert [call for call in site.writes() if call.startswith("apply")] == APPLIES
    assert site.reconcile().failure is None
    assert not [call for call in site.writes() if call.startswith("apply")]


def test_a_new_process_finds_everything_as_it_should_be_and_says_nothing() -> None:
    site = settled(helmet(changes=HPA))
    site.restart()
    assert site.reconcile().failure is None
    writes = site.writes()
    assert {call.split()[0] for call in writes} == {"apply"}
    assert site.cluster.told == []
    assert site.told() == []


def test_a_contested_child_is_looked_at_again_without_an_event() -> None:
    site = settled()
    for _ in range(MOST_REPAIRS):
        site.cluster.edit("shop", EDGE, "spec.template.spec", {"containers": []})
        site.cluster.deliver(site.intake)
        site.reconcile()
    site.cluster.edit("shop", EDGE, "spec.template.spec", {"containers": []})
    site.cluster.deliver(site.intake)
    look = site.reconcile()
    assert look.after_s is not None
    assert 0 < look.after_s <= CONTESTED_PAUSE_S
    site.clock += CONTESTED_PAUSE_S
    site.reconcile()
    assert site.cluster.objects["shop", EDGE]["spec"]["template"]["spec"]["containers"] != []


@pytest.mark.parametrize("failure", [Refused("bad port"), Forbidden("quota"), Unavailable("busy")])
def test_a_child_that_fails_is_in_the_status_and_in_the_answer(failure: Any) -> None:
    site = Site()
    site.put(helmet())
    site.cluster.failures[APPLIES[3]] = [failure]
    assert site.reconcile().failure is failure
    assert str(failure) in site.condition("EdgeReady")[2]
    assert site.condition("CloudReady")[1] == "Starting"
    assert site.reconcile().failure is None
    assert str(failure) not in site.condition("EdgeReady")[2]


def test_a_status_that_cannot_be_written_is_tried_again_with_its_events() -> None:
    site = Site()
    site.put(helmet())
    site.cluster.failures["status helmet"] = [Unavailable("busy"), Conflict("at the same time")]
    for kind in (Unavailable, Conflict):
        with pytest.raises(kind):
            site.reconcile()
    assert site.told() == []
    site.reconcile()
    assert [text for text in site.told() if text.startswith("Created")] != []


def test_a_service_that_goes_while_it_is_worked_on_is_no_failure() -> None:
    site = Site()
    site.put(helmet())
    site.cluster.failures["status helmet"] = [NotFound("gone")]
    assert site.reconcile() == Look()
    assert site.told() == []


def test_a_secret_is_known_before_anything_is_made_with_it() -> None:
    site = Site()
    site.put_model(S3)
    site.put(helmet())
    site.cluster.secrets[CREDENTIALS] = {"s3-endpoint": "store:9000"}
    site.reconcile()
    calls = site.calls()
    assert calls[0] == "get Secret s"
    assert calls.count(APPLIES[3]) == 1
    assert site.condition("EdgeReady")[1] == "Starting"
    assert site.store.users("Secret", *CREDENTIALS) == {HELMET}


def test_a_missing_secret_stops_the_workers_and_is_named() -> None:
    site = Site()
    site.put_model(S3)
    site.put(helmet())
    assert site.reconcile().failure is None
    assert site.condition("EdgeReady")[1] == "SecretMissing"
    assert [call for call in site.writes() if call.startswith("apply")] == APPLIES[1:3]


def test_a_secret_that_may_not_be_read_is_named_and_tried_again() -> None:
    site = Site()
    site.put_model(S3)
    site.put(helmet())
    failure = Forbidden('secrets "s" is forbidden')
    site.cluster.failures["get Secret s"] = [failure]
    assert site.reconcile().failure is failure
    message = site.condition("EdgeReady")[2]
    assert "its Secret s cannot be read" in message
    assert "is forbidden" in message
    site.cluster.secrets[CREDENTIALS] = {"s3-endpoint": "store:9000"}
    assert site.reconcile().failure is None
    assert site.condition("EdgeReady")[1] == "Starting"


def test_a_server_that_is_away_when_a_secret_is_read_is_worth_an_early_retry() -> None:
    site = Site()
    site.put_model(S3)
    site.put(helmet())
    site.cluster.failures["get Secret s"] = [Unavailable("away")]
    with pytest.raises(Unavailable):
        site.reconcile()
    assert not [call for call in site.writes() if call.startswith("apply")]


def test_what_a_service_depends_on_is_known_to_the_store() -> None:
    site = Site()
    site.put(
        helmet(changes={"spec.edgeWorker.template.spec.nodeName": "edge-1", "spec.edgeWorker.model.name": "little"})
    )
    site.put_pod("p1")
    site.reconcile()
    users = [("Model", "shop", "m"), ("Model", "shop", "little"), ("Node", "", "edge-1"), ("Node", "", "n")]
    assert all(site.store.users(*thing) == {HELMET} for thing in users)
    site.end()
    assert not any(site.store.users(*thing) for thing in users)


def test_only_what_belongs_to_the_service_is_taken_away_with_an_autoscaler() -> None:
    site = settled(helmet(changes={"spec.edgeWorker.hpa": {"maxReplicas": 1}}))  # more would share their sources
    site.put(helmet(generation=2))
    site.reconcile()
    assert [call for call in site.writes() if call.startswith(("apply", "delete"))] == [f"delete {EDGE_HPA}"]
    assert site.told()[0] == f"Deleted deleted {EDGE_HPA}"
    assert ("shop", ChildKey(ChildKind.HPA, EDGE_HPA.name)) not in site.cluster.objects


EXPOSE = "spec.cloudWorker.expose"
EDGE_ENV = ("spec", "template", "spec", "containers", 0, "env")


def cloud_of(site: Site) -> str:
    """Return host:port of the cloud worker as the edge's Deployment has it."""
    found: Any = site.cluster.objects["shop", EDGE]
    for part in EDGE_ENV:
        found = found[part]
    values = {variable["name"]: variable.get("value") for variable in found}
    return f"{values['BIG_MODEL_IP']}:{values['BIG_MODEL_PORT']}"


def put_node(site: Site, name: str, address: str, ready: str = "True") -> None:
    about = {"name": name, "uid": f"uid of {name}", "resourceVersion": site.cluster.version()}
    conditions = [{"type": "Ready", "status": ready}]
    addresses = [{"type": "InternalIP", "address": address}]
    site.intake.node("MODIFIED", {"metadata": about, "status": {"conditions": conditions, "addresses": addresses}})


def allocate(site: Site, port: int) -> None:
    """Give the Service a node port, as the API server does."""
    live = site.cluster.objects["shop", FRONT]
    live["spec"]["ports"][0]["nodePort"] = port


def test_an_edge_waits_for_the_address_of_a_load_balancer_and_what_runs_stays() -> None:
    site = settled()
    site.put(helmet(generation=2, changes={EXPOSE: {"type": "LoadBalancer"}}))
    assert site.reconcile().blocked
    status, reason, message = site.condition("EdgeReady")
    assert (status, reason) == ("False", "CloudAddressPending")
    assert "no load balancer has given Service helmet-cloud an address yet" in message
    assert site.cluster.services[HELMET]["status"]["phase"] == "Starting"
    assert cloud_of(site) == "helmet-cloud.shop:5000"
    assert ("shop", PODS) in site.cluster.objects, "the edge that runs may ask for it"
    site.enqueued.clear()
    site.cluster.touch("shop", FRONT, {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}})
    site.cluster.deliver(site.intake)
    assert set(site.enqueued) == {HELMET}
    assert not site.reconcile().blocked
    assert cloud_of(site) == "192.0.2.9:5000"
    assert ("shop", PODS) not in site.cluster.objects


def test_a_node_port_that_the_answer_brings_is_used_in_the_same_pass() -> None:
    site = Site()
    put_node(site, "cloud-1", "192.0.2.1")
    site.put(helmet(changes={EXPOSE: {"type": "NodePort"}}))
    site.cluster.before_answer[f"apply {FRONT}"] = lambda: allocate(site, 30123)
    assert not site.reconcile().blocked
    assert cloud_of(site) == "192.0.2.1:30123"
    assert site.condition("EdgeReady")[1] == "Starting"
    told = site.told()
    assert not [line for line in told if "CloudAddressPending" in line]
    assert "Deployment helmet-deployment-cloud, Service helmet-cloud, Deployment helmet-deployment-edge" in told[0]


def test_a_node_that_comes_and_one_that_goes_reach_the_services_that_have_to_choose_one() -> None:
    site = Site()
    site.put(helmet(changes={EXPOSE: {"type": "NodePort"}}))
    site.cluster.before_answer[f"apply {FRONT}"] = lambda: allocate(site, 30123)
    assert site.reconcile().blocked
    site.enqueued.clear()
    put_node(site, "cloud-2", "192.0.2.2")
    assert site.enqueued == [HELMET]
    site.reconcile()
    assert cloud_of(site) == "192.0.2.2:30123"
    put_node(site, "cloud-1", "192.0.2.1")
    put_node(site, "cloud-2", "192.0.2.2", ready="False")
    site.reconcile()
    assert cloud_of(site) == "192.0.2.2:30123", "a choice that nothing forces to change stays"
    site.restart()
    put_node(site, "cloud-1", "192.0.2.1")
    site.reconcile()
    assert cloud_of(site) == "192.0.2.1:30123", "the node is gone"


def test_a_controller_that_may_not_read_nodes_asks_for_an_address() -> None:
    site = Site(WATCH_NAMESPACES="shop")
    site.put(helmet(changes={EXPOSE: {"type": "NodePort"}}))
    site.reconcile()
    assert "may not read nodes" in site.condition("EdgeReady")[2]
    assert site.cluster.services[HELMET]["status"]["phase"] == "Failed"
