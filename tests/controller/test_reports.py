"""Which service a report belongs to."""

from __future__ import annotations

import pytest

from controller.reports import Directory, RoutedReport, route
from sedna_py.protocol.worker_report import WorkerReport

PODS = {("prod", "helmet-deployment-edge-6d4f8b-x2x4z"): "helmet", ("prod", "a-name-that-was-cut-abcde"): "long"}
SERVICES = {("prod", "helmet"), ("prod", "long"), ("prod", "a-deployment-edge-b-ccccc"), ("test", "other")}
DIRECTORY = Directory(
    service_of_pod=lambda namespace, pod: PODS.get((namespace, pod)),
    has_service=lambda namespace, name: (namespace, name) in SERVICES,
)


def report(worker: str, namespace: str = "prod", owner: str = "sedna", kind: str = "jointinferenceservice"):
    return WorkerReport(worker, namespace, owner, kind, inferences=120, hard_examples=30)


@pytest.mark.parametrize(
    ("received", "service"),
    [
        pytest.param(report("helmet-deployment-edge-6d4f8b-x2x4z"), "helmet", id="a known pod"),
        pytest.param(report("a-name-that-was-cut-abcde"), "long", id="a known pod with a name that was cut"),
        pytest.param(report("helmet-deployment-edge-77fd-qqqqq"), "helmet", id="a pod that is not known yet"),
        pytest.param(report("helmet-deployment-edge-77fd-qqqqq", owner="long"), "helmet", id="the owner is not asked"),
        pytest.param(
            report("a-deployment-edge-b-ccccc-deployment-edge-77fd-qqqqq"),
            "a-deployment-edge-b-ccccc",
            id="a service that is called like a pod",
        ),
        pytest.param(report("edgeworker-x7k2m", owner="helmet"), "helmet", id="a shared name, a known owner"),
        pytest.param(report("long-deployment-edge-77fd-q", owner="long"), "long", id="no pod's name, a known owner"),
        pytest.param(report("edgeworker-x7k2m"), None, id="a shared name, upstream's owner"),
        pytest.param(report("edgeworker-x7k2m", owner=""), None, id="a shared name, no owner"),
        pytest.param(report("edgeworker-x7k2m", owner="other"), None, id="an owner of another namespace"),
        pytest.param(report("gone-deployment-edge-77fd-qqqqq"), None, id="a service that is not there"),
        pytest.param(report("helmet-deployment-edge-77fd-qqqqq", "test"), None, id="a service of another namespace"),
        pytest.param(report("helmet-deployment-cloud-77fd-qqqqq"), None, id="a cloud worker"),
        pytest.param(
            report("helmet-deployment-edge-6d4f8b-x2x4z", kind="federatedlearningjob"), None, id="another kind"
        ),
    ],
)
def test_a_report_goes_to_the_service_of_its_pod(received: WorkerReport, service: str | None):
    expected = service and RoutedReport("prod", service, received.worker, 120, 30)
    assert route(received, DIRECTORY) == expected
