"""The status is written when it changes, at most so often, and its events are told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller import status_sync
from controller.errors import Forbidden, Unavailable
from controller.reports import RoutedReport
from tests.controller.one_service import EDGE, HELMET, Site, helmet

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
HPA = {"spec.edgeWorker.hpa": {"maxReplicas": 3}}


class Clock:
    """In place of datetime, as far as the module asks it."""

    at = START

    @classmethod
    def now(cls, _: Any) -> datetime:
        return cls.at

    @classmethod
    def forward(cls, seconds: float) -> None:
        cls.at += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    Clock.at = START
    monkeypatch.setattr(status_sync, "datetime", Clock)
    return Clock


def report(pod: str, inferences: int, hard: int = 0) -> RoutedReport:
    return RoutedReport("shop", "helmet", pod, inferences, hard)


def metrics(site: Site) -> dict[str, str]:
    status = site.cluster.services[HELMET].get("status", {})
    return {item["key"]: item["value"] for item in status.get("metrics", ())}


def written(site: Site) -> int:
    return sum(call == "status helmet" for call in site.calls())


def begun(**settings: Any) -> Site:
    site = Site(**settings)
    site.put(helmet())
    site.reconcile()
    Clock.forward(60)
    site.reconcile()
    Clock.forward(60)
    site.calls()
    site.told()
    return site


def test_a_status_is_written_once_for_what_it_says() -> None:
    site = begun()
    for _ in range(3):
        Clock.forward(1)
        site.reconcile()
    assert site.calls() == []


def test_what_changes_soon_after_a_write_is_written_a_moment_later_with_all_its_events() -> None:
    site = begun(STATUS_INTERVAL_S=2)
    site.put(helmet(generation=2, changes=HPA))
    site.reconcile()
    assert written(site) == 1
    site.told()
    site.put(helmet(generation=3))
    Clock.forward(0.5)
    look = site.reconcile()
    assert (written(site), site.told()) == (0, [])
    assert look.after_s == pytest.approx(1.5)
    site.put(
        helmet(generation=4, changes={"spec.edgeWorker.template.spec.containers": [{"name": "c", "image": "i:2"}]})
    )
    Clock.forward(0.5)
    assert site.reconcile().after_s == pytest.approx(1.0)
    Clock.forward(1.01)
    site.reconcile()
    assert written(site) == 1
    assert site.told()[:2] == [
        f"Updated updated {EDGE}",
        "Deleted deleted HorizontalPodAutoscaler hpa-helmet-deployment-edge",
    ]


def test_a_clock_that_is_put_back_does_not_hold_the_status_up() -> None:
    site = begun(STATUS_INTERVAL_S=2)
    Clock.forward(-3600)
    site.put(helmet(generation=2, changes=HPA))
    site.reconcile()
    assert written(site) == 1


def test_a_repair_is_told_once_also_where_the_status_stays_the_same() -> None:
    site = begun()
    site.cluster.edit("shop", EDGE, "spec.template.spec", {"containers": []})
    site.cluster.deliver(site.intake)
    site.reconcile()
    assert site.told() == [f"Repaired put back as the service asks {EDGE}"]
    site.reconcile()
    assert site.told() == []


def test_a_change_of_a_condition_is_told_once_also_across_a_restart() -> None:
    site = begun()
    site.put(helmet(generation=2, changes={"spec.edgeWorker.model.name": "missing"}))
    site.reconcile()
    told = site.told()
    assert [text.split()[0] for text in told] == ["ModelMissing"]
    site.reconcile()
    site.restart()
    site.reconcile()
    assert site.told() == []


def test_a_status_that_cannot_be_written_loses_no_event() -> None:
    site = begun()
    site.cluster.failures["status helmet"] = [Unavailable("busy")]
    site.put(helmet(generation=2, changes=HPA))
    with pytest.raises(Unavailable):
        site.reconcile()
    assert site.told() == []
    site.reconcile()
    assert site.told()[0] == "Created created HorizontalPodAutoscaler hpa-helmet-deployment-edge"


def test_a_status_that_somebody_else_wrote_is_put_right() -> None:
    site = begun()
    broken = {**helmet(), "status": {"phase": "Nonsense"}}
    site.cluster.services[HELMET]["status"] = broken["status"]
    site.put({**broken})
    site.reconcile()
    assert site.cluster.services[HELMET]["status"]["phase"] == "Starting"


def test_a_status_that_is_no_mapping_at_all_is_written_anew() -> None:
    site = begun()
    site.cluster.services[HELMET]["status"] = {}
    site.restart()
    site.put({**helmet(), "status": "lost"})
    site.reconcile()
    Clock.forward(60)
    site.reconcile()
    assert site.cluster.services[HELMET]["status"]["phase"] == "Starting"


def test_fields_that_end_are_removed() -> None:
    site = begun()
    site.put(helmet(generation=2, changes=HPA))
    site.reconcile()
    assert site.cluster.services[HELMET]["status"]["edge"]["scale"] == "1-3"
    site.put(helmet(generation=3))
    site.reconcile()
    assert "scale" not in site.cluster.services[HELMET]["status"]["edge"]


def test_services_are_counted_by_their_phase() -> None:
    site = begun()
    assert site.status.count("Starting") == 1
    site.put(helmet(generation=2, changes={"spec.edgeWorker.model.name": "missing"}))
    site.reconcile()
    assert (site.status.count("Starting"), site.status.count("Failed")) == (0, 1)


def test_reports_are_summed_over_pods_and_outlive_them_and_the_process() -> None:
    site = begun()
    for pod in ("p1", "p2"):
        site.put_pod(pod)
    assert site.status.report(HELMET, report("p1", 100, 10))
    assert site.status.report(HELMET, report("p2", 50, 5))
    assert site.status.report(HELMET, report("p1", 120, 10))
    site.reconcile()
    assert metrics(site) == {"inferenceNumber": "170", "hardExampleNumber": "15", "uploadCloudRatio": "0.0882"}
    site.intake.pod("DELETED", site.store.pods(HELMET)[0])
    assert not site.status.report(HELMET, report("p1", 130, 10))
    site.reconcile()
    assert metrics(site)["inferenceNumber"] == "170"
    site.restart()
    site.put_pod("p2")
    assert site.status.report(HELMET, report("p2", 60, 5))
    site.reconcile()
    assert metrics(site)["inferenceNumber"] == "180"


def test_a_worker_that_counts_from_its_start_again_adds_all_it_says() -> None:
    site = begun()
    site.put_pod("p1")
    assert site.status.report(HELMET, report("p1", 100, 10))
    assert site.status.report(HELMET, report("p1", 7, 1))
    site.reconcile()
    assert metrics(site)["inferenceNumber"] == "107"


@pytest.mark.parametrize(
    ("pod", "uid", "counts"),
    [
        ("unknown", None, (1, 0)),
        ("p1", "an earlier service", (1, 0)),  # it goes on reporting while it ends
        ("p1", "one", (1, 2)),  # more hard examples than examples
        ("p1", "one", (-1, 0)),
    ],
)
def test_a_report_that_cannot_be_counted_is_refused(pod: str, uid: str | None, counts: tuple[int, int]) -> None:
    site = begun()
    if uid is not None:
        site.put_pod("p1", uid=uid)
    assert not site.status.report(HELMET, report(pod, *counts))
    site.reconcile()
    assert metrics(site) == {}


def test_a_report_for_an_unknown_service_is_refused() -> None:
    site = begun()
    site.put_pod("p1")
    site.end()
    assert not site.status.report(HELMET, report("p1", 1))


def test_counts_alone_are_written_at_their_own_slower_pace() -> None:
    site = begun(STATUS_INTERVAL_S=1, REPORT_INTERVAL_S=10)
    site.put_pod("p1")
    site.status.report(HELMET, report("p1", 1))
    site.reconcile()
    site.calls()
    site.status.report(HELMET, report("p1", 5))
    Clock.forward(2)
    look = site.reconcile()
    assert written(site) == 0
    assert look.after_s is not None
    assert look.after_s <= 8
    Clock.forward(8.01)
    site.reconcile()
    assert written(site) == 1
    assert metrics(site)["inferenceNumber"] == "5"


def silent(site: Site) -> None:
    """Let a pod be seen that is on a node and says nothing."""
    site.put_pod("p1", phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}])


def test_the_events_of_a_silent_pod_are_asked_for_now_and_then_and_not_each_time() -> None:
    site = begun()
    silent(site)
    site.reconcile()
    assert site.calls().count("events of uid of p1") == 1
    look = site.reconcile()
    assert "events of uid of p1" not in site.calls()
    assert look.after_s is not None
    Clock.forward(look.after_s)
    site.reconcile()
    assert "events of uid of p1" in site.calls()


def test_events_that_cannot_be_read_keep_no_status_from_being_written() -> None:
    site = begun()
    site.cluster.failures["events of uid of p1"] = [Forbidden("no")]
    silent(site)
    assert site.reconcile().failure is None
    site.put(helmet(generation=2))
    site.reconcile()
    assert site.cluster.services[HELMET]["status"]["observedGeneration"] == 2


def test_pods_of_an_earlier_service_are_no_workers_of_this_one() -> None:
    site = begun()
    site.put_pod("p1", uid="an earlier service", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    site.reconcile()
    assert site.calls() == []
