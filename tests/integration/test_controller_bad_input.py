"""Services that slipped past admission, and templates that only the API server refuses: a sentence, and no loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.integration.controller_process import running_controller, serves_our_kinds, wait_until
from tests.integration.played_kubelet import PlayedKubelet
from tests.integration.played_metrics import install_metrics_api, write_cpu
from tests.integration.pod_pictures import crash_loop, creating, ready
from tests.integration.service_on_cluster import MERGE, ROOT, Cluster, Object
from tests.integration.watched_service import (
    CLOUD_NODE,
    EDGE_NODE,
    PlayedSite,
    WatchedService,
    condition_of,
    model,
    service,
)
from tests.refused_documents import REFUSALS

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
QUIET_S = 5


def install_crds_without_rules(control_plane: ControlPlane) -> None:
    """Install CRDs of the same names that let everything through, as an older one may have."""
    documents = []
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] == "CustomResourceDefinition":
                document["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": ANYTHING}
                documents.append(document)
    assert len(documents) == 2
    control_plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
    wait_until(lambda: serves_our_kinds(control_plane), "the CRDs to be served")


@pytest.fixture(scope="module")
def lax(kubernetes_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedSite]:
    """A control plane whose CRDs have no rules at all; the controller must not say a traceback until its end."""
    folder = tmp_path_factory.mktemp("lax")
    with ControlPlane(kubernetes_binaries, folder / "plane") as plane:
        install_crds_without_rules(plane)
        cluster = Cluster.of(plane)
        install_metrics_api(plane, cluster)
        with (
            PlayedKubelet(plane) as kubelet,
            running_controller(folder, plane.kubeconfig, {"LEADER_ELECTION": "false"}) as controller,
        ):
            kubelet.register(EDGE_NODE, CLOUD_NODE)
            yield PlayedSite(plane, cluster, kubelet, controller)
            assert "Traceback" not in controller.log()
            assert "unexpected error" not in controller.log()
        cluster.http.close()


def with_spec(name: str, **changes: Any) -> Object:
    """Return a service whose spec has these fields, in the place that the keys name (a__b is spec.a.b)."""
    document = service(name)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document["spec"]
        for part in parents:
            place = place[part]
        place[last] = value
    return document


SERVICES = [refusal for refusal in REFUSALS if refusal.document["kind"] == "JointInferenceService"]
SLIPPED = {f"{number} {refusal.place} {refusal.message}": refusal for number, refusal in enumerate(SERVICES)}
ODD: dict[str, tuple[Object, str]] = {
    "no spec": ({**service("x"), "spec": {}}, "spec.edgeWorker: is missing"),
    "spec is a text": ({**service("x"), "spec": "none"}, "spec"),
    "spec is a list": ({**service("x"), "spec": []}, "spec"),
    "no cloud": (with_spec("x", cloudWorker=None), "spec.cloudWorker"),
    "containers are a mapping": (
        with_spec("x", edgeWorker__template__spec__containers={"a": 1}),
        "spec.edgeWorker.template.spec.containers",
    ),
    "a container is a number": (
        with_spec("x", edgeWorker__template__spec__containers=[7]),
        "spec.edgeWorker.template.spec.containers[0]",
    ),
    "a template of nothing": (with_spec("x", edgeWorker__template=None), "spec.edgeWorker.template"),
    "an hpa that is a number": (with_spec("x", edgeWorker__hpa=3), "spec.edgeWorker.hpa"),
    "a model that is a text": (with_spec("x", edgeWorker__model="little"), "spec.edgeWorker.model"),
    "text of a megabyte": (
        with_spec("x", edgeWorker__model={"name": ["x" * 100_000] * 5}),
        "spec.edgeWorker.model.name",
    ),
}


@pytest.fixture(scope="module")
def created(lax: PlayedSite) -> dict[str, WatchedService]:
    """All bad services at once, in one namespace."""
    home = lax.service("home")
    documents = {title: refusal.document for title, refusal in SLIPPED.items()}
    documents |= {name: document for name, (document, _) in ODD.items()}
    found = {}
    for number, (name, document) in enumerate(documents.items()):
        own = document["metadata"]["name"] if " metadata.name " in name else f"bad-{number}"
        found[name] = lax.in_namespace(home.namespace, own)
        found[name].create({**document, "metadata": {"name": own}})
    return found


@pytest.mark.parametrize("title", SLIPPED)
def test_what_admission_would_have_refused_is_told_in_the_status(title, created):
    helmet, refusal = created[title], SLIPPED[title]
    helmet.wait(lambda status: bool(condition_of(status, "SpecAccepted")), "SpecAccepted")
    status = helmet.status()
    said = condition_of(status, "SpecAccepted")
    assert refusal.place.partition(".target")[0] in said["message"]
    if "has a value that" in refusal.message:  # upstream takes it; the worker says the rest
        assert (said["status"], said["reason"]) == ("True", "AcceptedWithWarnings")
        assert refusal.message.rpartition("; ")[2] in said["message"]
    else:
        assert_refused(helmet, status)


@pytest.mark.parametrize("title", ODD)
def test_whatever_the_spec_is_there_is_a_sentence_about_it(title, created):
    helmet = created[title]
    helmet.wait_for("SpecAccepted", "InvalidSpec", ODD[title][1])
    assert_refused(helmet, helmet.status())


def assert_refused(helmet: WatchedService, status: Object) -> None:
    """A service that cannot be read fails as a whole, and nothing is made of it."""
    said = condition_of(status, "SpecAccepted")
    assert (said["status"], said["reason"], said["observedGeneration"]) == ("False", "InvalidSpec", 1)
    assert (status["phase"], status["conditions"][-1]["type"], status["failed"]) == ("Failed", "Failed", 2)
    assert condition_of(status, "EdgeReady")["reason"] == "InvalidSpec"
    assert "see SpecAccepted" in status["conditions"][-1]["message"]
    assert helmet.children() == []
    event = helmet.wait_for_event("InvalidSpec")
    assert (event["type"], event["message"]) == ("Warning", f"spec: {said['message']}")


def test_none_of_them_is_looked_at_again(lax, created):
    for helmet in created.values():
        helmet.wait(lambda status: "observedGeneration" in status, "a status")
    reconciles, requeues = lax.reconciles(), lax.requeues()
    time.sleep(QUIET_S)  # what must not happen cannot be waited for
    assert lax.requeues() == requeues == 0
    assert lax.reconciles() <= reconciles + len(created)  # a watch that begins anew shows everything once more


def test_a_good_service_that_is_edited_into_a_bad_one_goes_on_as_it_was(lax):
    helmet = lax.running(edge=SCALED)
    [pod] = helmet.kubelet.pods(helmet.edge)
    write_cpu(helmet.cluster, pod, "500m")  # an autoscaler that lacks its metric degrades the service, too
    children = helmet.children()
    assert len(children) == 5
    helmet.patch({"edgeWorker": {"hpa": {"maxReplicas": 0}}, "cloudWorker": {"template": {"spec": {"containers": []}}}})
    helmet.wait_for("SpecAccepted", "InvalidSpec", "spec.edgeWorker.hpa.maxReplicas: is 0; write maxReplicas >= 1")
    status = helmet.status()
    assert (
        "spec.cloudWorker.template.spec.containers: is an empty list" in condition_of(status, "SpecAccepted")["message"]
    )
    assert condition_of(status, "EdgeReady")["status"] == "True"
    assert (status["edge"]["ready"], status["phase"], status["conditions"][-1]["type"]) == (
        "1/1",
        "Degraded",
        "Running",
    )
    assert helmet.children() == children

    helmet.patch(service("helmet", edge=SCALED)["spec"])
    helmet.wait_for_phase("Running")
    helmet.wait_for_event("Accepted")
    assert helmet.reasons()[-2:] == ["InvalidSpec", "Accepted"]
    assert helmet.children() == children


SCALED = {"hpa": {"maxReplicas": 3}, "container_fields": {"resources": {"requests": {"cpu": "1"}}}}
TEMPLATES: dict[str, tuple[Object, str]] = {
    "a volume that is not there": (
        {"container_fields": {"volumeMounts": [{"name": "output", "mountPath": "/output"}]}},
        'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "output"',
    ),
    "a time that is none": ({"spec": {"terminationGracePeriodSeconds": "soon"}}, "terminationGracePeriodSeconds"),
    "a word that is none": ({"spec": {"dnsPolicy": "Cluster"}}, 'Unsupported value: "Cluster"'),
    "a name that is none": ({"container_fields": {"name": "Little Model"}}, "a lowercase RFC 1123 label"),
}


@pytest.mark.parametrize("title", TEMPLATES)
def test_a_template_that_only_the_api_server_refuses_stops_one_worker(lax, title):
    edge, words = TEMPLATES[title]
    helmet = lax.service()
    helmet.create(service("helmet", edge=edge))
    helmet.wait(lambda status: condition_of(status, "CloudReady").get("status") == "True", "the other worker")
    status = helmet.status()
    said = condition_of(status, "EdgeReady")
    assert (said["status"], said["reason"]) == ("False", "Refused")
    assert said["message"].startswith("Deployment helmet-deployment-edge: ")
    assert words in said["message"]
    assert (status["phase"], status["conditions"][-1]["type"], status["active"]) == ("Failed", "Failed", 1)
    assert helmet.wait_for_event("Refused")["type"] == "Warning"

    helmet.patch({"edgeWorker": None})
    helmet.patch({"edgeWorker": service("helmet")["spec"]["edgeWorker"]})
    helmet.wait_for_phase("Running", 10)
    assert helmet.reasons().count("Refused") == 1


def test_a_refused_template_is_tried_again_ever_more_rarely(lax):
    helmet = lax.service()
    helmet.create(service("helmet", edge=TEMPLATES["a volume that is not there"][0]))
    helmet.wait_for("EdgeReady", "Refused")
    # All that happens to the service's children is another pass, in which the template is tried, too.
    helmet.wait_for("CloudReady", "Ready")
    wait_until(lambda: is_available(helmet), "the last news of the cloud worker")
    begun, before = time.monotonic(), lax.refusals()
    helmet.kubelet.play(helmet.cloud, ready)
    time.sleep(QUIET_S)
    assert lax.refusals() - before <= 3, time.monotonic() - begun
    helmet.kubectl("delete", "ji", "helmet")


def is_available(helmet: WatchedService) -> bool:
    """Return whether the cloud worker's Deployment says that its pod serves."""
    found = helmet.cluster.get(f"/apis/apps/v1/namespaces/{helmet.namespace}/deployments/helmet-deployment-cloud")
    said = found["status"]
    return (said.get("observedGeneration"), said.get("availableReplicas")) == (found["metadata"]["generation"], 1)


