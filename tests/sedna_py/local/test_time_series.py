from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sedna_py.decision_log import DecisionRecord, Emit, Latency
from sedna_py.local.comparison import Run
from sedna_py.local.time_series import MOST_BINS, per_second

MakeRecord = Callable[..., DecisionRecord]


def test_bins_hold_what_was_emitted_in_them(make_record: MakeRecord) -> None:
    def at(second: float, **changes: object) -> DecisionRecord:
        return make_record(int(second * 100), captured=100.0 + second, emitted=100.0 + second, **changes)

    asked = Latency(cloud=80.0)
    records = [
        at(0.0, frames_waiting=2),
        at(0.5, hard=True, bytes_sent=3000, latency_ms=asked, offloads_waiting=3),
        at(1.2, hard=True),
        at(3.0),
    ]
    series = per_second(records)
    np.testing.assert_allclose(series.end, [1, 2, 3])
    np.testing.assert_allclose(series.frames_per_second, [2, 1, 1])
    np.testing.assert_allclose(series.hard_share, [0.5, 1, 0])
    np.testing.assert_allclose(series.upload_share, [0.5, 0, 0])
    np.testing.assert_allclose(series.kilobytes_sent, [3, 0, 0])
    np.testing.assert_allclose(series.cloud_p50_ms, [80, np.nan, np.nan])
    np.testing.assert_allclose(series.frames_waiting, [2, 0, 0])
    np.testing.assert_allclose(series.offloads_waiting, [3, 0, 0])
    np.testing.assert_allclose(series.middle, [0.5, 1.5, 2.5])


def test_the_last_bin_takes_the_rest(make_record: MakeRecord) -> None:
    records = [make_record(n, captured=n * 0.1, emitted=n * 0.1) for n in range(26)]  # 2.5 s
    series = per_second(records)
    np.testing.assert_allclose(series.end, [1, 2.5])
    assert series.frames_per_second[1] == pytest.approx(16 / 1.5)


def test_no_frame_is_lost_or_counted_twice(runs: list[Run]) -> None:
    for run in runs:
        series = per_second(run.records)
        assert (series.frames_per_second * (series.end - series.start)).sum() == pytest.approx(len(run.records))
        assert series.kilobytes_sent.sum() == pytest.approx(sum(r.bytes_sent for r in run.records) / 1000)


def test_empty_and_momentary_runs(make_record: MakeRecord) -> None:
    assert per_second([]).frames_per_second.size == 0
    moment = per_second([make_record(0, emitted=5.0, captured=5.0)])
    assert np.isnan(moment.frames_per_second).all()
    assert moment.hard_share.tolist() == [0.0]


def test_a_wrong_clock_does_not_fill_the_memory(make_record: MakeRecord) -> None:
    series = per_second([make_record(0, captured=0.0), make_record(1)])  # half a century
    assert len(series.start) <= MOST_BINS


def test_a_frame_is_in_one_bin_whatever_came_before_and_after_it(make_record: MakeRecord) -> None:
    at = {"captured": 100.0, "emitted": 100.5}
    answers = [make_record(1, **at, emit=Emit.FIRST), make_record(1, **at, emit=Emit.CORRECTION)]
    late = make_record(9, captured=50.0, emitted=400.0, emit=Emit.LATE)
    assert per_second([*answers, late]).frames_per_second.tolist() == per_second(answers[1:]).frames_per_second.tolist()
