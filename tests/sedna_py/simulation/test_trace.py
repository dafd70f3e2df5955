"""Loads out of decision logs and tables."""

from __future__ import annotations

import math
import random

import pytest

from sedna_py.decision_log import DecisionRecord, Latency, Path
from sedna_py.errors import MalformedBody
from sedna_py.protocol.causes import OffloadCause
from sedna_py.simulation.trace import Trace, trace_of_log, trace_of_rates


def record(
    frame: int, *, hard: bool = False, edge: float = 40.0, cloud: float | None = None, source: str = "cam"
) -> str:
    captured = 1_700_000_000.0 + frame * 0.1
    made = DecisionRecord(
        frame=frame,
        source=source,
        captured=captured,
        emitted=captured + 0.05,
        width=640,
        height=480,
        filter="IBT",
        hard=hard,
        reason="",
        score=0.5,
        path=Path.CLOUD if cloud is not None else Path.EDGE,
        cause=OffloadCause.QUEUE_FULL if hard and cloud is None else None,
        edge=[],
        cloud=None,
        result=[],
        latency_ms=Latency(wait=0.0, edge=edge, cloud=cloud, total=edge + (cloud or 0.0)),
    )
    return made.to_line()


def of_log(*lines: str) -> Trace:
    return trace_of_log(lines, random.Random(1))


def test_a_log_tells_when_frames_came_and_which_were_hard() -> None:
    trace = of_log(record(1), record(2, hard=True), record(3))
    assert [round(arrival.at, 3) for arrival in trace.arrivals] == [0.0, 0.1, 0.2]
    assert [arrival.hard for arrival in trace.arrivals] == [False, True, False]
    assert trace.edge
    assert trace.seconds == pytest.approx(0.2)


def test_frames_without_a_line_came_between_their_neighbours() -> None:
    trace = of_log(record(4, hard=True), record(1, hard=True), record(1, hard=True, source="other"))
    assert [round(arrival.at, 3) for arrival in trace.arrivals] == [0.0, 0.0, 0.1, 0.2, 0.3]
    assert all(arrival.hard for arrival in trace.arrivals)


def test_service_times_are_those_of_frames_that_waited_for_nobody() -> None:
    """Of each pair one frame comes while the other is in the model, and so with the cloud."""
    lines = []
    for pair in range(20):
        lines.append(record(10 * pair, hard=True, edge=40.0, cloud=80.0))
        lines.append(record(10 * pair, hard=True, edge=75.0, cloud=150.0, source="other"))
    timings = of_log(*lines).timings
    assert timings.edge_s == pytest.approx(0.04)
    assert timings.cloud_s == pytest.approx(0.08)
    assert timings.edge_spread == timings.cloud_spread == pytest.approx(0.0)


def test_where_all_waited_the_time_from_one_to_the_next_counts() -> None:
    """Ten frames a second, of which each takes 200 ms and waits for all before it."""
    lines = [record(n, edge=200.0 + 100 * n) for n in range(30)]
    assert of_log(*lines).timings.edge_s == pytest.approx(0.2)


def drawn(mean: float, spread: float) -> list[float]:
    chance, sigma = random.Random(4), math.sqrt(math.log1p(spread**2))
    return [mean * chance.lognormvariate(-(sigma**2) / 2, sigma) for _ in range(400)]


def test_what_holds_an_answer_up_on_its_way_takes_no_stream_of_the_cloud() -> None:
    times = [800.0 if n % 10 == 0 else time for n, time in enumerate(drawn(60, 0.1))]
    timings = of_log(*(record(20 * n, hard=True, cloud=time) for n, time in enumerate(times, start=1))).timings
    assert timings.cloud_s == pytest.approx(0.06, rel=0.03)
    assert timings.cloud_spread == pytest.approx(0.1, rel=0.3)


def test_how_a_cloud_model_varies_counts() -> None:
    timings = of_log(*(record(20 * n, hard=True, cloud=time) for n, time in enumerate(drawn(60, 0.5), start=1))).timings
    assert timings.cloud_s == pytest.approx(0.06, rel=0.05)
    assert timings.cloud_spread == pytest.approx(0.5, rel=0.15)


def test_what_holds_the_edge_up_now_and_then_counts_but_not_its_first_frame() -> None:
    times = [5000.0, *(120.0 if n % 10 == 0 else 40.0 for n in range(200))]
    timings = of_log(*(record(100 * n + 1, edge=time) for n, time in enumerate(times))).timings
    assert timings.edge_s == pytest.approx(0.048)
    assert timings.edge_spread == pytest.approx(0.5, rel=0.01)


def test_a_few_frames_tell_a_time_and_not_how_it_varies() -> None:
    timings = of_log(record(1), record(2)).timings
    assert timings.edge_s == pytest.approx(0.04)
    assert timings.edge_spread is None
    assert timings.cloud_s == 0.0
    assert timings.cloud_spread is None


def test_a_log_of_one_frame_is_no_load() -> None:
    with pytest.raises(MalformedBody, match="two at least"):
        of_log(record(1))
    with pytest.raises(MalformedBody, match="line 1 is not a decision record"):
        of_log("{}\n")


def of_rates(text: str) -> Trace:
    return trace_of_rates(text.splitlines(), random.Random(1))


def test_rates_hold_until_the_next_row() -> None:
    trace = of_rates("seconds,frames_per_second,hard_share\n0,100,0.25\n50,0,0\n60,10,1\n100,0,0\n")
    early = [arrival for arrival in trace.arrivals if arrival.at < 50]
    late = [arrival for arrival in trace.arrivals if arrival.at >= 60]
    assert len(early) == pytest.approx(5000, rel=0.05)
    assert sum(arrival.hard for arrival in early) == pytest.approx(1250, rel=0.1)
    assert len(late) == pytest.approx(400, rel=0.15)
    assert all(arrival.hard for arrival in late)
    assert len(early) + len(late) == len(trace.arrivals)
    assert trace.seconds == 100
    assert trace.edge


def test_requests_go_straight_to_the_cloud() -> None:
    assert not of_rates("seconds,requests_per_second\n0,5\n10,0\n").edge


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at,rate\n0,1\n", "first line must name seconds"),
        ("", "first line must name seconds"),
        ("seconds,requests_per_second\n0,5\n", "two rows at least"),
        ("seconds,requests_per_second\n0,5\n0,5\n", "must rise"),
        ("seconds,requests_per_second\n0,many\n5,0\n", "line 2: requests_per_second is 'many'"),
        ("seconds,requests_per_second\n0,nan\n5,0\n", "line 2: requests_per_second is 'nan'"),
        ("seconds,requests_per_second\n0\n5,0\n", "line 2: requests_per_second is None"),
        ("seconds,frames_per_second,hard_share\n0,5,1.5\n5,0,0\n", "line 2: hard_share is '1.5'"),
        ("seconds,requests_per_second\n0,100000\n1000,0\n", "more than 5000000 arrivals"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(MalformedBody, match=said):
        of_rates(text)