MODELS = {
    "an url that is none": ({"url": "/a%zz"}, "where %zz is not an escape; write %25 for a percent sign"),
    "no url": ({}, "spec.url"),
    "nothing at all": (None, "spec"),
    "a number": ({"url": 5}, "spec.url"),
}


@pytest.mark.parametrize("title", MODELS)
def test_a_model_that_cannot_be_used_stops_its_worker_only(lax, title):
    spec, words = MODELS[title]
    helmet = lax.in_namespace(lax.control_plane.create_namespace())
    helmet.add_models("big")
    document = {**model("little"), "spec": spec}
    helmet.cluster.post(f"/apis/sedna.io/v1alpha1/namespaces/{helmet.namespace}/models", document)
    helmet.create(service("helmet"))
    named = f"Model {helmet.namespace}/little cannot be used: "
    helmet.wait_for("EdgeReady", "ModelInvalid", named, words)
    helmet.wait_for("CloudReady", "Ready")
    helmet.patch_model("little", model("little")["spec"])
    helmet.wait_for_phase("Running")


GARBAGE: list[Any] = [
    {"edge": "lost", "cloud": ["lost"], "metrics": "lost", "workers": 5, "observedGeneration": "x"},
    {"conditions": "x", "phase": 7, "metrics": [None, {"key": "inferenceNumber", "value": "many"}], "workers": {}},
    {"conditions": [{"type": "EdgeReady"}, 5, {"type": "Failed", "status": "True"}], "startTime": "yesterday"},
]


