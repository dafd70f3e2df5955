"""IBT: hard iff (number of scores <= threshold_box) / N >= 1 - threshold_img."""

import math

import numpy as np
import pytest

from sedna_py.hard_example_mining import IBTFilter


def boxes(*scores):
    return [[0, 0, 10, 10, score, 1] for score in scores]


@pytest.mark.parametrize(
    ("threshold_img", "threshold_box", "scores", "hard"),
    [
        # score <= threshold_box, seen through one box that has to be unsure
        (0.5, 0.5, [0.49], True),
        (0.5, 0.5, [0.5], True),
        (0.5, 0.5, [math.nextafter(0.5, 1)], False),
        (0.5, 0.0, [0.0], True),
        (0.5, 1.0, [1.0], True),
        # share >= 1 - threshold_img
        (0.5, 0.5, [0.1, 0.9], True),  # 0.5 >= 0.5
        (0.5, 0.5, [0.1, 0.9, 0.9], False),  # 0.33
        (0.75, 0.5, [0.1, 0.9, 0.9, 0.9], True),  # 0.25 >= 0.25
        (0.75, 0.5, [0.1, 0.9, 0.9, 0.9, 0.9], False),  # 0.2
        (0.9, 0.9, [0.9] + [0.95] * 9, True),  # 0.1 >= 1 - 0.9, which is a little less
        (0.7, 0.5, [0.1] * 3 + [0.9] * 7, False),  # 0.3, but 1 - 0.7 is 0.30000000000000004: upstream's result too
        (0.0, 0.5, [0.1, 0.1], True),  # every box has to be unsure
        (0.0, 0.5, [0.1, 0.6], False),
        (1.0, 0.5, [0.9, 0.9], True),  # no box has to be
        ("0.5", "0.5", [0.5], True),
        ("0.9", "0.9", [0.95], False),
    ],
)
def test_share_of_unsure_boxes(threshold_img, threshold_box, scores, hard):
    assert IBTFilter(threshold_img, threshold_box)(boxes(*scores)).hard is hard


@pytest.mark.parametrize(
    ("infer_result", "reason"),
    [
        (None, "nothing to judge: no boxes"),
        ([], "nothing to judge: no boxes"),
        (np.empty((0, 6), np.float32), "nothing to judge: no boxes"),
        ([[0, 0, 1, 1]], "cannot judge: box 0 has no score at index 4"),
        ([[]], "cannot judge: box 0 has no score at index 4"),
        (boxes(0.1, 1.0001), "cannot judge: score 1 is 1.0001, outside 0 to 1"),
        (boxes(-0.0001), "cannot judge: score 0 is -0.0001, outside 0 to 1"),
        (boxes(0.1, float("nan")), "cannot judge: score 1 is nan, outside 0 to 1"),
        (boxes(float("inf")), "cannot judge: score 0 is inf, outside 0 to 1"),
        (np.array(boxes(0.1, float("nan"))), "cannot judge: score 1 is nan, outside 0 to 1"),
        (3.5, "cannot judge: float is not a list of boxes"),
    ],
)
def test_unusable_input_is_not_hard(infer_result, reason):
    decision = IBTFilter(threshold_img=1, threshold_box=1)(infer_result)
    assert (decision.hard, decision.reason, decision.score) == (False, reason, None)


@pytest.mark.parametrize("edge_of_range", [0.0, 1.0])
def test_ends_of_the_range_are_usable(edge_of_range):
    assert IBTFilter(threshold_img=1)(boxes(edge_of_range)).hard


@pytest.mark.parametrize(
    "container",
    [np.array, lambda rows: [np.array(row) for row in rows], lambda rows: np.array(rows, dtype=object), list, tuple],
)
def test_containers_are_read_alike(container):
    decision = IBTFilter(0.5, 0.6)(container(boxes(0.25, 0.5, 0.75)))
    assert decision.hard
    assert decision.score == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("scores", "threshold_img", "reason"),
    [
        ([0.1, 0.6, 0.9], 0.5, "2 of 3 boxes at or below 0.60: 0.67 >= 0.50"),
        ([0.9], 0.5, "0 of 1 box at or below 0.60: 0.00 < 0.50"),
        ([0.1] * 3 + [0.9] * 7, 0.7, "3 of 10 boxes at or below 0.60: 0.3 < 0.30000000000000004"),
    ],
)
def test_reason_has_the_numbers(scores, threshold_img, reason):
    assert IBTFilter(threshold_img, 0.6)(boxes(*scores)).reason == reason
