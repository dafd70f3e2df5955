"""JointInferenceServices, Models and Secrets in any order: the end is always the same."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.children import ChildKind
from sedna_py.api.child_names import Role
from sedna_py.cli import NO_UID
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.integration.normalise import normalise
from tests.integration.replica import Replica, seconds_until
from tests.integration.service_on_cluster import ROOT
from tests.integration.services import (
    SERVICES,
    SOON_S,
    UPSTREAM,
    Service,
    Site,
    difference,
    eventually,
    example_documents,
    serving,
    site_of,
    start,
)

Object = dict[str, Any]
GOLDEN = ROOT / "tests" / "data" / "golden" / "defaulted"
EXAMPLES = sorted(path.stem for path in UPSTREAM.glob("*.yaml"))
DEPLOYMENT, HPA = ChildKind.DEPLOYMENT, ChildKind.HPA
CONVERGED_S = 20.0


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    made = control_plane.create_namespace()
    yield made
    control_plane.delete_namespace(made)


@pytest.fixture(scope="module")
def controller(
    control_plane: ControlPlane, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    """One for the namespace of these tests and for `default`, where upstream's files put their objects."""
    with serving(control_plane, tmp_path_factory.mktemp("order"), f"{namespace},default") as running:
        yield running


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, namespace: str, controller: Replica) -> Iterator[Site]:
    with site_of(control_plane, namespace) as made:
        yield made


@pytest.fixture
def default(control_plane: ControlPlane, controller: Replica) -> Iterator[Site]:
    """The namespace `default`, without objects of ours before and after a test."""
    with site_of(control_plane, "default") as made:
        yield made
        for plural in (SERVICES, "models"):
            for item in made.items(plural):
                made.delete(plural, item["metadata"]["name"])
        made.kubectl("delete", "secret", "mysecret", "--ignore-not-found")


_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"s{next(_numbers)}"


# Upstream's files, as they are.


def as_applied(name: str) -> str:
    """Return one of upstream's files as its README applies it: a shell fills in the nodes."""
    text = (UPSTREAM / f"{name}.yaml").read_text(encoding="utf-8")
    return text.replace("$EDGE_NODE", "edge-node").replace("$CLOUD_NODE", "cloud-node")


def split(text: str) -> tuple[str, dict[str, str]]:
    """Return the document of the service, and the others by kind."""
    others: dict[str, str] = {}
    service = ""
    for part in text.split("\n---\n"):
        kind = yaml.safe_load(part)["kind"]
        if kind == "JointInferenceService":
            service = part
        else:
            others[kind] = others.get(kind, "") + "---\n" + part + "\n"
    return service, others


