"""One term: what begins in which order, what a failure leads to, and that nothing is left when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller import term as module
from controller.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    LeadershipLost,
    NameTaken,
    NotFound,
    Refused,
    Unavailable,
)
from controller.metrics import ControllerMetrics
from controller.reconciler import Look
from controller.reports import RoutedReport
from controller.settings import ControllerSettings
from controller.store import ServiceKey
from controller.term import Term
from controller.work_queue import Backoff
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from tests.controller.fakes import FakeCluster, until
from tests.controller.one_service import HELMET, helmet

OTHER = ServiceKey("shop", "other")
AT_ONCE = Backoff(first_s=0.001, most_s=0.001)


class Stage:
    """A term on a fake API server; `seen` has what it did in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.cluster = FakeCluster()
        self.seen: list[str] = self.cluster.calls
        self.looks: dict[ServiceKey, list[Any]] = {}
        self.watch_endings: list[Any] = []
        self.stop = asyncio.Event()
        self.signals: list[tuple[Any, ...]] = []
        self.registry = CollectorRegistry()
        monkeypatch.setattr(module, "Cluster", lambda *_, **__: self.cluster)
        monkeypatch.setattr(module, "run_watches", self.watch)
        monkeypatch.setattr(module, "SOON", AT_ONCE)
        client: Any = None
        self.term = Term(
            client,
            ControllerSettings().model_copy(update={"concurrency": 2, **settings}),
            ControllerMetrics(self.registry),
            started=lambda: self.seen.append("started"),
            may_write=lambda: True,
        )
        self.term.metrics_api.take = lambda *told: self.signals.append(told)  # type: ignore[method-assign]
        self.term._reconciler = SimpleNamespace(reconcile=self.reconcile)  # type: ignore[assignment]
        self.services("helmet")

    def services(self, *found: str) -> None:
        documents = []
        for name in found:
            document = helmet()
            about = {"name": name, "uid": f"uid of {name}", "resourceVersion": self.cluster.version()}
            documents.append({**document, "metadata": {**document["metadata"], **about}})
        self.cluster.lists["jointinferenceservices"] = documents

    async def watch(self, _: Any, __: Any, namespaces: Any, stop: asyncio.Event, started: Callable[[], None]) -> str:
        started()
        if self.watch_endings:
            ending = self.watch_endings.pop(0)
            if isinstance(ending, Exception):
                raise ending
            return str(ending)
        await stop.wait()
        return "told to"

    async def reconcile(self, key: ServiceKey) -> Look:
        self.seen.append(f"reconcile {key.name}")
        looks = self.looks.get(key)
        look = looks.pop(0) if looks else Look()
        if isinstance(look, Exception):
            raise look
        if callable(look):
            return await look()
        assert isinstance(look, Look)
        return look

    def count(self, what: str) -> int:
        return self.seen.count(what)

    async def reconciled(self, name: str, times: int = 1) -> None:
        await until(lambda: self.count(f"reconcile {name}") >= times)

    async def play(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Run the term, and the scenario beside it; then stop, and expect that nothing is left."""
        before = asyncio.all_tasks()
        running = asyncio.create_task(self.term.run(self.stop))
        try:
            await scenario()
        finally:
            self.stop.set()
            async with asyncio.timeout(2):
                await running
        assert asyncio.all_tasks() == before

    def outcomes(self) -> dict[str, float]:
        values = {}
        for outcome in ("settled", "blocked", "retried", "failed"):
            values[outcome] = self.registry.get_sample_value(f"{names.CONTROLLER_RECONCILES}", {"outcome": outcome})
        return {outcome: value for outcome, value in values.items() if value}


Play = Callable[..., None]


@pytest.fixture
def on_stage(monkeypatch: pytest.MonkeyPatch) -> Play:
    def run(scenario: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
        async def main() -> None:
            stage = Stage(monkeypatch, **settings)
            await scenario(stage)

        asyncio.run(main())

    return run


def test_everything_is_listed_before_anything_is_watched_or_made(on_stage: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.play(lambda: stage.reconciled("helmet"))
        listed = [call for call in stage.seen if call.startswith("list") and "endpointslices" not in call]
        assert stage.seen[: len(listed)] == listed
        assert len(listed) == 7
        assert stage.count("started") == 1
        assert stage.count("reconcile helmet") == 1

    on_stage(scenario)


@pytest.mark.parametrize(
    ("failure", "hint"), [(Unavailable("away"), False), (Forbidden("not yet"), False), (NotFound("no such path"), True)]
)
def test_a_first_list_that_fails_is_made_again_and_said_once(
    on_stage: Play, caplog: pytest.LogCaptureFixture, failure: ClusterError, hint: bool
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.cluster.failures["list models"] = [failure] * 3
        await stage.play(lambda: stage.reconciled("helmet"))
        assert stage.count("list models") == 4

    on_stage(scenario)
    said = [message for message in caplog.messages if "cannot list yet" in message]
    assert len(said) == 1
    assert ("kubectl apply -f crds/" in said[0]) is hint


def test_a_stop_does_not_wait_for_a_list_that_hangs(on_stage: Play) -> None:
    async def scenario(stage: Stage) -> None:
        async def hang(*_: Any) -> Any:
            stage.seen.append("hangs")
            await asyncio.sleep(60)

        stage.cluster.list_objects = hang  # type: ignore[method-assign]
        await stage.play(lambda: until(lambda: "hangs" in stage.seen))
        assert stage.seen == ["hangs"]

    on_stage(scenario)


def test_a_stop_ends_workers_in_the_middle_of_a_request(on_stage: Play) -> None:
    async def scenario(stage: Stage) -> None:
        async def hang() -> Look:
            try:
                await asyncio.sleep(60)
            finally:
                stage.seen.append("cut off")
            return Look()

        stage.looks[HELMET] = [hang]
        await stage.play(lambda: stage.reconciled("helmet"))
        assert stage.seen[-1] == "cut off"

    on_stage(scenario)


def test_a_defect_with_one_service_neither_stops_the_others_nor_turns_in_a_circle(
    on_stage: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.services("helmet", "other")
        stage.looks[HELMET] = [KeyError("defect")] * 100
        stage.looks[OTHER] = [Look(after_s=0.001)] * 20

        await stage.play(lambda: stage.reconciled("other", 21))
        assert stage.count("reconcile helmet") == 1
        assert stage.outcomes()["failed"] == 1

    on_stage(scenario, concurrency=1)
    assert sum("unexpected error" in message for message in caplog.messages) == 1


def test_a_look_that_is_due_later_is_made_also_after_a_failure(on_stage: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.looks[HELMET] = [Look(after_s=0.001, blocked=True), Look(after_s=0.001, failure=Refused("bad"))]
        await stage.play(lambda: stage.reconciled("helmet", 3))
        assert stage.outcomes() == {"blocked": 1, "settled": 1, "retried": 1}

    on_stage(scenario)


@pytest.mark.parametrize("failure", [Unavailable("busy"), Conflict("changed"), LeadershipLost("over")])
def test_a_failure_that_passes_is_tried_again_soon(on_stage: Play, failure: ClusterError) -> None:
    async def scenario(stage: Stage) -> None:
        stage.looks[HELMET] = [failure, Look(failure=failure)]
        await stage.play(lambda: stage.reconciled("helmet", 3))

    on_stage(scenario)


@pytest.mark.parametrize(
    ("failure", "within_s", "at_least_s"),
    [
        (Unavailable("busy"), [0.6, 1.2, 2.4], 10),
        (Conflict("changed"), [0.6, 1.2, 2.4], 10),
        (Forbidden("the API server has just started"), [0.6, 1.2, 2.4], 25),
        (NameTaken("theirs"), [0.6, 1.2, 2.4], 5),
        (Refused("bad port"), [2.4, 4.8, 9.6], 25),
        (NotFound("no namespace"), [2.4, 4.8, 9.6], 25),
    ],
)
def test_the_wait_before_another_try_fits_the_failure(
    failure: ClusterError | NameTaken, within_s: list[float], at_least_s: float
) -> None:
    backoff = module._backoff(failure)
    assert [backoff.delay_s(number, 1.0) for number in (1, 2, 3)] == pytest.approx(within_s)
    assert backoff.delay_s(40, 0.5) == at_least_s


def test_a_comparison_with_full_lists_comes_again_and_wakes_every_service(on_stage: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.play(lambda: stage.reconciled("helmet", 3))
        assert stage.count("list models") >= 3

    on_stage(scenario, resync_s=0.005)


@pytest.mark.parametrize("failure", [Unavailable("away"), KeyError("defect")])
def test_a_comparison_that_fails_is_made_again_and_never_ends(on_stage: Play, failure: Any) -> None:
    async def scenario(stage: Stage) -> None:
        async def then() -> None:
            await stage.reconciled("helmet")
            stage.cluster.failures["list models"] = [failure] * 3
            await stage.reconciled("helmet", 3)

        await stage.play(then)
        assert stage.cluster.failures["list models"] == []

    on_stage(scenario, resync_s=0.005)


def test_an_interrupted_watch_leads_to_a_comparison(on_stage: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOUBT_S", (0.001, 0.002))

    async def scenario(stage: Stage) -> None:
        async def then() -> None:
            await stage.reconciled("helmet")
            stage.services()  # it was deleted, and nobody said so
            stage.term.intake.interrupted()
            await until(lambda: HELMET not in stage.term.store.services)

        await stage.play(then)

    on_stage(scenario)


def test_watches_that_end_by_themselves_begin_anew(on_stage: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage) -> None:
        stage.watch_endings = ["404 for a CRD"] * 3
        await stage.play(lambda: until(lambda: stage.count("started") == 4))

    on_stage(scenario)
    assert sum("begin anew" in message and "404 for a CRD" in message for message in caplog.messages) == 3


def test_a_defect_in_the_watches_ends_the_term_and_is_raised(on_stage: Play) -> None:
    async def scenario(stage: Stage) -> None:
        stage.watch_endings = [KeyError("defect")]
        before = asyncio.all_tasks()
        with pytest.raises(KeyError, match="defect"):
            async with asyncio.timeout(2):
                await stage.term.run(stage.stop)
        assert asyncio.all_tasks() == before

    on_stage(scenario)


def test_watches_that_do_not_end_are_ended(on_stage: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAVE_S", 0.01)

    async def scenario(stage: Stage) -> None:
        async def deaf(*_: Any) -> str:
            stage.seen.append("deaf")
            await asyncio.sleep(60)
            return ""

        monkeypatch.setattr(module, "run_watches", deaf)
        await stage.play(lambda: until(lambda: "deaf" in stage.seen))

    on_stage(scenario)


def test_reports_are_counted_and_written_later(on_stage: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(stage: Stage) -> None:
        async def then() -> None:
            await stage.reconciled("helmet")
            known: list[RoutedReport] = []
            stage.term.status.report = lambda _, report: known.append(report) is None  # type: ignore[method-assign]
            assert stage.term.accept(RoutedReport("shop", "helmet", "p", 1, 0))
            await stage.reconciled("helmet", 2)
            stage.term.status.report = lambda *_: False  # type: ignore[method-assign]
            assert not stage.term.accept(RoutedReport("shop", "nobody", "p", 1, 0))

        await stage.play(then)
        assert stage.count("reconcile nobody") == 0

    on_stage(scenario, report_interval_s=0.001)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_signals_of_counted_reports_are_given_on_by_our_clock(on_stage: Play) -> None:
    told = Snapshot(7.0, 1.0, 5.0, 4.0, 0.0, 1.0, 0.5, 0.5, 2.0)

    async def scenario(stage: Stage) -> None:
        async def then() -> None:
            await stage.reconciled("helmet")
            for counted in (True, False):
                stage.term.status.report = lambda *_, counted=counted: counted  # type: ignore[method-assign]
                stage.term.accept(RoutedReport("shop", "helmet", "p", 1, 0))
                stage.term.accept(RoutedReport("shop", "helmet", "p", 1, 0, told))

        began = time.monotonic()
        await stage.play(then)
        ((*given, taken_at),) = stage.signals
        assert given == ["shop", "p", told]
        assert began < taken_at <= time.monotonic()

    on_stage(scenario)
