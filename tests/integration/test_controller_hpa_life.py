"""An autoscaler lives with its block of the service: made, changed in every field, removed, put back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from controller.children import ChildKind
from sedna_py.api.child_names import Role
from tests.cluster.control_plane import ControlPlane
from tests.integration.normalise import normalise
from tests.integration.replica import seconds_until
from tests.integration.service_on_cluster import JSON_PATCH
from tests.integration.services import SERVICES, SOON_S, Service, Site, difference, eventually, serving, site_of

Object = dict[str, Any]
DEPLOYMENT, HPA = ChildKind.DEPLOYMENT, ChildKind.HPA
SIDES = {Role.CLOUD: "cloudWorker", Role.EDGE: "edgeWorker"}

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
METRICS: dict[str, Object] = {
    "Resource, share": CPU,
    "Resource, amount": {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1.5Gi"}},
    },
    "ContainerResource": {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "big-model",
            "target": {"type": "Utilization", "averageUtilization": 70},
        },
    },
    "Pods": {
        "type": "Pods",
        "pods": {
            "metric": {"name": "sedna_requests", "selector": {"matchLabels": {"path": "hard"}}},
            "target": {"type": "AverageValue", "averageValue": "500m"},
        },
    },
    "Object": {
        "type": "Object",
        "object": {
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "queue"},
            "metric": {"name": "length"},
            "target": {"type": "Value", "value": "10"},
        },
    },
    "External": {
        "type": "External",
        "external": {
            "metric": {
                "name": "depth",
                "selector": {"matchExpressions": [{"key": "queue", "operator": "In", "values": ["b", "a"]}]},
            },
            "target": {"type": "AverageValue", "averageValue": "30"},
        },
    },
}
BEHAVIOR: Object = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 120,
        "selectPolicy": "Disabled",
        "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
    },
}
# Each follows the one before it on the same service, so that fields come, change and go.
BLOCKS: dict[str, Object] = {
    "only the most": {"maxReplicas": 3},
    "least and most": {"minReplicas": 2, "maxReplicas": 6},
    **{name: {"minReplicas": 1, "maxReplicas": 6, "metrics": [metric]} for name, metric in METRICS.items()},
    "all metrics": {"maxReplicas": 6, "metrics": list(METRICS.values())},
    "all metrics the other way round": {"maxReplicas": 6, "metrics": list(reversed(METRICS.values()))},
    "behavior": {"maxReplicas": 6, "metrics": [CPU], "behavior": BEHAVIOR},
    "one side of the behavior": {"maxReplicas": 6, "metrics": [CPU], "behavior": {"scaleUp": BEHAVIOR["scaleUp"]}},
    "only a window": {"maxReplicas": 6, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}},
    "nothing but the most again": {"maxReplicas": 7},
}


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    namespace = control_plane.create_namespace()
    folder = tmp_path_factory.mktemp("hpa_life")
    with site_of(control_plane, namespace) as made, serving(control_plane, folder, namespace):
        yield made
    control_plane.delete_namespace(namespace)


_numbers = itertools.count()


@pytest.fixture
def service(site: Site) -> Service:
    return site.settled_service(f"s{next(_numbers)}")


def as_posted(service: Service, role: Role, block: Object) -> Object:
    """Return the spec that the server makes of an autoscaler with this block when somebody posts it."""
    name = service.key(DEPLOYMENT, role).name
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"{name}-posted"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, **block},
    }
    posted = service.site.cluster.post(f"{service.site.path(HPA.plural)}?dryRun=All", body)
    spec: Object = posted["spec"]
    return spec


def write_block(service: Service, role: Role, block: Object | None) -> None:
    """Put the whole block in place of what is there; None takes it out."""
    path = f"/spec/{SIDES[role]}/hpa"
    operation = {"op": "remove", "path": path} if block is None else {"op": "add", "path": path, "value": block}
    assert service.site.patch(SERVICES, service.name, [operation], JSON_PATCH)


def wait_for(service: Service, role: Role, block: Object) -> None:
    key, wanted = service.key(HPA, role), as_posted(service, role, block)
    eventually(lambda: difference(wanted, (service.child(key) or {"spec": {}})["spec"]), f"{key} as written")


@pytest.mark.parametrize("role", Role)
def test_every_field_follows_the_service_and_the_deployment_does_not_notice(service: Service, role: Role) -> None:
    key = service.key(HPA, role)
    uid = service.live(key)["metadata"]["uid"]
    deployments = {k: live for k, live in service.children().items() if k.kind is DEPLOYMENT}
    for block in BLOCKS.values():
        write_block(service, role, block)
        wait_for(service, role, block)
    assert service.live(key)["metadata"]["uid"] == uid
    for deployment, before in deployments.items():
        spec = normalise(service.live(deployment))["spec"]
        spec["replicas"] = before["spec"]["replicas"]  # those are the autoscaler's
        assert spec == normalise(before)["spec"]


def test_an_edit_of_the_block_alone_leaves_the_generation_of_the_deployment(service: Service) -> None:
    key = service.key(DEPLOYMENT)
    generation = service.live(key)["metadata"]["generation"]
    for most in (6, 7, 8):
        write_block(service, Role.CLOUD, {"maxReplicas": most})
        wait_for(service, Role.CLOUD, {"maxReplicas": most})
    service.settle()
    assert service.live(key)["metadata"]["generation"] == generation


def test_it_goes_with_its_block_and_comes_with_it(service: Service) -> None:
    deployment, key, other = service.key(DEPLOYMENT), service.key(HPA), service.key(HPA, Role.EDGE)
    untouched = {k: service.live(k)["metadata"]["uid"] for k in (deployment, other)}
    service.site.kubectl("scale", f"deployment/{deployment.name}", "--replicas=3")

    write_block(service, Role.CLOUD, None)
    eventually(lambda: "it is there" if service.child(key) else "", f"no {key}")
    service.settle()
    assert service.condition("CloudScaling") == {}
    assert service.live(deployment)["spec"]["replicas"] == 3  # a worker that served three streams goes on with them

    write_block(service, Role.CLOUD, {"minReplicas": 1, "maxReplicas": 4})
    wait_for(service, Role.CLOUD, {"minReplicas": 1, "maxReplicas": 4})
    service.site.delete(HPA.plural, key.name)
    wait_for(service, Role.CLOUD, {"minReplicas": 1, "maxReplicas": 4})
    assert {k: service.live(k)["metadata"]["uid"] for k in untouched} == untouched
    assert service.live(deployment)["spec"]["replicas"] == 3


@pytest.mark.parametrize("who", ["external", "none"])
@pytest.mark.parametrize("role", Role)
def test_somebody_else_scales_from_where_the_autoscaler_was_and_back(service: Service, role: Role, who: str) -> None:
    deployment, key = service.key(DEPLOYMENT, role), service.key(HPA, role)
    block = {"minReplicas": 1, "maxReplicas": 4}
    write_block(service, role, block)
    wait_for(service, role, block)
    generation = service.live(deployment)["metadata"]["generation"]
    service.site.kubectl("scale", f"deployment/{deployment.name}", "--replicas=3")

    write_block(service, role, {**block, "class": who})
    eventually(lambda: "it is there" if service.child(key) else "", f"no {key}")
    eventually(
        lambda: (
            ""
            if service.status()["observedGeneration"] == service.document()["metadata"]["generation"]
            else "an old status"
        ),
        "the status",
    )
    assert service.condition(f"{role.title()}Scaling") == {}
    assert service.status()[str(role)]["scale"] == who
    assert service.live(deployment)["spec"]["replicas"] == 3

    write_block(service, role, {**block, "class": "hpa"})
    wait_for(service, role, block)
    assert service.live(deployment)["spec"]["replicas"] == 3
    assert service.live(deployment)["metadata"]["generation"] == generation + 1  # the scale by hand, nothing else


def test_short_forms_come_change_and_go(service: Service) -> None:
    for short, metric in (
        ({"scaleMetric": "concurrency", "scaleTarget": 1}, pods_metric("sedna_concurrency", "1")),
        ({"scaleMetric": "concurrency", "scaleTarget": 2.5}, pods_metric("sedna_concurrency", "2500m")),
        ({"scaleMetric": "latency", "scaleTarget": 250}, pods_metric("sedna_latency_p95_seconds", "250m")),
    ):
        write_block(service, Role.CLOUD, {"maxReplicas": 6, **short})
        calm = {"scaleDown": {"stabilizationWindowSeconds": 60}}
        wait_for(service, Role.CLOUD, {"maxReplicas": 6, "metrics": [metric], "behavior": calm})
    write_block(service, Role.CLOUD, {"maxReplicas": 6, "metrics": [CPU]})
    wait_for(service, Role.CLOUD, {"maxReplicas": 6, "metrics": [CPU]})


def test_annotations_come_change_and_go_though_the_generation_stays(service: Service) -> None:
    write_block(service, Role.CLOUD, {"maxReplicas": 6})
    generation = service.document()["metadata"]["generation"]
    knative, calm = "autoscaling.knative.dev", {"scaleDown": {"stabilizationWindowSeconds": 90}}
    annotate(service, f"{knative}/metric=rps", f"{knative}/target=50", f"{knative}/window=90s")
    rps = pods_metric("sedna_requests_per_second", "50")
    wait_for(service, Role.CLOUD, {"maxReplicas": 6, "metrics": [rps], "behavior": calm})

    annotate(service, f"{knative}/target=lots", f"{knative}/window-")
    default, minute = pods_metric("sedna_requests_per_second", "140"), {"scaleDown": {"stabilizationWindowSeconds": 60}}
    wait_for(service, Role.CLOUD, {"maxReplicas": 6, "metrics": [default], "behavior": minute})
    said = (
        f'metadata.annotations["{knative}/target"]: is "lots", which is left out; write a number from 0.01 to 1000000'
    )

    def accepted() -> Object:
        return service.condition("SpecAccepted")

    eventually(lambda: "" if said in accepted().get("message", "") else f"{accepted()}", "the finding")
    assert (accepted()["status"], accepted()["reason"]) == ("True", "AcceptedWithWarnings")

    annotate(service, f"{knative}/metric-", f"{knative}/target-")
    wait_for(service, Role.CLOUD, {"maxReplicas": 6})
    eventually(lambda: accepted().get("message", ""), "no finding")
    assert service.document()["metadata"]["generation"] == generation


def annotate(service: Service, *changes: str) -> None:
    service.site.kubectl("annotate", "--overwrite", SERVICES, service.name, *changes)


def pods_metric(name: str, target: str) -> Object:
    return {
        "type": "Pods",
        "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": target}},
    }


def test_a_service_without_blocks_has_no_autoscaler_until_it_gets_one(site: Site) -> None:
    service = site.settled_service(f"s{next(_numbers)}", {side: {"hpa": None} for side in SIDES.values()})
    assert {key.kind for key in service.children()} == {DEPLOYMENT, ChildKind.SERVICE}
    for role in Role:
        write_block(service, role, {"maxReplicas": 2})
    for role in Role:
        wait_for(service, role, {"maxReplicas": 2})


def test_replicas_are_the_autoscalers(service: Service) -> None:
    """The autoscaler's own controller raises them to its minimum; an edit of the template and a repair leave that."""
    key = service.key(DEPLOYMENT)
    write_block(service, Role.CLOUD, {"minReplicas": 2, "maxReplicas": 4})
    # Its period is 5 s here.
    seconds_until(lambda: service.live(key)["spec"]["replicas"] == 2, "the autoscaler to scale to its minimum", 30)

    scale = f"{service.site.path(DEPLOYMENT.plural, key.name)}/scale"
    reply = service.site.cluster.patch(scale, "merge-patch+json", {"spec": {"replicas": 3}}, fieldManager="scaler")
    assert reply.is_success, reply.text
    service.edit({"cloudWorker": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}})
    seconds_until(
        lambda: service.live(key)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 7, "the edit", SOON_S
    )
    service.patch(key, {"spec": {"paused": True}})
    seconds_until(lambda: "paused" not in service.live(key)["spec"], "the repair", SOON_S)
    assert service.live(key)["spec"]["replicas"] == 3