def golden(name: str) -> list[Object]:
    return list(yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")))


def is_golden(site: Site, name: str) -> Callable[[], str]:
    """Return what tells in which fields the children differ from those of the golden file, with all defaults."""

    def lacks() -> str:
        said = []
        for wanted in golden(name):
            metadata = wanted["metadata"]
            kind = next(kind for kind in ChildKind if kind.kind == wanted["kind"])
            live = site.get(kind.plural, metadata["name"])
            if live is None:
                said.append(f"{kind.kind} {metadata['name']} is missing")
                continue
            # The uid is that of the service that there is, not of one before it.
            names = {site.get(SERVICES, service_name(name))["metadata"]["uid"]: NO_UID}  # type: ignore[index]
            said.append(difference(wanted, normalise(live, names)))
        return "; ".join(part for part in said if part)

    return lacks


def service_name(example: str) -> str:
    return str(list(yaml.safe_load_all((UPSTREAM / f"{example}.yaml").read_text()))[-1]["metadata"]["name"])


def clear(site: Site, name: str) -> None:
    """Delete the service and wait until nothing is left, so that the next may have its name."""
    service = Service(site, service_name(name))
    service.delete()
    # The garbage collector looks for new kinds twice a minute only, and the CRDs may be that young.
    eventually(lambda: ", ".join(key.name for key in service.child_keys() if service.child(key)), "nothing left", 75)


ORDERS = {
    "all at once": (),
    "Models last": ("Model",),
    "Secret last": ("Model", "Secret"),
    "Secret between": ("Secret", "Model"),
}


@pytest.mark.parametrize(
    ("name", "order"),
    [
        pytest.param(name, order, id=f"{name}, {said}")
        for name in EXAMPLES
        for said, order in ORDERS.items()
        if "Secret" not in said or name == "s3"
    ],
)
def test_upstreams_file_becomes_the_golden_objects(default: Site, name: str, order: tuple[str, ...]) -> None:
    text = as_applied(name)
    service = Service(default, service_name(name))
    if not order:
        default.kubectl("apply", "-f", "-", stdin=text)
    else:
        document, others = split(text)
        default.kubectl("apply", "-f", "-", stdin=document)
        for kind in order:
            if kind in others:
                wait_for_reasons(
                    service, "SecretMissing" if kind == "Secret" and order[0] == "Model" else "ModelMissing"
                )
                default.kubectl("apply", "-f", "-", stdin=others.pop(kind))
        for rest in others.values():
            default.kubectl("apply", "-f", "-", stdin=rest)
    print(f"{eventually(is_golden(default, name), name, CONVERGED_S):.3f} s")
    wait_for_no_reason(service, {"ModelMissing", "SecretMissing"})
    assert len(service.children()) == len(golden(name))
    clear(default, name)


def reasons(service: Service) -> dict[str, str]:
    return {
        found["type"]: found.get("reason", "")
        for found in service.status().get("conditions", ())
        if found["type"].endswith("Ready")
    }


def wait_for_reasons(service: Service, reason: str) -> None:
    """Wait until both workers are not ready for this reason."""
    seconds_until(lambda: reasons(service) == {"CloudReady": reason, "EdgeReady": reason}, reason, SOON_S)


def wait_for_no_reason(service: Service, unwanted: set[str]) -> None:
    seconds_until(lambda: reasons(service) and not unwanted & {*reasons(service).values()}, f"no {unwanted}", SOON_S)


def test_a_file_that_no_shell_has_filled_in_is_told_what_is_wrong(default: Site) -> None:
    """`kubectl apply -f` of the file itself: no API server takes $EDGE_NODE for the name of a node."""
    path = UPSTREAM / "helmet_detection_hpa.yaml"
    service = Service(default, service_name(path.stem))
    try:
        default.kubectl("apply", "-f", str(path))
    except KubectlError as refused:
        assert "nodeName" in refused.stderr  # noqa: PT017 - either answer is a good one
    else:
        wait_for_reasons(service, "Refused")
        assert "spec.template.spec.nodeName" in service.condition("EdgeReady")["message"]
        assert "$EDGE_NODE" in service.condition("EdgeReady")["message"]
    default.kubectl("apply", "-f", "-", stdin=as_applied(path.stem))
    eventually(is_golden(default, path.stem), path.stem, CONVERGED_S)
    clear(default, path.stem)


def test_the_sample_of_the_crds_is_taken_from_its_file(default: Site) -> None:
    default.kubectl("apply", "-f", str(UPSTREAM / "crd_sample.yaml"))
    eventually(is_golden(default, "crd_sample"), "crd_sample", CONVERGED_S)
    clear(default, "crd_sample")


# Changes of what a service refers to.


def model_url(service: Service, role: Role) -> str:
    [container] = service.live(service.key(DEPLOYMENT, role))["spec"]["template"]["spec"]["containers"]
    return next(str(variable["value"]) for variable in container["env"] if variable["name"] == "MODEL_URL")


def test_a_new_url_of_a_model_rolls_the_worker_that_uses_it(site: Site, name: str) -> None:
    service = site.settled_service(name)
    cloud, edge = service.key(DEPLOYMENT), service.key(DEPLOYMENT, Role.EDGE)
    before = service.children()

    assert site.patch("models", f"{name}-big-model", {"spec": {"url": "/elsewhere/new.pb"}})

    seconds_until(lambda: model_url(service, Role.CLOUD) == "/home/data/elsewhere/new.pb", "the new url", SOON_S)
    after = service.children()
    assert after[cloud]["metadata"]["generation"] == before[cloud]["metadata"]["generation"] + 1
    assert after[cloud]["metadata"]["uid"] == before[cloud]["metadata"]["uid"]
    volumes = after[cloud]["spec"]["template"]["spec"]["volumes"]
    assert [volume["hostPath"]["path"] for volume in volumes] == ["/elsewhere/"]
    assert after[edge]["metadata"]["generation"] == before[edge]["metadata"]["generation"]

    assert site.patch("models", f"{name}-big-model", {"spec": {"url": "https://host/k/model.xml"}})
    seconds_until(lambda: model_url(service, Role.CLOUD) == "/downloads/host/k/model.xml", "a download", SOON_S)
    pod = service.live(cloud)["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["initContainers"]] == ["storage-initializer"]
    assert ["hostPath" in volume for volume in pod["volumes"]] == [False]

    # What the workers do not read changes nothing.
    version = service.live(cloud)["metadata"]["generation"]
    assert site.patch("models", f"{name}-big-model", {"spec": {"format": "onnx"}})
    assert site.patch("models", f"{name}-big-model", {"metadata": {"labels": {"a": "b"}}})
    site.settled_service(f"{name}-after")
    assert service.live(cloud)["metadata"]["generation"] == version


def test_a_model_that_goes_while_the_service_runs_takes_no_worker_with_it(site: Site, name: str) -> None:
    service = site.settled_service(name)
    before = service.specs()
    site.delete("models", f"{name}-big-model")
    seconds_until(lambda: reasons(service)["CloudReady"] == "ModelMissing", "the condition", SOON_S)
    assert f"Model {site.namespace}/{name}-big-model does not exist" in service.condition("CloudReady")["message"]
    assert reasons(service)["EdgeReady"] != "ModelMissing"
    assert service.specs() == before

    # The worker that has its Model still follows the service.
    service.edit({"edgeWorker": {"hpa": {"maxReplicas": 7}}})
    hpa = service.key(HPA, Role.EDGE)
    seconds_until(lambda: service.live(hpa)["spec"]["maxReplicas"] == 7, "the edit of the other worker", SOON_S)

    [model] = [
        d for d in example_documents("helmet_detection_hpa", name) if d["metadata"]["name"].endswith("-big-model")
    ]
    site.create("models", model)
    wait_for_no_reason(service, {"ModelMissing"})
    assert service.specs() == {**before, hpa: service.specs()[hpa]}


def test_a_model_that_is_refused_and_put_right_starts_the_workers(site: Site, name: str) -> None:
    service = site.service(name, models=False)
    wait_for_reasons(service, "ModelMissing")
    models = example_documents("helmet_detection_hpa", name)[:-1]
    for model in models:
        bad = {**model, "spec": {**model["spec"], "url": "relative/model.pb"}}
        with pytest.raises(KubectlError, match="absolute"):
            site.kubectl("apply", "-f", "-", stdin=json.dumps(bad))
        site.kubectl("apply", "-f", "-", stdin=json.dumps(model))
    service.settle()


def test_a_secret_that_says_nothing_usable_and_is_put_right(site: Site, name: str) -> None:
    service = site.service(name, models=False)
    for model in example_documents("helmet_detection_hpa", name)[:-1]:
        model["spec"] |= {"url": "s3://bucket/model.pb", "credentialName": f"{name}-store"}
        site.create("models", model)
    wait_for_reasons(service, "SecretMissing")
    site.kubectl("create", "secret", "generic", f"{name}-store", "--from-literal=ACCESS_KEY_ID=hidden-key")
    wait_for_reasons(service, "SecretInvalid")
    assert "s3-endpoint" in service.condition("CloudReady")["message"]
    site.kubectl("annotate", "secret", f"{name}-store", "s3-endpoint=store:9000", "s3-usehttps=0")
    service.settle()

    def endpoints() -> set[str]:
        deployments = [live for key, live in service.children().items() if key.kind is DEPLOYMENT]
        containers = [deployment["spec"]["template"]["spec"]["initContainers"][0] for deployment in deployments]
        return {v["value"] for container in containers for v in container["env"] if v["name"] == "S3_ENDPOINT_URL"}

    assert endpoints() == {"http://store:9000"}
    site.kubectl("annotate", "secret", f"{name}-store", "s3-endpoint=other:9000", "--overwrite")
    seconds_until(lambda: endpoints() == {"http://other:9000"}, "the new address", SOON_S)
    site.kubectl("delete", "secret", f"{name}-store")
    wait_for_reasons(service, "SecretMissing")
    assert endpoints() == {"http://other:9000"}  # a worker that runs goes on
    assert "hidden-key" not in json.dumps([*service.children().values(), service.document()])


def test_services_that_share_their_models_all_follow_them(site: Site, name: str) -> None:
    count = 5
    *models, document = example_documents("helmet_detection_hpa", name)
    services = [Service(site, f"{name}-{number}") for number in range(count)]
    for service in services:
        assert site.create(SERVICES, {**document, "metadata": {"name": service.name}})
    for service in services:
        wait_for_reasons(service, "ModelMissing")
    for model in models:
        site.create("models", model)
    for service in services:
        service.settle()
    assert site.patch("models", f"{name}-little-model", {"spec": {"url": "/shared/new.pb"}})
    for service in services:
        seconds_until(lambda s=service: model_url(s, Role.EDGE) == "/home/data/shared/new.pb", "the new url", SOON_S)


def test_what_happens_while_the_controller_is_away_is_made_up_for(
    control_plane: ControlPlane, name: str, tmp_path: Path
) -> None:
    """A restart between any two steps; a namespace of its own, for the others' controller goes on."""
    namespace = control_plane.create_namespace()
    with site_of(control_plane, namespace) as site, serving(control_plane, tmp_path, namespace) as controller:
        waiting = site.service(f"{name}-waiting", models=False)
        running = site.settled_service(f"{name}-running")
        damaged = site.settled_service(f"{name}-damaged")
        wanted = damaged.specs()
        wait_for_reasons(waiting, "ModelMissing")
        controller.stop()

        for model in example_documents("helmet_detection_hpa", waiting.name)[:-1]:
            site.create("models", model)
        site.patch("models", f"{running.name}-big-model", {"spec": {"url": "/other/model.pb"}})
        running.edit({"edgeWorker": {"hpa": None}})
        key = damaged.key(DEPLOYMENT)
        damaged.json_patch(key, {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil"})
        site.delete(HPA.plural, damaged.key(HPA).name)
        late = site.service(f"{name}-late")

        start(controller)
        waiting.settle()
        late.settle()
        seconds_until(lambda: model_url(running, Role.CLOUD) == "/home/data/other/model.pb", "the new url", SOON_S)
        eventually(lambda: "it is there" if running.child(running.key(HPA, Role.EDGE)) else "", "no autoscaler")
        eventually(lambda: difference(wanted, damaged.specs()), "the damaged one")
    control_plane.delete_namespace(namespace)
