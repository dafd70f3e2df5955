"""Threshold: hard iff mean(score) < threshold."""

import math

import numpy as np
import pytest

from sedna_py.hard_example_mining import ThresholdFilter


def boxes(*scores):
    return [[0, 0, 10, 10, score, 1] for score in scores]


@pytest.mark.parametrize(
    ("threshold", "scores", "hard"),
    [
        (0.5, [0.49], True),
        (0.5, [0.5], False),  # strictly below
        (0.5, [0.51], False),
        (0.5, [math.nextafter(0.5, 0)], True),
        (0.5, [0.2, 0.8], False),
        (0.5, [0.2, 0.79], True),
        ("0.5", [0.49], True),
        (" 0.5 ", [0.5], False),
        (0, [0.0], False),
        (1, [1.0], False),
        (1, [1.0, 0.999], True),
        (0.1, [0.1] * 10, True),  # added one by one this is 0.9999999999999999, as upstream has it
        (0.5, [3.0, -2.9], True),  # upstream does not check the range here: the mean is 0.05
        (0.5, [1.7], False),
    ],
)
def test_mean_below_threshold_is_hard(threshold, scores, hard):
    assert ThresholdFilter(threshold=threshold)(boxes(*scores)).hard is hard


@pytest.mark.parametrize(
    ("infer_result", "reason"),
    [
        (None, "nothing to judge: no boxes"),
        ([], "nothing to judge: no boxes"),
        ((), "nothing to judge: no boxes"),
        (np.zeros((0, 6)), "nothing to judge: no boxes"),
        ("", "nothing to judge: no boxes"),
        ([[0, 0, 1, 1]], "cannot judge: box 0 has no score at index 4"),
        ([[0, 0, 1, 1, 0.1], [0, 0]], "cannot judge: box 1 has no score at index 4"),
        ([[0, 0, 1, 1, "high", 0]], "cannot judge: box 0 has no score at index 4"),
        ([[0, 0, 1, 1, None, 0]], "cannot judge: box 0 has no score at index 4"),
        ([0.1, 0.2], "cannot judge: box 0 has no score at index 4"),
        (np.array([0.1, 0.2]), "cannot judge: box 0 has no score at index 4"),
        ([{"score": 0.1}], "cannot judge: box 0 has no score at index 4"),
        (7, "cannot judge: int is not a list of boxes"),
        (np.float32(0.1), "cannot judge: float is not a list of boxes"),
        (boxes(0.1, float("nan")), "cannot judge: the mean score is nan"),
        (boxes(0.1, float("-inf")), "cannot judge: the mean score is -inf"),
    ],
)
def test_unusable_input_is_not_hard(infer_result, reason):
    decision = ThresholdFilter(threshold=1)(infer_result)
    assert (decision.hard, decision.reason, decision.score) == (False, reason, None)


@pytest.mark.parametrize(
    "container",
    [
        np.array,
        lambda rows: [np.array(row) for row in rows],
        lambda rows: tuple(tuple(row) for row in rows),
        lambda rows: np.array(rows, dtype=np.float32),
        lambda rows: [[*row[:4], np.float32(row[4]), row[5]] for row in rows],
        lambda rows: [[*row[:4], np.array([row[4]])[0], row[5]] for row in rows],
    ],
)
def test_containers_are_read_alike(container):
    assert ThresholdFilter(0.5)(container(boxes(0.25, 0.5))).score == 0.375
    assert ThresholdFilter(0.5)(container(boxes(0.25, 0.5))).hard
    assert not ThresholdFilter(0.375)(container(boxes(0.25, 0.5))).hard


@pytest.mark.parametrize(
    ("threshold", "score", "reason"),
    [
        (0.5, 0.41, "mean score 0.41 < 0.50"),
        (0.5, 0.6, "mean score 0.60 >= 0.50"),
        (0.5, 0.4999, "mean score 0.4999 < 0.50"),  # never "0.50 < 0.50"
        (0.905, 0.905, "mean score 0.905 >= 0.905"),
        (0.5, math.nextafter(0.5, 0), "mean score 0.49999999999999994 < 0.5"),
    ],
)
def test_reason_has_the_numbers(threshold, score, reason):
    assert ThresholdFilter(threshold)(boxes(score)).reason == reason
