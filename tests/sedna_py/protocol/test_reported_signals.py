"""Signals in a worker's report, honest and not."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.client.local_controller import InferenceCounts, WorkerIdentity, build_report
from sedna_py.errors import MalformedBody
from sedna_py.protocol.reported_signals import parse_signals, read_signals, write_signals
from sedna_py.protocol.worker_report import MAX_REPORT_BYTES, parse_report

TOLD = Snapshot(
    12.5, 1.7e9, 1000.0, 900.0, 90.0, 50.125, 10.5, 30.25, 2.0, (0.0,) * 10 + (3.0,) * 3 + (900.0,), 250.0, 0.125
)
IDENTITY = WorkerIdentity("helmet-deployment-edge-6d4f-abcde", "default", "helmet")


def report(signals: object = None) -> bytes:
    body = build_report(IDENTITY, InferenceCounts(7, 2), 0.0, 30.0)
    body["ownerInfo"] |= {} if signals is None else {"signals": signals}
    return json.dumps(body).encode()


def test_what_is_written_is_read():
    body = json.dumps(build_report(IDENTITY, InferenceCounts(7, 2), 0.0, 30.0, TOLD)).encode()
    read = parse_report(IDENTITY.worker, body)
    assert (read.signals, read.problem, read.inferences) == (TOLD, "", 7)


def test_the_same_is_read_as_a_page_of_its_own():
    assert parse_signals(json.dumps(write_signals(TOLD)).encode()) == TOLD
    bare = replace(TOLD, latency=(), hard=None, backlog_age_s=None)
    assert parse_signals(json.dumps(write_signals(bare)).encode()) == bare


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"presentS": float("nan")}, "signals.presentS: "),
        ({"presentS": 1e308}, "signals.presentS: "),
        ({"presentS": -1}, "signals.presentS: "),
        ({"presentS": "1"}, "signals.presentS: "),
        ({"began": None}, "signals.began: "),
        ({"latency": [1.0] * 3}, "the latency has 3 buckets"),
        ({"latency": [2.0] + [1.0] * 13}, "has fewer requests than the one below it"),
    ],
)
def test_a_page_that_lies_is_refused_in_one_line(change, problem):
    with pytest.raises(MalformedBody, match=problem) as caught:
        parse_signals(json.dumps(write_signals(TOLD) | change).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"x" * 1000, b"\xff{}"])
def test_a_page_that_is_none_is_refused(body):
    with pytest.raises(MalformedBody):
        parse_signals(body)


def test_a_report_of_the_largest_counts_is_far_from_the_bound():
    most = replace(TOLD, **dict.fromkeys(("offered", "present_s", "busy_s"), 1e15 / 3), latency=(1e15 / 3,) * 14)
    body = json.dumps(build_report(IDENTITY, InferenceCounts(2**53, 2**53), 0.0, 30.0, most))
    assert len(body) < MAX_REPORT_BYTES / 10


def test_a_report_without_signals_is_upstreams():
    read = parse_report(IDENTITY.worker, report())
    assert (read.signals, read.problem) == (None, "")
    assert "signals" not in build_report(IDENTITY, InferenceCounts(7, 2), 0.0, 30.0)["ownerInfo"]


def test_what_a_newer_worker_tells_besides_is_left_out():
    assert read_signals({**write_signals(TOLD), "gpuSeconds": 4, "latency": None or []}).done == 900.0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"done": -1}, "ownerInfo.signals.done: Input should be greater than or equal to 0"),
        ({"done": 1e308}, "ownerInfo.signals.done: Input should be less than or equal to 1000000000000000"),
        ({"done": 10**400}, "ownerInfo.signals.done: "),
        ({"done": float("nan")}, "ownerInfo.signals.done: Input should be a finite number"),
        ({"done": float("inf")}, "ownerInfo.signals.done: Input should be a finite number"),
        ({"done": "7"}, "ownerInfo.signals.done: Input should be a valid number"),
        ({"done": None}, "ownerInfo.signals.done: Input should be a valid number"),
        ({"began": True}, "ownerInfo.signals.began: Input should be a valid number"),
        ({"latency": [1.0] * 13}, "the latency has 13 buckets; there are 14"),
        ({"latency": [1.0] * 13 + [0.5]}, "a bucket of the latency has fewer requests than the one below it"),
        ({"latency": [float("nan")] * 14}, "ownerInfo.signals.latency.0: Input should be a finite number"),
        ({"hard": -0.5}, "ownerInfo.signals.hard: Input should be greater than or equal to 0"),
        ({"backlogAgeS": {}}, "ownerInfo.signals.backlogAgeS: Input should be a valid number"),
    ],
)
def test_signals_that_cannot_be_used_cost_no_counts(change: dict[str, object], problem: str):
    read = parse_report(IDENTITY.worker, report({**write_signals(TOLD), **change}))
    assert (read.inferences, read.hard_examples, read.signals) == (7, 2, None)
    assert read.problem.startswith(f"the counts are taken, the signals are not: {problem}")
    assert "\n" not in read.problem


@pytest.mark.parametrize("signals", [[], "many", 7, {}, {"at": 1}, False])
def test_signals_of_another_shape_cost_no_counts(signals: object):
    read = parse_report(IDENTITY.worker, report(signals))
    assert (read.inferences, read.signals) == (7, None)
    assert read.problem


def test_no_damage_raises_anything_else():
    dice = random.Random(5)
    whole = report(write_signals(TOLD)).decode()
    for _ in range(3000):
        text = list(whole)
        for _ in range(dice.randint(1, 5)):
            place = dice.randrange(len(text))
            text[place : place + dice.randint(0, 4)] = dice.choices('0123456789eE.-+{}[],:"naif', k=dice.randint(0, 4))
        try:
            read = parse_report(IDENTITY.worker, "".join(text).encode())
        except MalformedBody:
            continue
        if read.signals is not None:
            assert all(0 <= value <= 1e15 for value in (read.signals.at, read.signals.done, *read.signals.latency))
