from __future__ import annotations

import pytest

from sedna_py.hard_example_mining import Decision
from sedna_py.mining import (
    NO_FILTER,
    EdgeAnswer,
    Increment,
    MiningMode,
    increment,
    keep_edge,
    parse_mode,
    take_cloud,
)

HARD = Decision(True, "score 0.2 is below 0.5", 0.2)
EASY = Decision(False, "score 0.9 is not below 0.5", 0.9)
EDGE = EdgeAnswer(raw="raw", shown="shown")
FIRST, LATER = MiningMode.MINING_THEN_INFERENCE, MiningMode.INFERENCE_THEN_MINING


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (keep_edge(NO_FILTER, EDGE), [False, "shown", "raw", None]),
        (keep_edge(EASY, EDGE), [False, "shown", "raw", None]),
        (keep_edge(HARD, EDGE, "overloaded"), [True, "shown", "raw", None]),
        (take_cloud(HARD, EDGE, ["c"]), [True, ["c"], "raw", ["c"]]),
        (take_cloud(HARD, None, {"result": ["c"]}), [True, {"result": ["c"]}, None, {"result": ["c"]}]),
    ],
)
def test_the_four_items(answer, expected):
    assert answer.as_list() == expected
    assert type(answer.as_list()[0]) is bool


def test_the_reason_names_the_filter_and_the_cause():
    assert keep_edge(HARD, EDGE, "overloaded").reason == "score 0.2 is below 0.5; no answer from the cloud: overloaded"
    assert keep_edge(EASY, EDGE).reason == EASY.reason


@pytest.mark.parametrize(
    ("mode", "hard", "once", "expected"),
    [
        (LATER, False, False, Increment(1, 0)),
        (LATER, True, False, Increment(2, 1)),
        (LATER, True, True, Increment(1, 1)),
        (FIRST, False, False, Increment(1, 0)),
        (FIRST, True, False, Increment(1, 1)),
        (FIRST, True, True, Increment(1, 1)),
    ],
)
def test_what_an_example_counts(mode, hard, once, expected):
    assert increment(mode, hard=hard, hard_once=once) == expected


def test_modes():
    assert parse_mode("inference-then-mining") is LATER
    assert parse_mode("mining-then-inference") is FIRST
    with pytest.raises(ValueError, match="Invalid MINING_MODE: 'both'; write inference-then-mining or"):
        parse_mode("both")