@pytest.mark.parametrize("status", GARBAGE)
def test_a_status_full_of_rubbish_is_written_anew(lax, status):
    helmet = lax.service()
    helmet.kubelet.play(helmet.edge, creating)  # else Running may be what was said before the rubbish
    helmet.create(service("helmet"))
    assert helmet.cluster.patch(f"{helmet.path}/status", MERGE, {"status": status}).is_success
    helmet.kubelet.play(helmet.edge, ready)
    helmet.wait_for_phase("Running")
    assert helmet.status()["conditions"][-1]["type"] == "Running"
    assert [item["type"] for item in helmet.status()["conditions"]].count("EdgeReady") == 1


def test_rules_that_come_later_do_not_keep_a_bad_service_from_having_a_status(lax, created):
    """A service that was stored before the CRD had its rules is refused at every change but that of its status."""
    helmet = lax.running()
    helmet.patch({"edgeWorker": {"hpa": {"maxReplicas": 0}}})
    helmet.wait_for("SpecAccepted", "InvalidSpec")
    lax.control_plane.kubectl("apply", "-f", str(ROOT / "crds"))
    wait_until(lambda: has_rules(helmet), "the rules to be in force")
    helmet.kubelet.play(helmet.edge, crash_loop(1))
    helmet.wait_for("EdgeReady", "InvalidSpec", "ended with exit code 1")
    helmet.patch({"edgeWorker": {"hpa": None}})
    helmet.wait_for("EdgeReady", "CrashLoop")


def has_rules(helmet: WatchedService) -> bool:
    reply = helmet.cluster.patch(
        helmet.path, MERGE, {"spec": {"cloudWorker": {"hpa": {"maxReplicas": 0}}}}, dryRun="All"
    )
    return reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY
