from __future__ import annotations

from collections.abc import Callable

import pytest

from sedna_py.decision_log import DecisionRecord, Latency
from sedna_py.local.comparison import Run
from sedna_py.local.plot import thin
from sedna_py.local.report_plots import MOST_MARKS, frame_axis, plots_by_frame
from sedna_py.local.report_time_plots import plots_by_time

MakeRecord = Callable[..., DecisionRecord]


@pytest.mark.parametrize("most", [2, 3, 10, 99, 100, 101])
def test_thin_keeps_first_and_last(most: int) -> None:
    kept = thin(range(100), most)
    assert len(kept) == min(most, 100)
    assert (kept[0], kept[-1]) == (0, 99)
    assert kept == sorted(set(kept))


def test_every_frame_stands_in_the_lane_of_its_path(runs: list[Run]) -> None:
    strip, score, latency, sent = plots_by_frame(runs[1].records, runs[2].records)
    assert 'aria-label="Whose answer each frame got: edge 80, cloud 32, fallback 8"' in strip.drawing
    scored = [record for record in runs[1].records if record.score is not None]
    assert score.drawing.count("<title>") == len(scored)
    assert f"{len(runs[1].records) - len(scored)} of 120 frames without a score" in score.caption
    assert latency.drawing.count("<title>") == 120
    assert "(n = 32)" in latency.legend
    assert sent.drawing.count("<polyline") == 2


def test_gaps_are_counted(make_record: MakeRecord) -> None:
    records = [make_record(0), make_record(1), make_record(5)]
    assert plots_by_frame(records, [])[0].caption.startswith("3 frames between")
    assert plots_by_frame(records[:2], [])[0].caption == ""


def test_frames_of_several_sources_stand_in_order_of_capture(make_record: MakeRecord) -> None:
    records = [make_record(0), make_record(0, source="other.mp4"), make_record(1)]
    frames = frame_axis([records])
    assert not frames.numbered
    assert frames.positions(records) == [0, 1, 2]
    assert frames.axis.label == "frame, in order of capture"


def test_a_wide_spread_of_latencies_gets_a_logarithmic_scale(make_record: MakeRecord) -> None:
    usual = [make_record(n) for n in range(20)]
    assert "Logarithmic" not in plots_by_frame(usual, [])[2].caption
    slow = make_record(20, latency_ms=Latency(total=4000.0))
    assert "Logarithmic" in plots_by_frame([*usual, slow], [])[2].caption


def test_the_page_does_not_grow_with_the_run(make_record: MakeRecord) -> None:
    records = [make_record(n, bytes_sent=n % 2) for n in range(5 * MOST_MARKS)]
    plots = plots_by_frame(records, records)
    assert plots[1].drawing.count("<title>") == MOST_MARKS
    assert "At most" in plots[1].caption
    assert sum(len(plot.drawing) for plot in plots) < 400_000


def test_empty_runs_are_told_in_words(make_record: MakeRecord) -> None:
    for plot in [*plots_by_frame([], []), *plots_by_time([])]:
        assert 'class="empty"' in plot.drawing, plot.title
    easy = [make_record(0, score=None), make_record(30, score=None)]
    told = {plot.title: 'class="empty"' in plot.drawing for plot in [*plots_by_frame(easy, []), *plots_by_time(easy)]}
    assert told["Score of the edge’s answer"]
    assert told["Sent to the cloud up to each frame"]
    assert told["Cloud round trip"]
    assert not told["Frames per second"]
