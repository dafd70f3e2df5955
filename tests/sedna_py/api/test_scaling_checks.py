"""What is said of scaling that will not do what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sedna_py.api.findings import check_service, parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.scaling_annotations import ScalingAnnotations, scaling_annotations
from tests.refused_documents import changed, service

KNATIVE = "autoscaling.knative.dev/"
CLASS = "serving.kserve.io/autoscalerClass"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}}


def lines(
    annotations: Mapping[str, str],
    hpa: Mapping[str, Any] | None = None,
    most: int | None = None,
    side: str = "cloudWorker",
) -> list[str]:
    """Return what is said, without what every autoscaler by CPU is told here."""
    document = changed(service(), "metadata", {"name": "helmet", "annotations": dict(annotations)})
    document = changed(document, f"spec.{side}.hpa", None if hpa is None else {"maxReplicas": 5, **hpa})
    document = changed(document, "spec.cloudWorker.containerConcurrency", most)
    resource, findings = parse_document(document)
    assert isinstance(resource, JointInferenceService), findings
    found = [finding for finding in check_service(resource) if "resources.requests" not in finding.path]
    assert {finding.level for finding in found} <= {"warning"}
    return [str(finding) for finding in found]


def left_out(name: str, message: str) -> str:
    return f'metadata.annotations["{KNATIVE if "/" not in name else ""}{name}"]: {message}'


@pytest.mark.parametrize(
    ("annotations", "hpa"),
    [
        ({}, {}),
        ({"metric": "rps", "target": "50", "window": "2m", "panic-window-percentage": "5"}, {}),
        ({"metric": "rps"}, {"scaleMetric": "rps", "scaleTarget": 5}),
        ({"target": "5"}, {"scaleMetric": "streams"}),
        ({"class": "kpa.autoscaling.knative.dev", "panic-threshold-percentage": "150.5"}, {}),
        ({CLASS: "external"}, {}),
        ({"window": "60s"}, None),
    ],
)
def test_annotations_that_are_used_need_no_word(annotations: dict[str, str], hpa: dict[str, Any] | None) -> None:
    assert lines({name if "/" in name else KNATIVE + name: value for name, value in annotations.items()}, hpa) == []


ALL = "concurrency, rps, cpu, memory, streams, demand, latency"


@pytest.mark.parametrize(
    ("annotations", "hpa", "said"),
    [
        ({"metric": "qps"}, {}, 'metric: is "qps", which is left out; write one of ' + ALL + "; did you mean rps?"),
        (
            {"metric": "memory"},
            {},
            f'metric: is "memory", which is left out; write its target in {KNATIVE}target as well',
        ),
        ({"target": "0.001"}, {}, 'target: is "0.001", which is left out; write a number from 0.01 to 1000000'),
        ({"target": "many"}, {}, 'target: is "many", which is left out; write a number from 0.01 to 1000000'),
        (
            {"metric": "cpu", "target": "70.5"},
            {},
            'target: is "70.5", which is left out; write a whole number for cpu',
        ),
        (
            {"window": "5s"},
            {},
            'window: is "5s", which is left out; write whole seconds from 6s to 1h, such as 60s or 2m',
        ),
        (
            {"panic-window-percentage": "0.5"},
            {},
            'panic-window-percentage: is "0.5", which is left out; write a number from 1 to 100',
        ),
        (
            {"panic-threshold-percentage": "100"},
            {},
            'panic-threshold-percentage: is "100", which is left out; write a number from 110 to 1000',
        ),
        ({"max-scale": "9"}, {}, "max-scale: has no meaning here; write maxReplicas in spec.cloudWorker.hpa"),
        ({"activation-scale": "9"}, {}, "activation-scale: has no meaning here; remove it"),
        (
            {"metric": "rps"},
            None,
            "metric: does nothing without an autoscaler; write spec.cloudWorker.hpa with maxReplicas",
        ),
        (
            {"metric": "rps"},
            {"metrics": [CPU]},
            "metric: is left out, as spec.cloudWorker.hpa.metrics is written; remove one of them",
        ),
        (
            {"metric": "rps"},
            {"scaleMetric": "streams"},
            "metric: is left out, as spec.cloudWorker.hpa.scaleMetric is streams; remove one of them",
        ),
        (
            {"target": "5"},
            {"scaleMetric": "rps", "scaleTarget": 6},
            "target: is left out, as spec.cloudWorker.hpa.scaleMetric and its scaleTarget come first; remove one of them",
        ),
        (
            {"class": "mine.example.com"},
            {},
            'class: is "mine.example.com", which is left out; write hpa.autoscaling.knative.dev, or class: external in the'
            " hpa block",
        ),
    ],
)
def test_an_annotation_that_is_left_out_is_named(
    annotations: dict[str, str], hpa: dict[str, Any] | None, said: str
) -> None:
    name, _, message = said.partition(": ")
    assert lines({KNATIVE + key: value for key, value in annotations.items()}, hpa) == [left_out(name, message)]


def test_a_class_of_kserve_that_nobody_here_makes_is_named() -> None:
    assert lines({CLASS: "keda"}, {}) == [
        left_out(
            CLASS,
            'is "keda", which is left out; write hpa, none or external, and a ScaledObject of your own beside it',
        )
    ]


@pytest.mark.parametrize(
    ("annotations", "hpa", "place"),
    [
        ({}, {"scaleMetric": "concurrency", "scaleTarget": 5}, "spec.cloudWorker.hpa.scaleTarget"),
        ({f"{KNATIVE}target": "5"}, {}, f'metadata.annotations["{KNATIVE}target"]'),
    ],
)
def test_a_target_above_what_a_pod_takes_at_once_is_named(
    annotations: dict[str, str], hpa: dict[str, Any], place: str
) -> None:
    assert lines(annotations, hpa, most=4) == [
        f"{place}: is 5, more than the 4 of containerConcurrency, so pods come only when requests wait in line; write at"
        " most 4"
    ]
    assert lines(annotations, hpa, most=5) == []
    assert lines(annotations, hpa) == []


def test_a_default_target_is_never_above_what_a_pod_takes() -> None:
    assert lines({}, {"scaleMetric": "concurrency"}, most=1) == []


@pytest.mark.parametrize(
    ("hpa", "named"),
    [
        ({}, True),
        ({"scaleMetric": "cpu"}, True),
        ({"earlyWarning": 0.7}, True),
        ({"scaleMetric": "demand"}, False),
        ({"scaleMetric": "demand", "earlyWarning": 0.7}, False),
        ({"class": "external"}, False),
    ],
)
def test_a_request_is_missed_only_where_the_autoscaler_needs_it(hpa: dict[str, Any], named: bool) -> None:
    document = changed(service(), "spec.cloudWorker.hpa", {"maxReplicas": 5, **hpa})
    resource, _ = parse_document(document)
    assert isinstance(resource, JointInferenceService)
    assert any(finding.path.endswith("resources.requests.cpu") for finding in check_service(resource)) is named


def test_annotations_of_odd_texts_raise_nothing() -> None:
    for text in ("", " ", "-1", "1e400", "９", "\n", "x" * 10_000, "9" * 400, "1h1h", "s", "h"):
        names = ("metric", "target", "window", "panic-window-percentage", "panic-threshold-percentage", "class")
        found = scaling_annotations({**{KNATIVE + name: text for name in names}, CLASS: text})
        assert found == ScalingAnnotations(), text
