"""What becomes of scaleMetric, scaleTarget, earlyWarning, class and the annotations of Knative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.api.findings import parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.autoscaling.scale_metric import (
    SIGNALS,
    Goal,
    autoscaler_block,
    autoscaler_class,
    goal,
    metric_specs,
    needs_edge_signals,
    signal_targets,
    window_settings,
)
from sedna_py.metrics import names
from tests.refused_documents import changed, service

CLOUD = "spec.cloudWorker.hpa"
EDGE = "spec.edgeWorker.hpa"
METRIC = "autoscaling.knative.dev/metric"
TARGET = "autoscaling.knative.dev/target"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}


def written(changes: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> JointInferenceService:
    document = changed(service(), "metadata", {"name": "helmet", "annotations": dict(annotations or {})})
    for path, value in changes.items():
        document = changed(document, path, value)
    resource, findings = parse_document(document)
    assert isinstance(resource, JointInferenceService), findings
    return resource


def pods_metric(name: str, target: str | int | float) -> dict[str, Any]:
    return {
        "type": "Pods",
        "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": target}},
    }


def utilization(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def expected_load(target: str) -> dict[str, Any]:
    return {
        "type": "Object",
        "object": {
            "describedObject": {
                "apiVersion": "sedna.io/v1alpha1",
                "kind": "JointInferenceService",
                "name": "helmet",
            },
            "metric": {"name": "sedna_expected_cloud_load"},
            "target": {"type": "AverageValue", "averageValue": target},
        },
    }


def specs(made: JointInferenceService, role: Role = Role.CLOUD) -> list[dict[str, Any]]:
    return [metric.model_dump(by_alias=True, exclude_unset=True) for metric in metric_specs(made, role)]


def block(made: JointInferenceService, role: Role = Role.CLOUD, **options: bool) -> dict[str, Any]:
    found = autoscaler_block(made, role, **options)
    assert found is not None
    return found.model_dump(by_alias=True, exclude_unset=True)


@pytest.mark.parametrize(
    ("short", "metric"),
    [
        ({"scaleMetric": "concurrency", "scaleTarget": 1}, pods_metric("sedna_concurrency", "1")),
        ({"scaleMetric": "rps", "scaleTarget": 12.5}, pods_metric("sedna_requests_per_second", "12500m")),
        ({"scaleMetric": "streams", "scaleTarget": 1}, pods_metric("sedna_requests_per_stream", "1")),
        ({"scaleMetric": "demand", "scaleTarget": 0.7}, pods_metric("sedna_demand", "700m")),
        ({"scaleMetric": "latency", "scaleTarget": 250}, pods_metric("sedna_latency_p95_seconds", "250m")),
        ({"scaleMetric": "cpu", "scaleTarget": 65}, utilization("cpu", 65)),
        ({"scaleMetric": "memory", "scaleTarget": 70}, utilization("memory", 70)),
        # without a target: what KServe and Knative take, and ours
        ({"scaleMetric": "concurrency"}, pods_metric("sedna_concurrency", "70")),
        ({"scaleMetric": "rps"}, pods_metric("sedna_requests_per_second", "140")),
        ({"scaleMetric": "cpu"}, utilization("cpu", 80)),
        ({"scaleMetric": "streams"}, pods_metric("sedna_requests_per_stream", "1")),
        ({"scaleMetric": "demand"}, pods_metric("sedna_demand", "800m")),
    ],
)
@pytest.mark.parametrize("role", list(Role))
def test_short_form_becomes_one_metric(short: dict[str, Any], metric: dict[str, Any], role: Role) -> None:
    path = CLOUD if role is Role.CLOUD else EDGE
    assert specs(written({path: {"maxReplicas": 5, **short}}), role) == [metric]


def test_default_of_concurrency_is_a_share_of_what_a_pod_takes() -> None:
    made = written(
        {CLOUD: {"maxReplicas": 5, "scaleMetric": "concurrency"}, "spec.cloudWorker.containerConcurrency": 10}
    )
    assert goal(made, Role.CLOUD) == Goal("concurrency", pytest.approx(7.0))
    assert specs(made) == [pods_metric("sedna_concurrency", "7")]


@pytest.mark.parametrize(
    ("annotations", "hpa", "wanted"),
    [
        ({METRIC: "rps", TARGET: "50"}, {}, Goal("rps", 50.0)),
        ({METRIC: "rps"}, {}, Goal("rps", 140.0)),
        ({TARGET: "2.5"}, {}, Goal("concurrency", 2.5)),  # Knative's metric where none is named
        ({METRIC: "memory", TARGET: "60"}, {}, Goal("memory", 60.0)),
        ({METRIC: "memory"}, {}, None),
        ({METRIC: "latency", TARGET: "0.5"}, {}, None),
        ({METRIC: "cpu", TARGET: "0.5"}, {}, Goal("cpu", 80.0)),
        ({METRIC: "qps", TARGET: "x"}, {}, None),
        ({METRIC: "qps", TARGET: "5"}, {}, None),
        ({METRIC: "qps", TARGET: "5"}, {"scaleMetric": "streams"}, Goal("streams", 1.0)),
        # a field wins
        ({METRIC: "rps", TARGET: "50"}, {"scaleMetric": "rps", "scaleTarget": 20}, Goal("rps", 20.0)),
        ({METRIC: "rps", TARGET: "50"}, {"scaleMetric": "rps"}, Goal("rps", 50.0)),
        ({METRIC: "rps", TARGET: "50"}, {"scaleMetric": "streams"}, Goal("streams", 1.0)),
        ({TARGET: "2"}, {"scaleMetric": "streams"}, Goal("streams", 2.0)),
        ({METRIC: "rps", TARGET: "50"}, {"metrics": [CPU]}, None),
        ({}, {}, None),
    ],
)
def test_annotations_mean_the_same_for_the_cloud_worker(
    annotations: dict[str, str], hpa: dict[str, Any], wanted: Goal | None
) -> None:
    made = written({CLOUD: {"maxReplicas": 5, **hpa}, EDGE: {"maxReplicas": 5}}, annotations)
    assert goal(made, Role.CLOUD) == wanted
    assert goal(made, Role.EDGE) is None


def test_annotations_without_a_block_make_no_autoscaler() -> None:
    made = written({}, {METRIC: "rps", TARGET: "50"})
    assert goal(made, Role.CLOUD) is None
    assert autoscaler_class(made, Role.CLOUD) is None
    assert autoscaler_block(made, Role.CLOUD) is None


def test_a_block_without_short_forms_comes_back_as_it_was_written() -> None:
    hpa = {"minReplicas": 2, "maxReplicas": 5, "metrics": [CPU], "behavior": {"scaleUp": {"selectPolicy": "Min"}}}
    assert block(written({CLOUD: hpa})) == hpa
    assert block(written({EDGE: {"maxReplicas": 5}}), Role.EDGE) == {"maxReplicas": 5}


def test_the_whole_autoscaler_of_a_short_form() -> None:
    made = written({CLOUD: {"maxReplicas": 5, "minReplicas": 2, "scaleMetric": "concurrency", "scaleTarget": 1}})
    assert block(made) == {
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [pods_metric("sedna_concurrency", "1")],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }


def test_scaling_down_is_as_calm_as_the_window_is_long() -> None:
    made = written({EDGE: {"maxReplicas": 5, "scaleMetric": "demand"}}, {"autoscaling.knative.dev/window": "2m"})
    assert block(made, Role.EDGE)["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 120}}


@pytest.mark.parametrize(
    "hpa",
    [{"scaleMetric": "cpu"}, {"metrics": [pods_metric("sedna_demand", "1")]}, {"earlyWarning": 0.7}],
)
def test_other_metrics_keep_the_behavior_of_kubernetes(hpa: dict[str, Any]) -> None:
    assert "behavior" not in block(written({CLOUD: {"maxReplicas": 5, **hpa}}))


def test_behavior_that_is_written_stays() -> None:
    mine = {"scaleUp": {"stabilizationWindowSeconds": 120}}
    assert block(written({CLOUD: {"maxReplicas": 5, "scaleMetric": "rps", "behavior": mine}}))["behavior"] == mine


@pytest.mark.parametrize(
    ("hpa", "others"),
    [
        ({"scaleMetric": "streams"}, [pods_metric("sedna_requests_per_stream", "1")]),
        ({"metrics": [CPU]}, [CPU]),
        ({}, [utilization("cpu", 80)]),  # what Kubernetes takes where there is no other
    ],
)
def test_early_warning_comes_beside_the_other_metrics(hpa: dict[str, Any], others: list[dict[str, Any]]) -> None:
    made = written({CLOUD: {"maxReplicas": 5, "earlyWarning": 0.7, **hpa}})
    assert specs(made) == [*others, expected_load("700m")]


def test_the_autoscaler_keeps_one_pod_where_there_may_be_none() -> None:
    assert block(written({CLOUD: {"minReplicas": 0, "maxReplicas": 5}}))["minReplicas"] == 1
    assert block(written({CLOUD: {"minReplicas": 2, "maxReplicas": 5}}))["minReplicas"] == 2


@pytest.mark.parametrize("who", ["none", "external"])
@pytest.mark.parametrize("role", list(Role))
def test_who_scales_by_himself_gets_no_autoscaler(who: str, role: Role) -> None:
    path = CLOUD if role is Role.CLOUD else EDGE
    made = written({path: {"maxReplicas": 5, "class": who, "scaleMetric": "streams"}})
    assert autoscaler_class(made, role) == who
    assert autoscaler_block(made, role) is None


@pytest.mark.parametrize(
    ("annotations", "field", "found"),
    [
        ({"serving.kserve.io/autoscalerClass": "external"}, None, "external"),
        ({"serving.kserve.io/autoscalerClass": "none"}, "hpa", "hpa"),
        ({"serving.kserve.io/autoscalerClass": "keda"}, None, "hpa"),
        ({"autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev"}, None, "hpa"),
        ({"autoscaling.knative.dev/class": "mine.example.com"}, None, "hpa"),
        ({}, None, "hpa"),
    ],
)
def test_class_by_annotation(annotations: dict[str, str], field: str | None, found: str) -> None:
    hpa = {"maxReplicas": 5, **({"class": field} if field else {})}
    made = written({CLOUD: hpa, EDGE: {"maxReplicas": 2}}, annotations)
    assert autoscaler_class(made, Role.CLOUD) == found
    assert autoscaler_class(made, Role.EDGE) == "hpa"


def test_signals_that_are_scaled_by_with_their_targets() -> None:
    own = [pods_metric("sedna_demand", "700m"), pods_metric("mine", "5"), pods_metric("sedna_hard_share", 0.5), CPU]
    made = written(
        {
            EDGE: {"maxReplicas": 5, "metrics": own},
            CLOUD: {"maxReplicas": 5, "scaleMetric": "latency", "scaleTarget": 250},
        }
    )
    assert signal_targets(made, Role.EDGE) == {"sedna_demand": 0.7, "sedna_hard_share": 0.5}
    assert signal_targets(made, Role.CLOUD) == {"sedna_latency_p95_seconds": 0.25}
    assert signal_targets(written({}), Role.EDGE) == {}


@pytest.mark.parametrize(("who", "found"), [("none", {}), ("external", {"sedna_demand": 0.8})])
def test_somebody_else_who_scales_is_told_the_signals(who: str, found: dict[str, float]) -> None:
    made = written({EDGE: {"maxReplicas": 5, "class": who, "scaleMetric": "demand"}})
    assert signal_targets(made, Role.EDGE) == found
    assert needs_edge_signals(made) is bool(found)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({EDGE: {"maxReplicas": 5}}, False),
        ({EDGE: {"maxReplicas": 5, "scaleMetric": "cpu"}}, False),
        ({EDGE: {"maxReplicas": 5, "scaleMetric": "demand"}}, True),
        ({EDGE: {"maxReplicas": 5, "metrics": [pods_metric("sedna_backlog_age_seconds", 3)]}}, True),
        ({CLOUD: {"maxReplicas": 5, "scaleMetric": "streams"}}, False),
        ({CLOUD: {"maxReplicas": 5, "earlyWarning": 0.7}}, True),
        ({CLOUD: {"maxReplicas": 5, "earlyWarning": 0.7, "class": "external"}}, True),
        ({CLOUD: {"maxReplicas": 5, "earlyWarning": 0.7, "class": "none"}}, False),
        ({CLOUD: {"maxReplicas": 5, "minReplicas": 0}}, True),
        ({CLOUD: {"maxReplicas": 5, "metrics": [expected_load("1")]}}, True),
    ],
)
def test_edges_report_often_only_where_something_depends_on_it(changes: dict[str, Any], needed: bool) -> None:
    assert needs_edge_signals(written(changes)) is needed


@pytest.mark.parametrize(
    ("annotations", "settings"),
    [
        (None, (60, 10, 200)),
        ({"window": "6s", "panic-window-percentage": "1", "panic-threshold-percentage": "110"}, (6, 1, 110)),
        ({"window": "1h", "panic-window-percentage": "100.0", "panic-threshold-percentage": "1000"}, (3600, 100, 1000)),
        ({"window": "1m30s"}, (90, 10, 200)),
        ({"window": "5s", "panic-window-percentage": "0.9", "panic-threshold-percentage": "109"}, (60, 10, 200)),
        ({"window": "61m", "panic-window-percentage": "101", "panic-threshold-percentage": "1e3"}, (60, 10, 200)),
        ({"window": "1.5m", "panic-window-percentage": "nan", "panic-threshold-percentage": ""}, (60, 10, 200)),
        ({"window": "", "panic-window-percentage": "٣"}, (60, 10, 200)),
    ],
)
def test_windows_are_those_of_knative(annotations: dict[str, str] | None, settings: tuple[float, ...]) -> None:
    full = {f"autoscaling.knative.dev/{name}": value for name, value in (annotations or {}).items()}
    assert window_settings(full if annotations is not None else None) == settings


def test_every_signal_is_known() -> None:
    assert names.SIGNAL_EXPECTED_CLOUD_LOAD in SIGNALS
    assert all(name.startswith(("sedna_", "ei_")) for name in SIGNALS)
