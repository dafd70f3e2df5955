"""No second has more than the cap, whatever is asked of it and however long bodies are on their way."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from sedna_py.client.send_cap import Passage, SendCap
from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, parse_cap
from sedna_py.protocol.causes import OffloadCause


def play(cap, moments, size_of, delay_of):
    """Return (begin, end, bytes) of each body that was let go; it is on its way in between."""
    under_way, done = [], []
    for now in moments:
        for body in sorted(body for body in under_way if body[1] <= now):
            body[3].left(body[1])
            under_way.remove(body)
            done.append(body[:3])
        size = size_of(now)
        passage = cap.take(size, now)
        if isinstance(passage, Passage):
            under_way.append((now, now + delay_of(now), size, passage))
    return done + [body[:3] for body in under_way]


def fullest_second(bodies, amount_of):
    """Return the most that may have been on the wire in any one second, each body as a whole at any time of its way."""
    starts = [moment for begin, end, _ in bodies for moment in (begin - 1, begin, end - 1, end)]
    return max(sum(amount_of(b) for b in bodies if b[0] <= start + 1 and b[1] >= start) for start in starts)


STREAMS = {
    "steady": lambda chance: [n / 30 for n in range(900)],
    "all at once": lambda chance: sorted(float(n // 60) for n in range(900)),
    "bursts and pauses": lambda chance: sorted(
        chance.choice((0, 0.9, 5, 5.95, 11)) + chance.random() / 5 for _ in range(400)
    ),
    "any time": lambda chance: sorted(chance.uniform(0, 30) for _ in range(900)),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.7, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_second_has_more_bits_than_the_cap(stream, delay_s, seed):
    chance = random.Random(seed)
    bodies = play(
        SendCap(parse_cap("500 kbit/s")),
        STREAMS[stream](chance),
        lambda _: chance.choice((500, 9_000, 15_000, 31_000, 62_500, 70_000)),
        lambda _: delay_s * chance.random(),
    )
    assert len(bodies) > 5
    assert max(size for _, _, size in bodies) <= 500 * BYTES_PER_KBIT
    assert fullest_second(bodies, lambda body: body[2]) <= 500 * BYTES_PER_KBIT


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(("text", "most"), [("5 fps", 5), ("2.5 fps", 2), ("1 fps", 1), ("30 fps", 30)])
def test_no_second_has_more_frames_than_the_cap(stream, text, most):
    chance = random.Random(1)
    bodies = play(SendCap(parse_cap(text)), STREAMS[stream](chance), lambda _: 70_000, lambda _: chance.random() / 10)
    assert fullest_second(bodies, lambda _: 1) <= most
    assert len(bodies) > most


def test_less_than_a_frame_a_second_is_one_in_its_time():
    bodies = play(SendCap(parse_cap("0.2 fps")), [n / 10 for n in range(600)], lambda _: 1, lambda _: 0.0)
    assert len(bodies) == 12
    assert all(later[0] - earlier[0] >= 5 for earlier, later in pairwise(bodies))


def test_the_cap_can_be_used_up():
    """A body of half the cap goes twice a second, save for the twentieth of a second that the network may be uneven by."""
    bodies = play(SendCap(parse_cap("500 kbit/s")), [n / 100 for n in range(6000)], lambda _: 31_250, lambda _: 0.0)
    assert 0.93 * 120 <= len(bodies) <= 120


def test_what_is_too_large_for_any_second_says_so_and_costs_nothing():
    cap = SendCap(parse_cap("500 kbit/s"))
    assert cap.take(62_501, 0.0) is OffloadCause.LARGER_THAN_CAP
    assert isinstance(cap.take(62_500, 0.0), Passage)
    assert cap.take(1, 0.0) is OffloadCause.OVER_CAP


def test_tokens_come_back_a_second_after_a_body_has_left():
    cap = SendCap(parse_cap("1 fps"))
    passage = cap.take(9, 0.0)
    assert cap.full(50.0)  # still on its way
    passage.left(50.0)
    passage.left(70.0)  # said again: only the first time counts
    assert cap.full(51.0)
    assert not cap.full(51.1)


def test_a_body_that_was_not_sent_costs_nothing():
    cap = SendCap(parse_cap("1 fps"))
    cap.take(9, 0.0).left(0.1, sent=False)
    assert isinstance(cap.take(9, 0.2), Passage)


def test_full_spares_the_encoding_of_what_would_most_likely_not_fit():
    cap = SendCap(parse_cap("500 kbit/s"))
    assert not cap.full(0.0)
    cap.take(40_000, 0.0)
    assert not cap.full(0.0)  # 22.5 kB are left: more than half of the last body
    cap.take(20_000, 0.0)
    assert cap.full(0.0)


@pytest.mark.parametrize(
    ("cap", "bodies", "size", "spare"),
    [
        ("10 fps", 0, 1, True),
        ("10 fps", 4, 1, True),
        ("10 fps", 5, 1, False),  # the sixth would leave others less than half
        ("1 fps", 0, 1, True),  # half of one is none, but nobody else has asked
        ("1 fps", 1, 1, False),
        ("80 kbit/s", 1, 4000, True),
        ("80 kbit/s", 1, 4001, False),
        ("80 kbit/s", 0, 9000, True),
    ],
)
def test_what_may_wait_leaves_half_of_the_cap_to_others(cap, bodies, size, spare):
    bucket = SendCap(parse_cap(cap))
    for _ in range(bodies):
        bucket.take(1000, 100.0).left(100.0)
    assert bucket.has_spare(size, 100.5) == spare
    assert bucket.has_spare(size, 102.5)  # the tokens are back
