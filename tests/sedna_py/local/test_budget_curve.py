"""The arithmetic of share sent against agreement: against figures counted by hand, and against chance drawn for real."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from sedna_py.decision_log import Path
from sedna_py.hard_example_mining import make_filter
from sedna_py.local.budget_curve import (
    SHARES,
    at_bytes,
    at_random,
    both_ways,
    by_budget,
    by_threshold,
    chosen,
    curve,
    joined,
    repeated,
    scores_of,
)
from sedna_py.local.budget_plot import curve_picture
from sedna_py.local.comparison import Mode
from sedna_py.local.report_budget import TITLE, budget_plot

SEEN = [10, 20, 50, 60, 0.9, 0]  # what the big model sees in every frame


def little(score: float, *, right: bool) -> list:
    return [[*(SEEN[:4] if right else [200, 200, 240, 240]), score, 0]]


@pytest.fixture
def answered(make_record):
    """Return a function: (score, whether right, bytes) of each frame -> the frames, both ways."""

    def build(frames):
        edge = [
            make_record(number, edge=little(score, right=right), result=little(score, right=right))
            for number, (score, right, _) in enumerate(frames)
        ]
        cloud = [
            make_record(number, edge=None, path=Path.CLOUD, hard=True, cloud=[SEEN], result=[SEEN], bytes_sent=size)
            for number, (_, _, size) in enumerate(frames)
        ]
        return both_ways(edge, cloud)

    return build


def test_thresholds_against_figures_counted_by_hand(answered):
    frames = answered([(0.9, True, 100), (0.2, False, 300), (0.6, True, 100), (0.4, False, 500)])
    points = by_threshold(frames, scores_of(make_filter("Threshold", {}), frames))
    assert [point.setting for point in points] == [float("-inf"), 0.2, 0.4, 0.6, 0.9]
    assert [point.sent for point in points] == [0, 0.25, 0.5, 0.75, 1]
    assert [point.bytes for point in points] == [0, 0.3, 0.8, 0.9, 1]
    assert [point.agreement for point in points] == [0.5, 0.75, 1, 1, 1]
    assert [point.f1 for point in points] == [0.5, 0.75, 1, 1, 1]
    assert at_bytes(points, 0.55) == pytest.approx(0.875)  # half the time each
    assert at_bytes(points, 1.0) == 1


def test_frames_of_equal_score_are_sent_together(answered):
    frames = answered([(0.4, True, 100), (0.4, False, 100), (0.8, True, 100)])
    points = by_threshold(frames, [0.4, 0.4, None])
    assert [(point.sent, point.agreement) for point in points] == [(0, pytest.approx(2 / 3)), (pytest.approx(2 / 3), 1)]


def test_chance_is_what_the_filter_random_gives_on_the_average(answered):
    draw = random.Random(1)
    frames = answered([(0.5, draw.random() < 0.7, draw.randrange(100, 200)) for _ in range(60)])
    drawn = []
    for seed in range(200):
        filter_ = make_filter("Random", {"random_ratio": 0.3})
        filter_._rng = random.Random(seed)
        drawn.append(chosen(0.3, frames, [filter_(frame.edge).hard for frame in frames]))
    expected = at_random(frames, 0.3)
    for figure in ("sent", "bytes", "agreement", "f1"):
        assert sum(getattr(point, figure) for point in drawn) / len(drawn) == pytest.approx(
            getattr(expected, figure), abs=0.01
        )


def test_a_frame_that_one_of_the_two_did_not_answer_is_left_out(make_record):
    cloud = {"path": Path.CLOUD, "cloud": [SEEN], "result": [SEEN]}
    edge = [make_record(n, edge=little(0.5, right=True), result=little(0.5, right=True)) for n in (1, 2, 4)]
    edge.append(make_record(5, edge=None, result=[]))
    text = {**cloud, "cloud": ["a dog"], "result": ["a dog"]}
    there = [make_record(n, **cloud) for n in (2, 3, 5)] + [make_record(4, **text)]
    assert [frame.key[1] for frame in both_ways(edge, there)] == [2]


def test_clips_are_played_on_without_a_gap(answered):
    clip = answered([(0.5, True, 100)] * 25)  # one second
    long = repeated(clip, 60)
    assert len(long) == 60 * 25
    steps = {round(later.at - earlier.at, 5) for earlier, later in pairwise(long)}
    assert steps == {0.04}
    both = joined([clip, clip[:10]])
    assert len(both) == 35
    assert both[25].at - both[24].at == pytest.approx(0.04)


def test_a_budget_is_kept_and_buys_more_than_chance(answered):
    draw = random.Random(3)
    # Doubtful for a second out of ten, and wrong there.
    clip = answered([(draw.gauss(0.3 if n < 25 else 0.9, 0.03), n >= 25, 1000) for n in range(250)])
    found = curve("Threshold", clip, scores_of(make_filter("Threshold", {}), clip), 200)
    assert [point.setting for point in found.budgets] == list(SHARES)
    for point in found.budgets:
        assert point.sent == pytest.approx(point.setting, abs=0.02)
        assert point.agreement > at_random(clip, point.bytes).agreement
        if point.setting >= 0.2:
            assert point.agreement > 0.99
    hard = by_budget(clip, [None] * len(clip), 0.5)
    assert not any(hard)


def test_the_report_draws_it_from_the_three_runs(runs):
    records = {run.mode: run.records for run in runs}
    plot = budget_plot(records[Mode.EDGE_ONLY], records[Mode.JOINT], records[Mode.CLOUD_ONLY])
    assert plot.title == TITLE
    assert plot.drawing.count("<circle") == len(SHARES)
    assert "budget 20" in plot.drawing


def test_what_the_cloud_did_not_answer_is_no_reference(runs):
    records = {run.mode: run.records for run in runs}
    failed = [replace(record, path=Path.FALLBACK, cloud=None) for record in records[Mode.CLOUD_ONLY]]
    plot = budget_plot(records[Mode.EDGE_ONLY], records[Mode.JOINT], failed)
    assert "Too few frames" in plot.drawing


@pytest.mark.parametrize("missing", [Mode.EDGE_ONLY, Mode.JOINT, Mode.CLOUD_ONLY])
def test_without_one_of_the_runs_the_report_says_why_there_is_no_plot(runs, missing):
    records = {run.mode: [] if run.mode is missing else run.records for run in runs}
    plot = budget_plot(records[Mode.EDGE_ONLY], records[Mode.JOINT], records[Mode.CLOUD_ONLY])
    assert "Too few frames" in plot.drawing


def test_a_picture_is_a_file_of_its_own(answered):
    clip = answered([(0.1 + n / 40, n > 10, 1000 + n) for n in range(30)])
    found = curve('<"IBT">', clip, scores_of(make_filter("Threshold", {}), clip), 10)
    panel = ("one & two", [found], [at_random(clip, 0), at_random(clip, 1)])
    picture = curve_picture([panel, panel])
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(re.findall("<circle", picture)) == 2 * len(SHARES)
    assert not re.search(r"(href|url\()", picture)
