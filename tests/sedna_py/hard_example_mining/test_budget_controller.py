"""A budget is held over every minute, whatever the scores do, and is spent on the hardest frames."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from itertools import pairwise

import pytest

from sedna_py.hard_example_mining.budget import BudgetController, Why
from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, parse_budget
from sedna_py.hard_example_mining.pace import Pace
from sedna_py.hard_example_mining.recent_scores import FEWEST
from tests.sedna_py.hard_example_mining.streams import STREAMS, times, windows

SEEDS = range(4)
SECONDS = 180


def shares(fps_of_parts, stream, budget="20%", seed=0):
    """Return the share of hard frames in every minute of a clip whose parts have these frame rates."""
    chance, at = random.Random(seed), []
    for part, fps in enumerate(fps_of_parts):
        at += times(fps, SECONDS / len(fps_of_parts), chance, part * SECONDS / len(fps_of_parts))
    controller = BudgetController(parse_budget(budget))
    hard = [controller.judge(STREAMS[stream](chance, now), now).hard for now in at]
    return [count / frames for frames, count in windows(at, hard, 60)]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("fps", [2, 5, 30])
def test_a_share_holds_in_every_minute(stream, fps):
    for seed in SEEDS:
        found = shares([fps], stream, seed=seed)
        assert len(found) > fps * 100
        assert min(found) >= 0.18
        assert max(found) <= 0.22


@pytest.mark.parametrize("percent", [1, 50, 90, 99])
@pytest.mark.parametrize("stream", STREAMS)
def test_other_shares_hold_as_well(stream, percent):
    found = shares([5], stream, f"{percent}%")
    assert percent / 100 - 0.02 <= min(found)
    assert max(found) <= percent / 100 + 0.02


@pytest.mark.parametrize("rates", [[30, 15], [15, 30], [5, 10, 5], [5, 30], [20, 10, 5]])
def test_a_share_holds_nearly_where_the_frame_rate_is_halved_or_grows(rates):
    for stream in ("even", "bursts", "a minute each"):
        for seed in SEEDS:
            found = shares(rates, stream, seed=seed)
            assert min(found) >= 0.175
            assert max(found) <= 0.235


def test_everything_and_next_to_nothing():
    assert set(shares([5], "even", "100%")) == {1.0}
    assert max(shares([5], "even", "0.1%")) <= 1 / 300 + 1e-9


def test_the_hardest_frames_are_chosen():
    chance, controller = random.Random(1), BudgetController(parse_budget("20%"))
    scores = [chance.random() for _ in range(6000)]
    hard = [s for n, s in enumerate(scores) if controller.judge(s, n / 30).hard]
    best = sorted(scores)[: len(hard)]
    assert sum(hard) / len(hard) < 1.4 * sum(best) / len(best)  # about 0.12; a frame in five would have 0.5
    assert sum(s <= 0.25 for s in hard) > 0.9 * len(hard)


@pytest.mark.parametrize("period", [12, 15, 20])
def test_hard_stretches_of_seconds_get_what_the_minute_has(period):
    """Frames of a video are hard for seconds on end; most of a budget of 20 % has to go there, or chance would do as well."""
    controller, chance = BudgetController(parse_budget("20%")), random.Random(2)
    at = times(30, 300, chance)
    difficult = [now % period < 0.2 * period for now in at]
    hard = [controller.judge(chance.gauss(0.2 if d else 0.8, 0.05), t).hard for t, d in zip(at, difficult, strict=True)]
    shares_of_minutes = [count / frames for frames, count in windows(at, hard, 60)]
    assert min(shares_of_minutes) >= 0.18
    assert max(shares_of_minutes) <= 0.22
    well_spent = sum(h and d for h, d in zip(hard, difficult, strict=True))
    assert well_spent > 0.6 * sum(difficult)  # chance gets 20 %


def test_the_threshold_follows_the_difficulty():
    chance, controller = random.Random(1), BudgetController(parse_budget("20%"))
    thresholds = []
    for n in range(4 * FEWEST):
        centre = 0.8 if n < 2 * FEWEST else 0.3
        thresholds.append(controller.judge(chance.gauss(centre, 0.05), n / 10).threshold)
    assert 0.7 < thresholds[2 * FEWEST - 1] < 0.8
    assert 0.2 < thresholds[-1] < 0.3


def test_scores_that_tie_are_taken_as_the_balance_allows():
    controller = BudgetController(parse_budget("25%"))
    hard = [controller.judge(0.5, n / 10).hard for n in range(400)]
    taken = [n for n in range(400) if hard[n]]
    assert taken[0] == 1
    assert {later - earlier for earlier, later in pairwise(taken)} <= {3, 4, 5}
    assert len(taken) == pytest.approx(100, abs=2)


def test_frames_without_a_score_are_easy_but_count():
    controller = BudgetController(parse_budget("20%"))
    verdicts = [controller.judge(None if n % 2 else 0.5, n / 10) for n in range(1000)]
    assert not any(v.hard for v in verdicts[1::2])
    assert {v.why for v in verdicts[1::2]} == {Why.NO_SCORE}
    assert sum(v.hard for v in verdicts) == pytest.approx(200, abs=4)


def test_of_what_could_not_be_spent_no_more_than_a_minute_is_saved_up():
    """Ten minutes of frames without a score, and then three with one."""
    controller = BudgetController(parse_budget("20%"))
    at = [n / 5 for n in range(3900)]
    hard = [controller.judge(None if now < 600 else 0.5, now).hard for now in at]
    assert all(hard[3000:3050])  # the minute has room for them
    assert max(count / frames for frames, count in windows(at, hard, 60)) <= 0.22
    assert sum(hard[3000:]) == pytest.approx(60 + 120, abs=15)


def test_a_scene_that_is_empty_now_and_then_gets_its_budget_all_the_same():
    """Boxes, and so scores, in a quarter of the frames, and in other seconds of each minute: nearly all of them are sent."""
    chance, controller = random.Random(4), BudgetController(parse_budget("20%"))
    at = times(25, 600, chance)
    hard = [controller.judge(chance.random() if now % 16.4 < 4.1 else None, now).hard for now in at]
    shares_of_minutes = [count / frames for frames, count in windows(at, hard, 60)]
    assert max(shares_of_minutes) <= 0.22
    assert sum(hard) / len(at) > 0.18


def test_behind_a_long_pause_nothing_is_owed():
    controller = BudgetController(parse_budget("20%"))
    for n in range(1800):
        controller.judge(0.1 if n > 1750 else 0.9, n / 30)
    assert controller.balance > 0.5
    after = [controller.judge(0.5, 1000 + n / 2).hard for n in range(20)]
    assert sum(after) == 4
    assert after.index(True) < 5


def test_overruled_frames_count_and_are_made_up_for_by_no_more_than_the_slack():
    controller = BudgetController(parse_budget("20%"))
    for n in range(300):
        controller.overrule(n / 5)
    assert controller.figures(59.9).spent == 1.0
    after = [controller.judge(0.5, 60 + n / 5).hard for n in range(300)]
    assert sum(after) == pytest.approx(60, abs=4)


def test_a_frame_that_was_judged_before_it_was_overruled_is_one_frame():
    controller = BudgetController(parse_budget("20%"))
    controller.judge(None, 0.0)
    controller.overrule(0.1, judged=True)
    assert controller.figures(0.2).spent == 1.0


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("fps", [5, 30])
def test_a_rate_of_frames_holds_in_every_minute(stream, fps):
    chance, controller = random.Random(3), BudgetController(parse_budget("2 fps"))
    at = times(fps, SECONDS, chance)
    hard = [controller.judge(STREAMS[stream](chance, now), now).hard for now in at]
    for _, count in windows(at, hard, 60):
        assert count == pytest.approx(120, abs=4)


def replies(rate, fps, stream, *, seed=3, seconds=SECONDS):
    """Return times and bytes of frames on a budget; a body's size is told up to half a second later, in any order."""
    chance, controller = random.Random(seed), BudgetController(parse_budget(f"{rate} kbit/s"))
    at, sizes, under_way = times(fps, seconds, chance), [], []
    for now in at:
        while under_way and under_way[0][0] <= now:
            controller.sent(heappop(under_way)[1], now)
        hard = controller.judge(STREAMS[stream](chance, now), now).hard
        sizes.append(int(chance.uniform(4_000, 12_000) * (2 if now > 90 else 1)) if hard else 0)
        if hard:
            heappush(under_way, (now + chance.uniform(0.02, 0.5), sizes[-1]))
    return at, sizes, controller


