from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sedna_py.decision_log import DecisionRecord, Emit, Latency, Path
from sedna_py.local.comparison import Run
from sedna_py.local.figures import agreement, cumulative_bytes, in_order, is_numbered, percentiles, summarize
from sedna_py.protocol.causes import OffloadCause

MakeRecord = Callable[..., DecisionRecord]

HEAD = [10, 10, 50, 50, 0.9, 0]
NEAR = [12, 10, 52, 50, 0.6, 0]
FAR = [200, 10, 240, 50, 0.9, 0]


def test_summary_counts_every_path(make_record: MakeRecord) -> None:
    asked = Latency(cloud=200.0, total=250.0)
    records = [
        make_record(0, result=[HEAD, FAR]),
        make_record(1, hard=True, path=Path.CLOUD, result=[HEAD], bytes_sent=900, latency_ms=asked),
        make_record(2, hard=True, path=Path.FALLBACK, cause=OffloadCause.QUEUE_FULL),
        make_record(3, hard=True, path=Path.FALLBACK, cause=OffloadCause.DEADLINE_EXCEEDED, bytes_sent=600),
        make_record(4, hard=True, path=Path.FALLBACK, cause=OffloadCause.DEADLINE_EXCEEDED, bytes_sent=600),
    ]
    summary = summarize(records)
    assert (summary.frames, summary.frames_with_object, summary.objects) == (5, 2, 3)
    assert (summary.hard, summary.offloaded, summary.cloud_answered) == (4, 3, 1)
    assert summary.fallbacks == {"deadline_exceeded": 2, "queue_full": 1}
    assert list(summary.fallbacks) == ["deadline_exceeded", "queue_full"]
    assert summary.fallback_frames == 3
    assert summary.bytes_sent == 2100
    assert summary.bytes_per_hard_frame == 525
    assert summary.hard_share == 0.8
    assert summary.cloud_ms is not None
    assert (summary.cloud_ms.p50, summary.cloud_ms.count) == (200.0, 1)
    assert summary.seconds == pytest.approx(0.04 + 0.25)  # frame 1 was handed on last
    assert summary.frames_per_second == pytest.approx(5 / 0.29)


def test_a_frame_counts_with_the_answer_that_closed_it(make_record: MakeRecord) -> None:
    hard = {"hard": True, "source": "camera"}
    first = make_record(1, **hard, emit=Emit.FIRST, result=[HEAD], latency_ms=Latency(total=40.0))
    amended = make_record(
        1, **hard, emit=Emit.CORRECTION, path=Path.CLOUD, result=[FAR], bytes_sent=900, latency_ms=Latency(total=300.0)
    )
    stands = make_record(
        2, **hard, path=Path.FALLBACK, cause=OffloadCause.CIRCUIT_OPEN, result=[HEAD], latency_ms=Latency(total=50.0)
    )
    late = replace(stands, emit=Emit.LATE, path=Path.CLOUD, cause=None, result=[FAR], bytes_sent=800, run="of old")
    late = replace(late, captured=late.captured - 3600, emitted=late.emitted + 3600)
    summary = summarize([first, stands, amended, late])
    assert (summary.frames, summary.objects, summary.hard, summary.cloud_answered) == (2, 2, 2, 1)
    assert summary.fallbacks == {"circuit_open": 1}
    assert (summary.bytes_sent, summary.offloaded, summary.late) == (1700, 1, 1)
    assert summary.seconds < 1
    assert summary.first_ms is not None
    assert (summary.first_ms.p50, summary.first_ms.count) == (45.0, 2)
    assert summary.total_ms is not None
    assert summary.total_ms.count == 2
    reference = [make_record(1, source="camera", result=[FAR]), make_record(2, source="camera", result=[HEAD])]
    found = agreement([amended, stands, late, first], reference)
    assert (found.frames, found.agreeing, found.bytes_sent) == (2, 2, 900)


def test_summary_of_nothing_has_no_rates() -> None:
    summary = summarize([])
    assert summary.frames == summary.objects == summary.bytes_sent == 0
    assert summary.total_ms is summary.cloud_ms is None
    assert summary.frames_per_second is summary.hard_share is summary.bytes_per_hard_frame is None


def test_percentiles_interpolate_and_skip_what_is_absent() -> None:
    found = percentiles([None, *map(float, range(101))])
    assert found is not None
    assert (found.p50, found.p95, found.count) == (50.0, 95.0, 101)
    assert percentiles([None]) is None


@pytest.mark.parametrize(
    ("result", "expected", "agrees"),
    [
        ([], [], True),
        ([NEAR], [HEAD], True),
        ([FAR, NEAR], [HEAD, FAR], True),
        ([FAR], [HEAD], False),
        ([NEAR, FAR], [HEAD], False),
        ([], [HEAD], False),
        ([[*NEAR[:5], 1]], [HEAD], False),
    ],
)
def test_a_frame_agrees_when_every_box_has_its_partner(
    make_record: MakeRecord, result: list[Any], expected: list[Any], agrees: bool
) -> None:
    compared = agreement([make_record(3, result=result)], [make_record(3, result=expected)])
    assert (compared.frames, compared.agreeing) == (1, int(agrees))


def test_agreement_over_boxes_and_bytes(make_record: MakeRecord) -> None:
    here = [make_record(0, result=[NEAR], bytes_sent=10), make_record(1, result=[FAR]), make_record(9, bytes_sent=5)]
    there = [
        make_record(1, result=[HEAD], bytes_sent=100),
        make_record(0, result=[HEAD, FAR], bytes_sent=300),
        make_record(7, bytes_sent=50),
    ]
    compared = agreement(here, there)
    assert (compared.frames, compared.missing, compared.extra) == (2, 1, 1)
    assert (compared.share, compared.precision, compared.recall) == (0.0, 0.5, pytest.approx(1 / 3))
    assert compared.f1 == pytest.approx(2 / 5)
    assert compared.bytes_share == pytest.approx(10 / 400)  # only the frames in both


def test_agreement_without_common_frames_or_boxes_claims_nothing(make_record: MakeRecord) -> None:
    apart = agreement([make_record(0, source="a")], [make_record(0, source="b")])
    assert (apart.frames, apart.share) == (0, None)
    empty = agreement([make_record(0)], [make_record(0)])
    assert (empty.share, empty.precision, empty.recall, empty.f1, empty.bytes_share) == (1.0, None, None, None, None)


def test_results_that_are_not_boxes_are_left_out(make_record: MakeRecord) -> None:
    compared = agreement([make_record(0, result=[{"label": "cat"}])], [make_record(0, result=[HEAD])])
    assert (compared.frames, compared.incomparable) == (0, 1)


def test_every_run_agrees_with_itself(runs: list[Run]) -> None:
    for run in runs:
        shuffled = random.Random(1).sample(list(run.records), len(run.records))
        assert agreement(shuffled, run.records).share == 1.0


def test_order_and_numbering(make_record: MakeRecord) -> None:
    records = [make_record(2), make_record(0), make_record(1)]
    assert [record.frame for record in in_order(records)] == [0, 1, 2]
    assert is_numbered(records)
    assert not is_numbered([make_record(0), make_record(0, source="other.mp4")])


def test_cumulative_bytes(make_record: MakeRecord) -> None:
    assert cumulative_bytes([make_record(0, bytes_sent=3), make_record(1), make_record(2, bytes_sent=4)]) == [3, 3, 7]
    assert cumulative_bytes([]) == []
