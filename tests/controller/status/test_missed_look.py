"""One look that an autoscaler missed changes nothing in a status; the second one does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.status.clock import Clock
from controller.status.observed import Observed
from controller.status.service_status import ServiceView, service_status
from sedna_py.api.child_names import Role
from tests.controller.status import objects
from tests.controller.status.objects import NOW, condition, deployment, hpa, ready_pod, service

BLOCK = {"hpa": {"maxReplicas": 5, "scaleMetric": "streams"}}
SERVICE = service(cloud=BLOCK)
ACTIVE = condition("ScalingActive", "True", reason="ValidMetricFound")
SAID = "unable to get metric sedna_requests_per_stream: the server is currently unable to handle the request"


def missed(seconds_ago: float) -> objects.Object:
    return hpa(condition("ScalingActive", "False", seconds_ago, reason="FailedGetPodsMetric", message=SAID))


def status(live: objects.Object, before: objects.Object, clock: Clock, generation: int = 1) -> dict[str, Any]:
    observed = Observed(
        deployments={role: deployment(role, 1) for role in Role},
        pods={role: [ready_pod()] for role in Role},
        hpas={Role.CLOUD: live},
    )
    view = ServiceView(service=SERVICE, generation=generation, observed=observed, previous=before)
    return service_status(view, clock)


def scaling(found: dict[str, Any]) -> tuple[str, str]:
    (one,) = [one for one in found["conditions"] if one["type"] == "CloudScaling"]
    return one["status"], one["reason"]


def test_one_missed_look_changes_nothing_and_a_second_one_does() -> None:
    before = status(hpa(ACTIVE), {}, Clock(NOW))
    assert scaling(before) == ("True", "Scaling")
    clock = Clock(NOW)
    assert status(missed(3), before, clock) == before
    assert clock.next_turn_s == pytest.approx(17)  # looked at again then, though nothing may happen until then
    later = status(missed(3), before, Clock(NOW + timedelta(seconds=17)))
    assert scaling(later) == ("False", "MetricUnavailable")
    assert later["phase"] == "Degraded"
    assert scaling(status(hpa(ACTIVE), later, Clock(NOW + timedelta(seconds=18)))) == ("True", "Scaling")


def test_what_never_worked_is_told_at_once() -> None:
    assert scaling(status(missed(3), {}, Clock(NOW))) == ("False", "MetricUnavailable")
    failed = status(missed(60), {}, Clock(NOW))
    assert scaling(status(missed(3), failed, Clock(NOW))) == ("False", "MetricUnavailable")


def test_what_worked_for_another_spec_is_told_at_once() -> None:
    before = status(hpa(ACTIVE), {}, Clock(NOW))
    assert scaling(status(missed(3), before, Clock(NOW), generation=2)) == ("False", "MetricUnavailable")