@pytest.mark.parametrize("stream", STREAMS)
def test_a_rate_of_bits_holds_in_every_minute_whatever_the_bodies_weigh(stream):
    at, sizes, _ = replies(500, 20, stream)
    for _, total in windows(at, sizes, 60):
        assert total / 60 / BYTES_PER_KBIT == pytest.approx(500, rel=0.04)


def test_a_rate_that_the_camera_cannot_fill_takes_every_frame():
    _, sizes, controller = replies(50_000, 5, "even", seconds=60)
    assert all(sizes[5:])
    assert controller.figures(60).threshold > 0.9


def test_an_outage_saves_nothing_up():
    """Nothing is sent for five minutes, though frames are let through; then there is no burst."""
    controller = BudgetController(parse_budget("400 kbit/s"))
    chance, judged = random.Random(5), []
    for n in range(6000):
        verdict = controller.judge(chance.random(), n / 10)
        judged.append(verdict.hard)
        if verdict.hard:
            controller.sent(0 if 1000 <= n < 4000 else 10_000, n / 10)
    assert sum(judged[1000:4000]) / 300 == pytest.approx(5, rel=0.05)
    assert sum(judged[4000:4100]) <= 50 + 4


def test_a_rate_with_a_cap_leaves_to_later_seconds_what_this_one_has_no_room_for():
    cap, chance = parse_budget("2 fps"), random.Random(1)
    controller = BudgetController(parse_budget("2 fps"), cap)
    at = times(10, 120, chance)
    hard = [controller.judge(0.1 if now % 10 < 3 else 0.9, now).hard for now in at]
    assert max(count for _, count in windows(at, hard, 1.0)) == 2
    assert sum(hard) > 0.85 * 240


