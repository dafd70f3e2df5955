"""The controller's metrics, and that the documentation has them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from controller.metrics import PHASES, ControllerMetrics
from sedna_py.metrics import names

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def exercised() -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry)
    metrics.reconciled("settled", 0.02)
    metrics.reconciled("blocked", 3.0)
    for code in (200, 201, 404, 503, 0):
        metrics.api_request("patch", "deployments", code)
    metrics.child("Deployment", "created")
    metrics.requeued()
    metrics.leads(True)
    metrics.report("accepted")
    metrics.status_written()
    metrics.event("Warning")
    metrics.watch_queue(lambda: 4)
    metrics.watch_objects("pods", lambda: 9)
    metrics.watch_services(lambda phase: {"Running": 3, "Failed": 1}.get(phase, 0))
    return registry


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        ('sedna_controller_reconciles_total{outcome="settled"}', 1),
        ("sedna_controller_reconcile_seconds_count", 2),
        ('sedna_controller_reconcile_seconds_bucket{le="0.025"}', 1),
        ('sedna_controller_api_requests_total{code="2xx",resource="deployments",verb="patch"}', 2),
        ('sedna_controller_api_requests_total{code="none",resource="deployments",verb="patch"}', 1),
        ('sedna_controller_children_total{change="created",kind="Deployment"}', 1),
        ("sedna_controller_requeues_total", 1),
        ("sedna_controller_leader", 1),
        ('sedna_controller_reports_total{outcome="accepted"}', 1),
        ("sedna_controller_status_writes_total", 1),
        ('sedna_controller_events_total{type="Warning"}', 1),
        ("sedna_controller_queue_depth", 4),
        ('sedna_controller_watched_objects{resource="pods"}', 9),
        ('sedna_controller_services{phase="Running"}', 3),
        ('sedna_controller_services{phase="Failed"}', 1),
    ],
)
def test_what_happened_is_counted(sample: str, value: float):
    lines = generate_latest(exercised()).decode().splitlines()
    assert f"{sample} {value:.1f}" in lines


def test_lengths_are_read_when_somebody_asks():
    registry, running = CollectorRegistry(), dict.fromkeys(PHASES, 0)
    ControllerMetrics(registry).watch_services(running.__getitem__)
    assert registry.get_sample_value(names.CONTROLLER_SERVICES, {"phase": "Running"}) == 0
    running["Running"] = 2
    assert registry.get_sample_value(names.CONTROLLER_SERVICES, {"phase": "Running"}) == 2


def test_a_replica_that_leads_no_more_says_so():
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry)
    metrics.leads(True)
    metrics.leads(False)
    assert registry.get_sample_value(names.CONTROLLER_LEADER) == 0


def test_every_metric_is_documented():
    page = PAGE.read_text(encoding="utf-8")
    known = [value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)]
    assert known
    assert [name for name in known if f"`{name}`" not in page] == []