@pytest.mark.parametrize("block", [{"maxReplicas": 3}, {"maxReplicas": 3, "metrics": [CPU]}], ids=["default", "cpu"])
def test_a_container_without_a_request_is_named_until_it_has_one(site: Site, block: Object) -> None:
    containers = [{"name": "big-model", "image": "i", "resources": {"requests": {"cpu": "1"}}}]
    bare = [*containers, {"name": "helper", "image": "i"}]
    service = site.service(
        f"s{next(_numbers)}", {"cloudWorker": {"hpa": None, "template": {"spec": {"containers": bare}}}}
    )
    write_block(service, Role.CLOUD, block)

    def is_named() -> bool:
        found = service.condition("CloudScaling")
        return (found.get("status"), found.get("reason")) == ("False", "NoResourceRequest")

    seconds_until(is_named, "the condition", SOON_S)
    message = service.condition("CloudScaling")["message"]
    assert "container helper has no cpu request" in message
    assert "resources.requests.cpu" in message
    assert "big-model" not in message
    wait_for(service, Role.CLOUD, block)  # it is made all the same: the request may come from a LimitRange

    service.edit({"cloudWorker": {"template": {"spec": {"containers": containers}}}})
    seconds_until(lambda: service.condition("CloudScaling")["reason"] != "NoResourceRequest", "an end of it", SOON_S)


def test_a_block_that_the_server_refuses_is_named_and_the_worker_goes_on(service: Service) -> None:
    """An Object metric that describes nothing passes the schema."""
    key, before = service.key(HPA), service.specs()
    wrong = {
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Pods",
                "pods": {"metric": {"name": "%%"}, "target": {"type": "AverageValue", "averageValue": "1"}},
            }
        ],
    }
    write_block(service, Role.CLOUD, wrong)
    seconds_until(lambda: service.condition("CloudScaling").get("reason") == "Refused", "the condition", SOON_S)
    assert str(key) in service.condition("CloudScaling")["message"]
    assert service.specs() == before
    write_block(service, Role.CLOUD, {"maxReplicas": 3})
    wait_for(service, Role.CLOUD, {"maxReplicas": 3})
    seconds_until(lambda: service.condition("CloudScaling").get("reason") != "Refused", "an end of it", SOON_S)
