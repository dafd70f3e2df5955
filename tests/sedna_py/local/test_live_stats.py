from __future__ import annotations

from collections.abc import Callable

import pytest

from sedna_py.decision_log import DecisionRecord, Emit, Latency, Path
from sedna_py.local.comparison import Run
from sedna_py.local.figures import summarize
from sedna_py.local.live_stats import MOST_IN_WINDOW, RECENT_SCORES, LiveStats, sparkline

MakeRecord = Callable[..., DecisionRecord]


def fed(records: list[DecisionRecord]) -> LiveStats:
    stats = LiveStats()
    for record in records:
        stats.add(record)
    return stats


def test_nothing_is_known_before_the_first_frame() -> None:
    snapshot = LiveStats().snapshot(now=100.0)
    assert (snapshot.frames, snapshot.frames_per_second, snapshot.hard_share) == (0, None, None)
    assert (snapshot.cloud_p50_ms, snapshot.last, snapshot.scores) == (None, None, ())


def test_a_frame_counts_once_however_many_answers_it_has(make_record: MakeRecord) -> None:
    hard = {"hard": True, "path": Path.CLOUD, "bytes_sent": 700}
    records = [
        make_record(1, hard=True, emit=Emit.FIRST),
        make_record(1, **hard, emit=Emit.CORRECTION),
        make_record(9, **hard, emit=Emit.LATE, captured=1.0, run="of old"),
    ]
    snapshot = fed(records).snapshot(now=records[1].emitted)
    assert (snapshot.frames, snapshot.hard_share, snapshot.late, snapshot.bytes_sent) == (1, 1.0, 1, 1400)
    assert snapshot.last == records[1]
    assert len(snapshot.scores) == 1


def test_the_rate_is_that_of_the_last_two_seconds(make_record: MakeRecord) -> None:
    stats = fed([make_record(n, captured=100 + n / 10, emitted=100 + n / 10) for n in range(100)])  # until 109.9
    assert stats.snapshot(now=109.95).frames_per_second == pytest.approx(10.0)
    assert stats.snapshot(now=110.95).frames_per_second == pytest.approx(5.0)
    assert stats.snapshot(now=200.0).frames_per_second == 0.0


def test_a_young_run_is_measured_from_its_first_capture(make_record: MakeRecord) -> None:
    stats = fed([make_record(n, captured=0.0, emitted=0.1 * (n + 1)) for n in range(5)])
    assert stats.snapshot(now=0.5).frames_per_second == pytest.approx(10.0)
    assert stats.snapshot(now=0.0).frames_per_second is None


def test_a_rate_beyond_the_window_is_still_right(make_record: MakeRecord) -> None:
    step = 1 / 5000
    stats = fed([make_record(n, captured=10.0, emitted=10 + n * step) for n in range(3 * MOST_IN_WINDOW)])
    now = 10 + 3 * MOST_IN_WINDOW * step
    assert stats.snapshot(now).frames_per_second == pytest.approx(5000, rel=0.01)


def test_the_totals_are_those_of_the_figures(runs: list[Run]) -> None:
    records = list(runs[1].records)
    summary, snapshot = summarize(records), fed(records).snapshot(now=records[-1].emitted)
    assert (snapshot.frames, snapshot.bytes_sent) == (summary.frames, summary.bytes_sent)
    assert snapshot.hard_share == summary.hard_share
    assert snapshot.fallbacks == summary.fallbacks
    assert summary.cloud_ms is not None
    assert snapshot.cloud_p50_ms == summary.cloud_ms.p50
    assert snapshot.last == records[-1]


def test_windows_are_bounded(make_record: MakeRecord) -> None:
    stats = fed([make_record(n, latency_ms=Latency(cloud=float(n))) for n in range(1000)])
    snapshot = stats.snapshot(now=0.0)
    assert len(snapshot.scores) == RECENT_SCORES
    assert snapshot.cloud_p50_ms == pytest.approx(899.5)  # the median of the last 200


def test_a_fallback_without_a_cause_is_counted(make_record: MakeRecord) -> None:
    assert fed([make_record(0, path=Path.FALLBACK)]).snapshot(0.0).fallbacks == {"not_stated": 1}


def test_sparkline() -> None:
    assert sparkline([0.0, 0.5, 1.0, None, -3.0, 7.0]) == "▁▅█·▁█"
    assert sparkline([]) == ""
