"""Budgets and caps in the edge worker: what they do to frames, log and metrics, and that without them nothing is new."""

from __future__ import annotations

import json
import threading

import pytest
from prometheus_client import generate_latest

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.client.send_cap import SendCap
from sedna_py.decision_log import Path
from sedna_py.errors import FilterError
from sedna_py.hard_example_mining import IBTFilter
from sedna_py.hard_example_mining.budget_text import parse_budget, parse_cap
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import (
    DoubtFilter,
    FakeCloud,
    FakePredictor,
    FakeSource,
    MemorySink,
    Rig,
    boom,
    metrics_match,
    number_of,
    sure,
    unsure,
)
from workers.edge.metrics import EdgeMetrics
from workers.edge.parts import build_offloader, load_filter, send_cap
from workers.settings import EdgeSettings

THREADS = [0, 3]
pytestmark = pytest.mark.usefixtures("no_thread_is_left")


class Ticking(DoubtFilter):
    """A filter and a clock by which each frame that it judges comes a tenth of a second after the one before."""

    now = 0.0

    def __call__(self, infer_result=None):
        self.now += 0.1
        return super().__call__(infer_result)


def budgeted(budget: str) -> BudgetedFilter:
    wrapped = Ticking()
    return BudgetedFilter(wrapped, parse_budget(budget), lambda: wrapped.now)


def by_number(shown):
    """Scores from 0.0 to 0.9, all of them under the filter's own threshold or over it by turns of 100 frames."""
    return [[0, 0, 4, 4, number_of(shown) * 7 % 10 / 10, 0]]


