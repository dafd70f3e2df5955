"""Events on a service: what is written, and how many at most."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from controller.change_events import ChangeEvent
from controller.errors import Forbidden
from controller.event_writer import BURST, REFILL_S, EventWriter, event_object
from controller.metrics import ControllerMetrics
from sedna_py.metrics import names
from tests.controller.fakes import FakeCluster

NOW = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
GOOD = ChangeEvent("Normal", "Created", "created Deployment a")


def service(uid: str = "u1") -> dict[str, Any]:
    metadata = {"name": "helmet", "namespace": "shop", "uid": uid, "resourceVersion": "7"}
    return {"apiVersion": "sedna.io/v1alpha1", "kind": "JointInferenceService", "metadata": metadata}


class Desk:
    def __init__(self) -> None:
        self.now = 1000.0
        self.registry = CollectorRegistry()
        self.cluster = FakeCluster()
        metrics = ControllerMetrics(self.registry)
        self.writer = EventWriter(self.cluster, metrics, "pod-1", lambda: self.now)  # type: ignore[arg-type]

    def write(self, count: int = 1, uid: str = "u1", event: ChangeEvent = GOOD) -> int:
        """Write so many; return how many came through."""
        before = len(self.cluster.events)
        asyncio.run(self.writer.write(service(uid), [event] * count, NOW))
        return len(self.cluster.events) - before


def test_an_event_is_about_the_service_and_says_who_wrote_it() -> None:
    made = event_object(service(), ChangeEvent("Warning", "NodeMissing", "m" * 2000), NOW, "pod-1")
    name = made["metadata"].pop("name")
    assert name.startswith("helmet.")
    assert made == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "shop"},
        "involvedObject": {
            "apiVersion": "sedna.io/v1alpha1",
            "kind": "JointInferenceService",
            "name": "helmet",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "7",
        },
        "type": "Warning",
        "reason": "NodeMissing",
        "message": "m" * 1024,
        "source": {"component": "jointinferenceservice-controller"},
        "reportingComponent": "jointinferenceservice-controller",
        "reportingInstance": "pod-1",
        "firstTimestamp": "2026-05-01T12:00:00Z",
        "lastTimestamp": "2026-05-01T12:00:00Z",
        "count": 1,
    }


def test_events_of_one_moment_have_different_names() -> None:
    others = [ChangeEvent("Normal", "Created", "other"), ChangeEvent("Warning", "Created", GOOD.message)]
    made = {event_object(service(), event, NOW, "p")["metadata"]["name"] for event in (GOOD, *others)}
    made.add(event_object(service("u2"), GOOD, NOW, "p")["metadata"]["name"])
    assert len(made) == 4


def test_names_are_in_the_order_in_which_things_happened() -> None:
    desk = Desk()
    desk.write(12)
    asyncio.run(desk.writer.write(service(), [GOOD], NOW + timedelta(seconds=1)))
    names_written = [event["metadata"]["name"] for event in desk.cluster.events]
    assert names_written == sorted(set(names_written))


def test_a_service_has_a_burst_and_then_one_event_per_interval() -> None:
    desk = Desk()
    assert desk.write(BURST + 5) == BURST
    assert desk.write(uid="u2") == 1  # each has its own
    desk.now += REFILL_S
    assert desk.write(2) == 1


def test_attempts_that_are_too_early_do_not_put_the_next_event_off() -> None:
    desk = Desk()
    desk.write(BURST)
    written = 0
    for _ in range(12):
        desk.now += REFILL_S / 3
        written += desk.write()
    assert written == 4


def test_a_long_silence_gives_no_more_than_a_burst() -> None:
    desk = Desk()
    desk.write(BURST)
    desk.now += REFILL_S * 1000
    assert desk.write(BURST * 2) == BURST


def test_a_service_that_is_forgotten_begins_anew() -> None:
    desk = Desk()
    desk.write(BURST)
    assert desk.write() == 0
    desk.writer.forget("u1")
    desk.writer.forget("never seen")
    assert desk.write() == 1


def test_an_event_that_is_refused_keeps_neither_the_next_nor_the_reconcile() -> None:
    desk = Desk()
    desk.cluster.failures["event"] = [Forbidden("no")]
    assert desk.write(2) == 1
    assert desk.registry.get_sample_value(names.CONTROLLER_EVENTS, {"type": "Normal"}) == 1
