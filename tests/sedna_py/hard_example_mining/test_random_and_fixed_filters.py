"""Random, CloudOnly, EdgeOnly: the data does not matter."""

import math
import random

import numpy as np
import pytest

from sedna_py.hard_example_mining import CloudOnlyFilter, EdgeOnlyFilter, RandomFilter

ANYTHING = [None, [], "a question", np.zeros((2, 6)), {"any": "thing"}, float("nan")]


class Drawing(random.Random):
    """Draws the given number."""

    def __init__(self, number):
        super().__init__(0)
        self._number = number

    def random(self):
        return self._number


@pytest.mark.parametrize(
    ("ratio", "drawn", "hard"),
    [
        (0.3, 0.29, True),
        (0.3, 0.3, False),
        (0.3, 0.31, False),
        ("0.3", 0.29, True),  # upstream stops with a TypeError here
        ("0.3", 0.3, False),
        (0, 0.0, False),
        ("1", math.nextafter(1.0, 0.0), True),
    ],
)
def test_random_is_hard_below_the_ratio(ratio, drawn, hard):
    assert RandomFilter(ratio, rng=Drawing(drawn))().hard is hard


def test_random_hits_its_share():
    mining_filter = RandomFilter("0.3", rng=random.Random(1))
    assert sum(mining_filter(None).hard for _ in range(10_000)) == pytest.approx(3000, abs=150)


def test_random_does_not_touch_the_shared_generator():
    random.seed(5)
    before = random.getstate()
    RandomFilter()(None)
    assert random.getstate() == before


def test_random_says_what_it_drew():
    decision = RandomFilter(0.3, rng=Drawing(0.12))("x")
    assert (decision.reason, decision.score) == ("drew 0.12 < 0.30", None)


@pytest.mark.parametrize("data", ANYTHING)
def test_fixed_filters_ignore_the_data(data):
    assert CloudOnlyFilter()(data).hard is True
    assert EdgeOnlyFilter()(data).hard is False
    assert RandomFilter(1)(data).hard is True


def test_fixed_filters_ignore_parameters():
    assert CloudOnlyFilter(threshold="x")().reason == "every frame goes to the cloud"
    assert EdgeOnlyFilter(threshold="x")().reason == "every frame stays at the edge"
