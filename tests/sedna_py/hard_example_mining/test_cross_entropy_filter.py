"""CrossEntropy: hard iff 1 + (sum of p ln p) / ln N < threshold."""

import math

import numpy as np
import pytest

from sedna_py.hard_example_mining import CrossEntropyFilter

SKEWED = [0.9, 0.1]  # certainty 1 - H(0.9)/ln 2 = 0.5310044064107188


@pytest.mark.parametrize(
    ("threshold", "probabilities", "hard", "score"),
    [
        (0.5, [0.5, 0.5], True, 0.0),
        (0.5, [1 / 3, 1 / 3, 1 / 3], True, 0.0),
        (0.0, [0.5, 0.5], False, 0.0),  # strictly below
        (0.53, SKEWED, False, 0.5310044064107188),
        (0.54, SKEWED, True, 0.5310044064107188),
        ("0.54", SKEWED, True, 0.5310044064107188),
        (0.5, [0.25, 0.25, 0.25, 0.25], True, 0.0),
        (0.5, [1.0, 1.0], False, 1.0),  # need not add up to 1
        # upstream stops with a math domain error here
        (1.0, [1.0, 0.0], False, 1.0),
        (0.5, [0.5, 0.5, 0.0, 0.0], False, 0.5),
        (0.51, [0.5, 0.5, 0.0, 0.0], True, 0.5),
        (1.0, [0.0, 0.0], False, 1.0),
        # upstream divides by zero here: a single class is certain
        (1.0, [1.0], False, 1.0),
        (1.0, [0.3], False, 1.0),
        (1.0, [0.0], False, 1.0),
    ],
)
def test_certainty_below_threshold_is_hard(threshold, probabilities, hard, score):
    decision = CrossEntropyFilter(threshold)(probabilities)
    assert decision.hard is hard
    assert decision.score == pytest.approx(score, abs=1e-12)


def test_threshold_itself_is_not_hard():
    exact = 1 + (0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    assert not CrossEntropyFilter(exact)(SKEWED).hard
    assert CrossEntropyFilter(math.nextafter(exact, 1))(SKEWED).hard


@pytest.mark.parametrize(
    ("infer_result", "reason"),
    [
        (None, "nothing to judge: no probabilities"),
        ([], "nothing to judge: no probabilities"),
        (np.array([]), "nothing to judge: no probabilities"),
        ([0.5, 1.1], "cannot judge: score 1 is 1.1, outside 0 to 1"),
        ([-0.1, 0.5], "cannot judge: score 0 is -0.1, outside 0 to 1"),
        ([0.5, float("nan")], "cannot judge: score 1 is nan, outside 0 to 1"),
        (np.array([np.nan, 0.5]), "cannot judge: score 0 is nan, outside 0 to 1"),
        ([0.5, "cat"], "cannot judge: probability 1 is not a number"),
        ([[0.5, 0.5]], "cannot judge: probability 0 is not a number"),
        (0.5, "cannot judge: float is not a list of probabilities"),
    ],
)
def test_unusable_input_is_not_hard(infer_result, reason):
    decision = CrossEntropyFilter(1)(infer_result)
    assert (decision.hard, decision.reason, decision.score) == (False, reason, None)


@pytest.mark.parametrize(
    "container", [np.array, tuple, lambda p: [np.float64(x) for x in p], lambda p: np.array([p])[0]]
)
def test_containers_are_read_alike(container):
    assert CrossEntropyFilter(0.54)(container(SKEWED)) == CrossEntropyFilter(0.54)(SKEWED)


def test_reason_has_the_numbers():
    assert CrossEntropyFilter()([0.5, 0.5]).reason == "certainty 0.00 < 0.50"
    assert CrossEntropyFilter()(SKEWED).reason == "certainty 0.53 >= 0.50"