def settings(name: str, **parameters: str) -> EdgeSettings:
    listed = json.dumps([{"key": key, "value": value} for key, value in parameters.items()])
    return EdgeSettings.from_environment(
        {"MODEL_URL": "m", "video_url": "v", "HEM_NAME": name, "HEM_PARAMETERS": listed, "BIG_MODEL_IP": "127.0.0.1"}
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("answer", [sure, unsure, by_number])
def test_a_share_of_the_frames_goes_to_the_cloud(threads, answer):
    rig = Rig(FakeSource(500), FakePredictor(answer, threads=threads), FakeCloud(), filter=budgeted("20%"), waiting=600)
    rig.metrics.budget.watch(rig.filter.figures)
    records = rig.run()
    hard = [r for r in records if r.hard]
    assert len(hard) == pytest.approx(100, abs=4)
    assert {r.path for r in hard} == {Path.CLOUD}
    assert {(r.path, r.cause) for r in records if not r.hard} == {(Path.EDGE, None)}
    assert all("budget 20 %: " in r.reason for r in records)
    assert all(r.score is not None for r in records)
    metrics_match(rig)
    assert rig.metric(names.EDGE_BUDGET, unit="share") == 0.2
    assert rig.metric(names.EDGE_BUDGET_SPENT, unit="share") == pytest.approx(0.2, abs=0.01)
    own = [r.score < 0.5 for r in records]
    changes = {change: rig.metric(names.EDGE_BUDGET_CHANGES, change=change) for change in ("held_back", "added")}
    assert changes["held_back"] == sum(mine and not r.hard for mine, r in zip(own, records, strict=True))
    assert changes["added"] == sum(r.hard and not mine for mine, r in zip(own, records, strict=True))


@pytest.mark.parametrize("mine_first", [False, True])
@pytest.mark.parametrize(
    ("cap", "cause"), [("0.01 fps", OffloadCause.OVER_CAP), ("0.08 kbit/s", OffloadCause.LARGER_THAN_CAP)]
)
def test_hard_frames_that_the_cap_keeps_here_are_fallbacks_with_their_cause(mine_first, cap, cause, caplog):
    cloud = FakeCloud(cap=SendCap(parse_cap(cap)))
    rig = Rig(FakeSource(60), FakePredictor(unsure), cloud, mine_first=mine_first, waiting=100)
    records = rig.run()
    kept = [r for r in records if r.cause is not None]
    assert {(r.hard, r.path, r.cause, r.bytes_sent) for r in kept} == {(True, Path.FALLBACK, cause, 0)}
    assert all(r.result == r.edge == [[0, 0, 4, 4, 0.1, 0]] for r in kept)
    assert len(kept) + len(cloud.bodies) == sum(r.hard for r in records)
    assert rig.metric(names.EDGE_OFFLOAD_FAILURES, cause=cause) == len(kept) > 0
    assert caplog.text.count("raise the cap, or lower JPEG_QUALITY") == (cause is OffloadCause.LARGER_THAN_CAP)
    metrics_match(rig)


def test_a_full_cap_costs_no_encoding():
    encoded = []
    cloud = FakeCloud(cap=SendCap(parse_cap("0.001 fps")))
    rig = Rig(
        FakeSource(50),
        FakePredictor(unsure),
        cloud,
        waiting=100,
        in_flight=1,
        encode=lambda _: encoded.append(1) or b"body",
    )
    causes = [r.cause for r in rig.run()]
    assert (causes.count(None), causes.count(OffloadCause.OVER_CAP)) == (1, 49)
    assert encoded == [1]


def test_the_bytes_that_were_sent_count_against_a_budget_of_bits():
    def hard_frames(size):
        gate = threading.Semaphore(1)  # a frame comes when the bytes of all before it are told
        rig = Rig(
            FakeSource(600, gate=gate), FakePredictor(by_number), FakeCloud(), filter=budgeted("80 kbit/s"), waiting=700,
            encode=lambda _: bytes(size), sinks=[MemorySink(lambda _: gate.release(), name="gate")],
        )  # fmt: skip
        rig.metrics.budget.watch(rig.filter.figures)
        count = sum(r.hard for r in rig.run())
        return count, rig.metric(names.EDGE_BUDGET_SPENT, unit="kbit/s")

    (small, _), (large, spent) = hard_frames(2_000), hard_frames(10_000)
    assert small == pytest.approx(300, abs=25)  # 60 s of 10 kB
    assert large == pytest.approx(60, abs=6)
    assert spent == pytest.approx(80, rel=0.15)


@pytest.mark.parametrize("mine_first", [False, True])
def test_frames_on_which_the_little_model_failed_go_to_the_cloud_and_count(mine_first):
    rig = Rig(
        FakeSource(40), FakePredictor(boom), FakeCloud(), filter=budgeted("20%"), waiting=100, mine_first=mine_first
    )
    records = rig.run()
    assert {r.path for r in records} == {Path.CLOUD}
    assert rig.filter.figures()[0].spent == 1.0


def test_without_a_budget_there_is_no_metric_of_it():
    metrics = EdgeMetrics()
    assert "budget" not in generate_latest(metrics.registry).decode()
    metrics.budget.watch(budgeted("5 fps").figures)
    text = generate_latest(metrics.registry).decode()
    assert 'sedna_edge_budget{unit="fps"} 5.0' in text
    assert "sedna_edge_budget_threshold NaN" in text


def test_without_them_the_log_is_as_it_was():
    def lines(wrapped):
        sink = MemorySink()
        Rig(FakeSource(30), FakePredictor(by_number), FakeCloud(), filter=wrapped, waiting=50, sinks=[sink]).run()
        return sorted((r.frame, r.hard, r.reason, r.score, r.path, r.cause) for r in sink.records)

    assert lines(DoubtFilter()) == [
        (
            n,
            n * 7 % 10 < 5,
            f"score {n * 7 % 10 / 10}",
            n * 7 % 10 / 10,
            Path.CLOUD if n * 7 % 10 < 5 else Path.EDGE,
            None,
        )
        for n in range(1, 31)
    ]


def test_parameters_reach_the_filter_and_the_client():
    made = load_filter(settings("IBT", threshold_box="0.9", budget="20%"))
    assert isinstance(made, BudgetedFilter)
    assert isinstance(made.wrapped, IBTFilter)
    assert send_cap(settings("IBT", budget="20%")) is None
    assert send_cap(settings("CloudOnly", cap="5 fps")).name == "5 fps"
    assert send_cap(settings("IBT", budget="500 kbit/s")).name == "500 kbit/s"
    assert send_cap(settings("IBT", budget="400 kbit/s", cap="500 kbit/s")).name == "500 kbit/s"
    assert send_cap(EdgeSettings.from_environment({"MODEL_URL": "m", "video_url": "v"})) is None
    offloader = build_offloader(settings("CloudOnly", cap="5 fps"))
    try:
        assert offloader._cloud._cap.name == "5 fps"
    finally:
        offloader.close()


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        (
            "Random",
            {"budget": "20%"},
            "budget needs a filter with a score, and Random has none; write a share as random_ratio",
        ),
        ("IBT", {"budget": "0.2"}, "budget is '0.2'; write a number with its unit, such as 20%"),
        ("IBT", {"cap": "20%"}, "cap is '20%', a share"),
    ],
)
def test_what_cannot_be_kept_is_told_before_the_model_is_loaded(name, parameters, message):
    with pytest.raises(FilterError, match=message):
        load_filter(settings(name, **parameters))
