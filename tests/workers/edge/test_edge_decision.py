"""The pure part: whose answer counts, and what the record says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sedna_py.decision_log import Path, read_records
from sedna_py.errors import EstimatorError
from sedna_py.hard_example_mining import Decision
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import make_frame, make_result
from workers.edge.decision import CloudAnswer, Progress, above, conclude, tidy, to_list

EDGE = [[0, 0, 4, 4, 0.3, 0]]
CLOUD = [[1, 1, 5, 5, 0.9, 1]]
HARD = Decision(hard=True, reason="score 0.3", score=0.30001)
EASY = Decision(hard=False, reason="score 0.3", score=0.3)


@pytest.mark.parametrize(
    ("decision", "edge", "answer", "path", "cause", "result"),
    [
        (EASY, EDGE, None, Path.EDGE, None, EDGE),
        (EASY, [], None, Path.EDGE, None, []),
        (HARD, EDGE, CloudAnswer(CLOUD, None, 7), Path.CLOUD, None, CLOUD),
        (HARD, EDGE, CloudAnswer([], None, 7), Path.CLOUD, None, []),  # the cloud saw nothing: that is an answer
        (HARD, None, CloudAnswer(CLOUD, None, 7), Path.CLOUD, None, CLOUD),
        (HARD, None, CloudAnswer(None, OffloadCause.NO_CLOUD), Path.FALLBACK, OffloadCause.NO_CLOUD, []),
        *[(HARD, EDGE, CloudAnswer(None, cause), Path.FALLBACK, cause, EDGE) for cause in OffloadCause],
    ],
)
def test_whose_answer_counts(decision, edge, answer, path, cause, result):
    progress = Progress(make_frame(), decision, edge, 2.0, answer)
    record = conclude(progress, filter_name="F", threshold=0.0, offloads_waiting=3, now=100.5).record
    assert (record.path, record.cause, record.result, record.edge) == (path, cause, result, edge)
    assert record.cloud == (answer.result if answer else None)
    assert record.bytes_sent == (answer.bytes_sent if answer else 0)
    assert (record.hard, record.reason, record.offloads_waiting) == (decision.hard, decision.reason, 3)
    assert next(read_records([record.to_line()])) == record


def test_times_are_in_milliseconds_and_absent_where_a_stage_was_not_passed():
    asked = make_result(edge_ms=12.34567, answer=CloudAnswer(CLOUD, None, 7, 1.5, 40.0)).record
    assert asked.captured == 1_700_000_000.0
    assert asked.emitted == 1_700_000_000.5
    latency = asked.latency_ms
    assert (latency.wait, latency.edge, latency.encode, latency.cloud, latency.total) == (250, 12.346, 1.5, 40.0, 500)
    easy = make_result(edge_ms=3.0).record.latency_ms
    assert (easy.edge, easy.encode, easy.cloud) == (3.0, None, None)
    mined_first = make_result(answer=CloudAnswer(CLOUD, None, 7, 1.5, 40.0)).record.latency_ms
    assert mined_first.edge is None


def test_the_size_is_the_frames_own():
    record = make_result(shown=np.zeros((30, 40, 3), np.uint8)).record
    assert (record.width, record.height) == (40, 30)


@pytest.mark.parametrize(
    ("boxes", "threshold", "shown"),
    [
        (None, 0.5, []),
        ([], 0.0, []),
        ([[0, 0, 1, 1, 0.5, 0]], 0.5, [[0, 0, 1, 1, 0.5, 0]]),
        ([[0, 0, 1, 1, 0.49, 0]], 0.5, []),
        ([[0, 0, 1, 1, 0.49, 0]], 0.0, [[0, 0, 1, 1, 0.49, 0]]),
        (["a text", 3, [1, 2]], 0.5, ["a text", 3, [1, 2]]),
        ([[0, 0, 1, 1, "high", 0]], 0.5, [[0, 0, 1, 1, "high", 0]]),
    ],
)
def test_display_threshold(boxes, threshold, shown):
    assert above(boxes, threshold) == shown


@pytest.mark.parametrize(
    ("result", "listed"),
    [
        (None, []),
        ([], []),
        (np.zeros((0, 6)), []),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ([np.array([1.5, 2.0])], [[1.5, 2.0]]),
        ([[np.float32(0.5), np.int64(3)]], [[0.5, 3]]),
        (((1, 2), (3,)), [[1, 2], [3]]),
        (np.float32(0.25), [0.25]),
        ("a text", ["a text"]),
        ({"label": np.int64(3), 4: (True, None)}, [{"label": 3, "4": [True, None]}]),
    ],
)
def test_an_estimators_answer_becomes_a_list_that_json_can_carry(result, listed):
    assert to_list(result) == listed
    assert json.loads(json.dumps(to_list(result), allow_nan=False)) == listed


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([[0, 0, 1, 1, math.nan, 0]], "nan; return finite numbers"),
        (np.array([np.inf]), "inf; return finite numbers"),
        ([object()], "object; return lists"),
        ({1, 2}, "set; return lists"),
    ],
)
def test_an_answer_that_json_cannot_carry_is_the_estimators_error(result, message):
    with pytest.raises(EstimatorError, match=message):
        to_list(result)


def test_a_filters_numpy_values_and_nan_do_not_reach_the_record():
    decision = tidy(Decision(np.bool_(True), "r", np.float32(0.5)))
    assert (type(decision.hard), type(decision.score)) == (bool, float)
    assert tidy(Decision(True, "r", math.nan)).score is None
    record = make_result(decision=decision).record
    assert json.loads(record.to_line())["score"] == 0.5
