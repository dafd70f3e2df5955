"""Which service a report belongs to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.reports import RoutedReport, route
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.protocol.worker_report import WorkerReport

PODS = {("prod", "helmet-deployment-edge-6d4f8b-x2x4z"): "helmet", ("prod", "a-name-that-was-cut-abcde"): "long"}


def report(worker: str, namespace: str = "prod", owner: str = "sedna", kind: str = "jointinferenceservice"):
    return WorkerReport(worker, namespace, owner, kind, inferences=120, hard_examples=30)


@pytest.mark.parametrize(
    ("received", "service"),
    [
        pytest.param(report("helmet-deployment-edge-6d4f8b-x2x4z"), "helmet", id="a known pod"),
        pytest.param(report("a-name-that-was-cut-abcde"), "long", id="a known pod with a name that was cut"),
        pytest.param(
            report("helmet-deployment-edge-6d4f8b-x2x4z", owner="long"), "helmet", id="the owner is not asked"
        ),
        pytest.param(report("helmet-deployment-edge-77fd-qqqqq"), None, id="a pod that is not known"),
        pytest.param(report("helmet-deployment-edge-6d4f8b-x2x4z", "test"), None, id="a pod of another namespace"),
        pytest.param(report("edgeworker-x7k2m", owner="helmet"), None, id="a name that replicas share"),
        pytest.param(
            report("helmet-deployment-edge-6d4f8b-x2x4z", kind="federatedlearningjob"), None, id="another kind"
        ),
    ],
)
def test_a_report_goes_to_the_service_of_its_pod(received: WorkerReport, service: str | None):
    expected = service and RoutedReport("prod", service, received.worker, 120, 30)
    assert route(received, lambda namespace, pod: PODS.get((namespace, pod))) == expected


def test_signals_go_with_it():
    told = Snapshot(7.0, 1.0, 5.0, 4.0, 0.0, 1.0, 0.5, 0.5, 2.0)
    received = replace(report("a-name-that-was-cut-abcde"), signals=told)
    routed = route(received, lambda namespace, pod: PODS.get((namespace, pod)))
    assert routed is not None
    assert routed.signals == told
