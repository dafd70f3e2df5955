"""Request headers and Server-Timing."""

from __future__ import annotations

import pytest

from sedna_py.errors import MalformedBody
from sedna_py.protocol.headers import (
    RequestHeaders,
    new_request_id,
    parse_server_timing,
    render_server_timing,
)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_was_rendered_is_read_back():
    sent = RequestHeaders("cam0-17", "abc", 1.25, TRACE)
    assert sent.render() == {
        "X-Frame-Id": "cam0-17",
        "X-Request-Id": "abc",
        "X-Deadline-Ms": "1250",
        "traceparent": TRACE,
    }
    assert RequestHeaders.parse(sent.render()) == sent


def test_names_are_read_in_any_case():
    headers = {"x-frame-id": "f", "X-REQUEST-ID": "r", "x-deadline-ms": " 40 ", "TraceParent": TRACE}
    assert RequestHeaders.parse(headers) == RequestHeaders("f", "r", 0.04, TRACE)


def test_nothing_said_is_nothing_known():
    assert RequestHeaders.parse({}) == RequestHeaders()
    assert RequestHeaders().render() == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
        ("\x00\x7f\xe9", ""),
        ("  frame 1  ", "frame 1"),
        ("x" * 1000, "x" * 128),
        ("x" * 127 + " y", "x" * 127),
    ],
)
def test_ids_are_made_harmless_both_ways(value, expected):
    assert RequestHeaders.parse({"X-Frame-Id": value}).frame_id == expected
    assert RequestHeaders.parse({"X-Request-Id": value}).request_id == expected
    assert RequestHeaders(frame_id=value).render().get("X-Frame-Id", "") == expected


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("1500", 1.5), ("0.5", 0.0005), ("3600000", 3600.0), ("", None)]
)
def test_deadlines(value, seconds):
    assert RequestHeaders.parse({"X-Deadline-Ms": value}).deadline_s == seconds


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", "1e3", "1_000", "3600001", "9" * 400, "٣", "1.", "0x10"])
def test_bad_deadlines_say_what_to_write(value):
    with pytest.raises(MalformedBody, match=r"X-Deadline-Ms .* from 0 to 3600000") as caught:
        RequestHeaders.parse({"X-Deadline-Ms": value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0"), (-3.0, "0"), (0.0129, "12"), (2.0, "2000"), (1e9, "3600000"), (float("inf"), "3600000")],
)
def test_rendered_deadlines_never_promise_more_time_than_there_is(seconds, text):
    assert RequestHeaders(deadline_s=seconds).render() == {"X-Deadline-Ms": text}


@pytest.mark.parametrize("value", ["", "00-xyz", TRACE.upper(), TRACE + "-x", "a" * 5000])
def test_a_bad_traceparent_is_ignored(value):
    assert RequestHeaders.parse({"traceparent": value}).traceparent == ""


def test_request_ids_differ():
    ids = {new_request_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id_) == 32 and int(id_, 16) >= 0 for id_ in ids)


def test_server_timing_there_and_back():
    timings = {"decode": 1.2, "infer": 8.0, "queue": 0.0}
    assert render_server_timing(timings) == "decode;dur=1.2, infer;dur=8, queue;dur=0"
    assert parse_server_timing(render_server_timing(timings)) == timings
    assert render_server_timing({}) == ""
    assert render_server_timing({"a b;c": 1.23456}) == "a_b_c;dur=1.235"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, {}),
        ("", {}),
        ("cache", {}),
        ("db;dur=53, app;dur=-1, x;dur=nan, y;dur=", {"db": 53.0}),
        ("db ; dur=1.5 ,,;dur=3", {"db": 1.5}),
        ("x" * 100_000, {}),
    ],
)
def test_server_timing_of_others_is_read_as_far_as_it_makes_sense(header, expected):
    assert parse_server_timing(header) == expected


def test_server_timing_is_bounded():
    assert len(parse_server_timing(", ".join(f"s{i};dur=1" for i in range(1000)))) == 32


@pytest.mark.parametrize(
    ("value", "urgent"),
    [
        *((value, True) for value in ("u=0", "u=3, i", "", "i", "u=9", "xu=5", "u=55", "urgent")),
        *((value, False) for value in ("u=4", "i, u=7", "u=5;x=1")),
    ],
)
def test_an_urgency_of_4_or_more_is_background_and_what_is_no_priority_is_ignored(value: str, urgent: bool) -> None:
    assert RequestHeaders.parse({"priority": value}).urgent is urgent
    rendered = RequestHeaders(urgent=urgent).render()
    assert RequestHeaders.parse(rendered).urgent is urgent


def test_headers_in_small_letters_are_read_the_same_and_others_say_nothing() -> None:
    sent = RequestHeaders("f", "r", 0.04, TRACE, urgent=False)
    lowered = {name.lower(): value for name, value in sent.render().items()}
    assert RequestHeaders.parse_lowered({"host": "x", **lowered}) == sent
    for name, value in lowered.items():  # each alone
        assert RequestHeaders.parse_lowered({name: value}) == RequestHeaders.parse({name: value}) != RequestHeaders()
    assert RequestHeaders.parse_lowered({"host": "x", "content-type": "image/jpeg"}) == RequestHeaders()
