"""What a correction says about later frames: by overlap with the corrected frame, for a bounded time, and a source at a time."""

from __future__ import annotations

import pytest

from workers.edge.overlay import KEEP_S, SAME_PLACE, Overlay

LEFT, RIGHT = [0, 0, 100, 100], [300, 0, 400, 100]
FRAME_S = 0.04


def box(place, score=0.4, kind=0):
    return [*place, score, kind]


def moved(place, across, down=0):
    return [place[0] + across, place[1] + down, place[2] + across, place[3] + down]


def corrected(edge, cloud, at=10.0):
    overlay = Overlay()
    overlay.correct("camera", at, edge, cloud)
    return overlay


def test_without_a_correction_the_edges_answer_is_shown():
    answer = [box(LEFT), "not a box"]
    assert Overlay().apply("camera", 1.0, answer) == answer


def test_the_corrected_frame_itself_gets_the_clouds_answer():
    cloud = [box([2, 2, 98, 98], 0.95, 3), box(RIGHT, 0.8, 1)]
    assert corrected([box(LEFT)], cloud).apply("camera", 10.0, [box(LEFT)]) == cloud


def test_a_corrected_box_replaces_the_edges_and_moves_with_it():
    overlay = corrected([box(LEFT)], [box([10, 10, 90, 90], 0.95, 3)])
    assert overlay.apply("camera", 10.04, [box(moved(LEFT, 6, 4), 0.3)]) == [[16, 14, 96, 94, 0.95, 3]]


def test_what_has_moved_away_is_the_edges_business_again():
    overlay = corrected([box(LEFT)], [box(LEFT, 0.95, 3)])
    near, far = moved(LEFT, 30), moved(LEFT, 40)  # overlaps of 0.54 and 0.43
    assert overlay.apply("camera", 10.04, [box(near)]) == [box(near, 0.95, 3)]
    assert overlay.apply("camera", 10.08, [box(far)]) == [box(far)]
    assert SAME_PLACE == 0.5


def test_a_denied_box_is_left_out_as_long_as_something_overlaps_it():
    overlay = corrected([box(LEFT), box(RIGHT)], [box(RIGHT, 0.9)])
    for index in range(1, 100):  # four seconds
        shown = overlay.apply("camera", 10.0 + index * FRAME_S, [box(LEFT), box(RIGHT)])
        assert shown == [box(RIGHT, 0.9)]
    overlay.apply("camera", 14.0, [])
    assert overlay.apply("camera", 14.0 + KEEP_S - 0.1, [box(LEFT)]) == []  # a gap that short is none
    assert overlay.apply("camera", 15.0 + 2 * KEEP_S, [box(LEFT)]) == [box(LEFT)]


def test_what_only_the_cloud_saw_stays_for_a_short_time():
    overlay = corrected([], [box(LEFT, 0.9, 2)])
    assert overlay.apply("camera", 10.0 + KEEP_S - 0.01, [box(RIGHT)]) == [box(RIGHT), box(LEFT, 0.9, 2)]
    assert overlay.apply("camera", 10.0 + KEEP_S + 0.01, [box(RIGHT)]) == [box(RIGHT)]


def test_where_the_edge_sees_it_too_it_is_not_drawn_twice():
    overlay = corrected([], [box(LEFT, 0.9, 2)])
    assert overlay.apply("camera", 10.1, [box(moved(LEFT, 10), 0.6, 0)]) == [box(moved(LEFT, 10), 0.9, 2)]


def test_each_box_has_one_partner_and_the_best_overlap_comes_first():
    overlay = corrected([box(LEFT), box(moved(LEFT, 20))], [box(moved(LEFT, 20), 0.9, 7)])
    assert overlay.apply("camera", 10.1, [box(LEFT), box(moved(LEFT, 20))]) == [box(moved(LEFT, 20), 0.9, 7)]


def test_a_newer_correction_replaces_an_older_one_and_an_older_one_is_ignored():
    overlay = corrected([box(LEFT)], [box(LEFT, 0.9, 1)])
    overlay.correct("camera", 10.2, [box(LEFT)], [box(LEFT, 0.8, 2)])
    overlay.correct("camera", 10.1, [box(LEFT)], [])
    assert overlay.apply("camera", 10.3, [box(LEFT)]) == [box(LEFT, 0.8, 2)]


def test_frames_before_the_corrected_one_are_left_alone():
    assert corrected([box(LEFT)], []).apply("camera", 9.9, [box(LEFT)]) == [box(LEFT)]


def test_sources_have_nothing_to_do_with_each_other():
    assert corrected([box(LEFT)], []).apply("other", 10.1, [box(LEFT)]) == [box(LEFT)]


@pytest.mark.parametrize(("edge", "cloud"), [([{"a": 1}], [box(LEFT)]), ([box(LEFT)], ["cat"])])
def test_results_that_are_not_boxes_change_nothing(edge, cloud):
    assert corrected(edge, cloud).apply("camera", 10.1, [box(LEFT)]) == [box(LEFT)]
    assert corrected([box(LEFT)], []).apply("camera", 10.1, ["cat"]) == ["cat"]
