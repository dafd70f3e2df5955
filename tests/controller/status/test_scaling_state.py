"""What an autoscaler is, from what the HPA controller says and from what the pods lack."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.scaling_state import ScalingState, scaling_condition
from controller.status.worker_state import worker_condition
from sedna_py.api.child_names import Role
from tests.controller.status import objects
from tests.controller.status.objects import NOW, condition, deployment, going, hpa, observe, ready_pod, service

REQUESTS = {"resources": {"requests": {"cpu": "100m"}}}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}


def template(*containers: objects.Object, **spec: Any) -> objects.Object:
    return {"spec": {"containers": [{"image": "i", **item} for item in containers], **spec}}


def block(*metrics: objects.Object) -> objects.Object:
    return {"minReplicas": 1, "maxReplicas": 5, **({"metrics": list(metrics)} if metrics else {})}


def scaling(observed: Observed, edge: objects.Object, problem: Cause | None = None) -> ScalingState | None:
    state = worker_condition(Role.EDGE, observed, Clock(NOW))
    return scaling_condition(state, service(edge=edge), observed, Clock(NOW), problem)


GOOD_WORKER = {"hpa": block(), "template": template({"name": "little-model", **REQUESTS})}
GOOD_POD = ready_pod(spec={"containers": [{"name": "little-model", **REQUESTS}]})

ABLE = condition("AbleToScale", "True", reason="ReadyForNewScale")
ACTIVE = condition("ScalingActive", "True", reason="ValidMetricFound")


def inactive(reason: str, message: str, since: float = 60) -> objects.Object:
    return condition("ScalingActive", "False", since, reason=reason, message=message)


CASES = {
    "scales": (
        [ABLE, ACTIVE, condition("ScalingLimited", "False")],
        "True",
        Reason.SCALING,
        "scales between 1 and 5 pods",
    ),
    "idle": ([ABLE, ACTIVE, condition("ScalingLimited", "True", reason="TooFewReplicas")], "True", Reason.SCALING, ""),
    "at its limit": (
        [ABLE, ACTIVE, condition("ScalingLimited", "True", reason="TooManyReplicas")],
        "True",
        Reason.AT_LIMIT,
        "wants more than the 5 pods of maxReplicas",
    ),
    "no metrics server": (
        [
            ABLE,
            inactive(
                "FailedGetResourceMetric",
                "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch"
                " metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)",
            ),
        ],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "install metrics-server; `kubectl top pods` must answer",
    ),
    "no samples of an edge": (
        [
            ABLE,
            inactive(
                "FailedGetResourceMetric",
                "unable to get metrics for resource cpu: no metrics returned from resource metrics API",
            ),
        ],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "cloudStream and edgeStream",
    ),
    "no samples any more": (
        [ABLE, inactive("FailedGetResourceMetric", "no metrics returned from resource metrics API", since=2)],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "no metrics returned",
    ),
    "no pods found": (
        [ABLE, inactive("FailedGetResourceMetric", "No pods returned by selector", since=900)],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "kubectl top pods",
    ),
    "a pod that this one is to replace has no request": (
        [ABLE, inactive("FailedGetResourceMetric", "missing request for cpu in container a of Pod p")],
        "False",
        Reason.NO_RESOURCE_REQUEST,
        "container a of Pod p",
    ),
    "no custom metrics": (
        [
            ABLE,
            inactive(
                "FailedGetPodsMetric",
                "unable to get metric rps: unable to fetch metrics from custom metrics API: no custom metrics API"
                " (custom.metrics.k8s.io) registered",
            ),
        ],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "no server answers custom.metrics.k8s.io",
    ),
    "no external metrics": (
        [ABLE, inactive("FailedGetExternalMetric", "the server could not find the requested resource")],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "no server answers external.metrics.k8s.io",
    ),
    "cannot find its Deployment": (
        [condition("AbleToScale", "False", reason="FailedGetScale", message="deployments not found")],
        "False",
        Reason.METRIC_UNAVAILABLE,
        "FailedGetScale: deployments not found",
    ),
    "rests": (
        [ABLE, inactive("ScalingDisabled", "scaling is disabled since the replica count of the target is zero")],
        "False",
        Reason.SCALING_DISABLED,
        "zero",
    ),
    "is new": ([], "Unknown", Reason.STARTING, "has not reported yet"),
}


@pytest.mark.parametrize(("conditions", "status", "reason", "message"), CASES.values(), ids=CASES)
def test_what_the_autoscaler_says(conditions: list[objects.Object], status: str, reason: Reason, message: str) -> None:
    found = scaling(observe(GOOD_POD, hpas={Role.EDGE: hpa(*conditions)}), GOOD_WORKER)
    assert found is not None
    assert (found.status, found.reason) == (status, reason)
    assert message in found.message


def container_metric(container: str) -> objects.Object:
    target = {"type": "Utilization", "averageUtilization": 50}
    return {
        "type": "ContainerResource",
        "containerResource": {"name": "memory", "container": container, "target": target},
    }


SHORT = {"maxReplicas": 5, "scaleMetric": "concurrency", "scaleTarget": 1}
NO_API = "unable to get metric {0}: unable to fetch metrics from custom metrics API: {1}"
UNAVAILABLE = "the server is currently unable to handle the request (get pods.custom.metrics.k8s.io *)"
DEPLOY = "custom.metrics.k8s.io, where sedna-py's controller has sedna_concurrency; apply deploy/ of its version"
MISSING = {
    "our API is gone": (
        SHORT,
        "FailedGetPodsMetric",
        NO_API.format("sedna_concurrency", UNAVAILABLE),
        ["no value of sedna_concurrency since 2025-11-21T09:58:20Z; replicas hold at 3;", DEPLOY],
    ),
    "our API was never there": (
        SHORT,
        "FailedGetPodsMetric",
        NO_API.format("sedna_concurrency", "no custom metrics API (custom.metrics.k8s.io) registered"),
        [DEPLOY, "`kubectl get apiservice v1beta2.custom.metrics.k8s.io`"],
    ),
    "our API has no value": (
        SHORT,
        "FailedGetPodsMetric",
        NO_API.format("sedna_concurrency", "the server could not find the metric sedna_concurrency for pods"),
        ["no value of sedna_concurrency since", "an edge pod tells it by way of the cloud worker: see CloudReachable"],
    ),
    "the one of several that is named": (
        block(
            {
                "type": "Pods",
                "pods": {"metric": {"name": "mine"}, "target": {"type": "AverageValue", "averageValue": 1}},
            },
            {
                "type": "Pods",
                "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": 1}},
            },
        ),
        "FailedGetPodsMetric",
        "unable to get metric rps : the server could not find the metric rps for pods",
        ["no value of rps since 2025-11-21T09:58:20Z; replicas hold at 3"],
    ),
    "what kubernetes takes": (block(), "FailedGetResourceMetric", "it broke", ["no value of cpu since"]),
    "any of several": (
        block(CPU, container_metric("little-model")),
        "FailedGetResourceMetric",
        "it broke",
        ["no value of cpu since", "kubectl top pods"],
    ),
}


@pytest.mark.parametrize(("hpa_block", "reason", "said", "words"), MISSING.values(), ids=MISSING)
def test_a_metric_that_is_gone_is_named_with_since_when_and_what_holds(
    hpa_block: objects.Object, reason: str, said: str, words: list[str]
) -> None:
    limits = {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    live = ready_pod(spec={"containers": [{"name": "little-model", **limits}]})
    failing = hpa(ABLE, inactive(reason, said, since=100))
    observed = observe(live, of=deployment(replicas=3), hpas={Role.EDGE: failing})
    worker = {"hpa": hpa_block, "template": template({"name": "little-model", **limits})}
    state = worker_condition(Role.EDGE, observed, Clock(NOW))
    found = scaling_condition(state, service(edge=worker), observed, Clock(NOW))
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.METRIC_UNAVAILABLE)
    for part in words:
        assert part in found.message
    later = Clock(NOW + timedelta(hours=1))
    assert scaling_condition(state, service(edge=worker), observed, later) == found  # nothing to be written again
    assert later.next_turn_s is None


@pytest.mark.parametrize("who", ["none", "external"])
def test_who_is_scaled_by_somebody_else_has_no_condition(who: str) -> None:
    worker = {**GOOD_WORKER, "hpa": {**block(), "class": who}}
    assert scaling(observe(GOOD_POD, hpas={Role.EDGE: hpa(ABLE, ACTIVE)}), worker) is None


def test_samples_are_not_missed_before_a_pod_is_ready() -> None:
    waits = "did not receive metrics for targeted pods (pods might be unready)"
    failing = hpa(ABLE, inactive("FailedGetResourceMetric", waits))
    found = scaling(observe(hpas={Role.EDGE: failing}), GOOD_WORKER)
    assert found is not None
    assert (found.status, found.reason) == ("Unknown", Reason.STARTING)


def test_a_pod_that_is_ready_only_now_has_time_for_its_first_sample() -> None:
    failing = hpa(ABLE, inactive("FailedGetResourceMetric", "no metrics returned", since=900))
    for seconds, status in ((5, "Unknown"), (40, "False")):
        live = {**GOOD_POD, "status": {**GOOD_POD["status"], "conditions": [condition("Ready", "True", seconds)]}}
        found = scaling(observe(live, hpas={Role.EDGE: failing}), GOOD_WORKER)
        assert found is not None
        assert found.status == status


@pytest.mark.parametrize(("age", "status"), [(5, "Unknown"), (40, "False")])
def test_an_autoscaler_that_is_new_has_time_for_its_first_sample(age: float, status: str) -> None:
    failing = hpa(ABLE, inactive("FailedGetResourceMetric", "no metrics returned", since=1), age=age)
    found = scaling(observe(GOOD_POD, hpas={Role.EDGE: failing}), GOOD_WORKER)
    assert found is not None
    assert found.status == status


def test_a_live_pod_without_the_request_counts_over_its_template() -> None:
    found = scaling(observe(ready_pod(), hpas={Role.EDGE: hpa(ABLE, ACTIVE)}), GOOD_WORKER)
    assert found is not None
    assert found.reason is Reason.NO_RESOURCE_REQUEST


def test_no_block_no_condition() -> None:
    assert scaling(observe(GOOD_POD, hpas={Role.EDGE: hpa()}), {}) is None


def test_an_autoscaler_that_is_not_there_or_goes_is_starting() -> None:
    for live in (None, going(hpa(ABLE, ACTIVE))):
        found = scaling(observe(GOOD_POD, hpas={Role.EDGE: live}), GOOD_WORKER)
        assert found is not None
        assert (found.status, found.reason) == ("Unknown", Reason.STARTING)


def test_a_worker_of_no_pods_does_not_scale() -> None:
    found = scaling(observe(of=deployment(replicas=0), hpas={Role.EDGE: hpa(ABLE, ACTIVE)}), GOOD_WORKER)
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.SCALING_DISABLED)


def test_what_kept_the_autoscaler_from_being_applied_comes_first() -> None:
    problem = Cause(Reason.REFUSED, "spec.metrics[0]: invalid")
    found = scaling(observe(GOOD_POD, hpas={Role.EDGE: hpa(ABLE, ACTIVE)}), GOOD_WORKER, problem)
    assert found == ScalingState(Role.EDGE, "False", Reason.REFUSED, "spec.metrics[0]: invalid")


LACKING = {
    "default metric": (block(), template({"name": "a"}), "container a has no cpu request"),
    "sidecar": (block(CPU), template({"name": "a", **REQUESTS}, {"name": "b"}), "container b has no cpu request"),
    "init sidecar": (
        block(CPU),
        template({"name": "a", **REQUESTS}, initContainers=[{"name": "s", "restartPolicy": "Always"}]),
        "container s has no cpu request",
    ),
    "only that container": (
        block(container_metric("a")),
        template({"name": "a"}, {"name": "b"}),
        "container a has no memory request",
    ),
    "no such container": (
        block(container_metric("x")),
        template({"name": "a"}),
        "is of container x, which the pods do not have",
    ),
}


@pytest.mark.parametrize(("hpa_block", "pods", "message"), LACKING.values(), ids=LACKING)
def test_a_missing_request_is_told_from_the_template_at_once(
    hpa_block: objects.Object, pods: objects.Object, message: str
) -> None:
    found = scaling(Observed(), {"hpa": hpa_block, "template": pods})
    assert found is not None
    assert (found.status, found.reason) == ("False", Reason.NO_RESOURCE_REQUEST)
    assert message in found.message


@pytest.mark.parametrize(
    ("hpa_block", "pods"),
    [
        (block(CPU), template({"name": "a", "resources": {"limits": {"cpu": 1}}})),
        (block(CPU), template({"name": "a"}, resources={"requests": {"cpu": "1"}})),
        (block(CPU), template({"name": "a", **REQUESTS}, initContainers=[{"name": "once"}])),
        (
            block(
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}},
                }
            ),
            template({"name": "a"}),
        ),
        (
            block(
                {
                    "type": "Pods",
                    "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "9"}},
                }
            ),
            template({"name": "a"}),
        ),
    ],
)
def test_a_request_that_is_there_or_not_needed_is_not_missed(hpa_block: objects.Object, pods: objects.Object) -> None:
    found = scaling(Observed(), {"hpa": hpa_block, "template": pods})
    assert found is not None
    assert found.reason is Reason.STARTING


def test_a_limit_range_that_gave_the_live_pods_their_requests_is_enough() -> None:
    edge = {"hpa": block(CPU), "template": template({"name": "little-model"})}
    found = scaling(observe(GOOD_POD, hpas={Role.EDGE: hpa(ABLE, ACTIVE)}), edge)
    assert found is not None
    assert found.reason is Reason.SCALING