def test_a_pace_in_bytes_goes_by_what_was_sent():
    pace = Pace(parse_budget("80 kbit/s"))  # 10 kB a second
    assert pace.has_room(50_000, 0.0)  # the first one, for the cap to judge
    pace.add(4_000, 0.0)
    assert pace.has_room(6_000, 0.5)
    pace.add(1_000, 0.6)  # it was 5 kB in the end
    assert not pace.has_room(6_000, 0.7)
    assert pace.has_room(6_000, 1.2)


def test_figures():
    controller = BudgetController(parse_budget("20%"))
    assert controller.figures(0.0).spent == 0.0
    assert controller.figures(0.0).threshold is None
    for n in range(1000):
        controller.judge((n % 10) / 10, n / 10)
    figures = controller.figures(100.0)
    assert figures.spent == pytest.approx(0.2, abs=0.02)
    assert 0.0 <= figures.threshold <= 0.5
    assert figures.budget == parse_budget("20 %")
    assert controller.figures(300.0).spent == 0.0  # the minute is over
    frames = BudgetController(parse_budget("2 fps"))
    for n in range(1000):
        frames.judge((n % 10) / 10, n / 10)
    assert frames.figures(100.0).spent == pytest.approx(2, abs=0.1)
    at, _, bits = replies(500, 20, "even")
    assert bits.figures(at[-1]).spent == pytest.approx(500, rel=0.05)
