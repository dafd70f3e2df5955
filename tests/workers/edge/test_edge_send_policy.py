"""What is worth sending: the silent miss and the near duplicate, with real pictures."""

from __future__ import annotations

import itertools

import pytest

from sedna_py.budgeted_filter import BudgetedFilter
from sedna_py.decision_log import Path
from sedna_py.hard_example_mining import Decision
from sedna_py.hard_example_mining.budget_text import parse_budget
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import DoubtFilter, FakeCloud, FakePredictor, FakeSource, Rig, metrics_match
from tests.workers.edge.scenes import in_light, noisy, street, with_thing
from workers.edge.frames import SourceFrame
from workers.edge.parts import motion_gate, send_policy
from workers.edge.send_policy import MOST_BOXES, SendOptions, SendPolicy
from workers.settings import EdgeSettings

EASY, HARD = Decision(False, "easy", 0.9), Decision(True, "in doubt", 0.3)
CAR = [200.0, 150.0, 330.0, 280.0, 0.4, 2.0]
STREET = with_thing(street(), 210, 160, 110)  # with the parked car of that box
pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def frame(shown=STREET, captured=0.0, *, source="gate", moved: bool | None = True) -> SourceFrame:
    return SourceFrame(1, source, shown, captured, 1_700_000_000.0 + captured, moved=moved)


def silent(share, count, **options):
    """Which of `count` frames without a box are asked about."""
    policy = SendPolicy(SendOptions(silent_miss_share=share))
    return [policy.choose(EASY, [], frame(**options)) for _ in range(count)]


@pytest.mark.parametrize(("share", "count"), [(0.1, 1000), (0.25, 1000), (1.0, 50), (0.003, 1000), (0.7, 1000)])
def test_a_share_of_the_frames_without_a_box_is_asked_about_evenly(share, count):
    choices = silent(share, count)
    asked = [index for index, choice in enumerate(choices) if choice.decision.hard]
    assert len(asked) == pytest.approx(share * count, abs=1)
    assert {after - before for before, after in itertools.pairwise(asked)} <= {int(1 / share), int(1 / share) + 1}
    assert [c.sampled for c in choices] == [c.decision.hard for c in choices]
    assert all(choice.decision.reason.startswith("silent miss: no box") for choice in choices if choice.sampled)


@pytest.mark.parametrize(
    ("decision", "boxes", "moved"),
    [
        (EASY, [], False),  # nothing moved
        (EASY, [CAR], True),  # something was found
        (HARD, [], True),  # is asked anyway
        (EASY, [0.2, 0.8], True),  # no list of boxes
    ],
)
def test_other_frames_are_left_to_the_filter(decision, boxes, moved):
    policy = SendPolicy(SendOptions(silent_miss_share=1.0, display_threshold=0.3))
    choice = policy.choose(decision, boxes, frame(moved=moved))
    assert (choice.decision, choice.sampled, choice.duplicate) == (decision, False, False)


def test_boxes_that_nobody_is_shown_are_none_and_a_frame_nobody_looked_at_may_have_moved():
    policy = SendPolicy(SendOptions(silent_miss_share=1.0, display_threshold=0.5))
    assert policy.choose(EASY, [CAR], frame(moved=None)).sampled


def test_each_source_has_its_own_share():
    policy = SendPolicy(SendOptions(silent_miss_share=0.5))
    names_of = ["a", "b", "b", "a", "b", "b"]
    assert [policy.choose(EASY, [], frame(source=name)).sampled for name in names_of] == [
        False, False, True, True, False, True,
    ]  # fmt: skip


def after_an_answer(boxes=(CAR,), shown=STREET, interval=30.0, source="gate") -> SendPolicy:
    """A policy that has sent this at 0 s and heard the cloud's answer."""
    policy = SendPolicy(SendOptions(duplicate_interval_s=interval))
    choice = policy.choose(HARD, list(boxes), frame(shown, source=source))
    assert not choice.duplicate
    policy.answered(frame(shown, source=source), choice.view)
    return policy


def is_duplicate(policy, shown, captured=1.0, boxes=(CAR,), source="gate") -> bool:
    choice = policy.choose(HARD, list(boxes), frame(shown, captured, source=source))
    assert choice.decision is HARD
    return choice.duplicate


@pytest.mark.parametrize(
    "shown",
    [STREET, noisy(STREET, 6), in_light(STREET, 0.9), in_light(STREET, 1.05, 10), noisy(in_light(STREET, 0.85), 4)],
    ids=["same", "noise", "darker", "brighter", "both"],
)
def test_a_parked_object_is_not_sent_again_whatever_the_light_does(shown):
    trembling = [CAR[0] + 4, CAR[1] - 3, CAR[2] + 5, CAR[3], 0.35, 2.0]
    assert is_duplicate(after_an_answer(), shown, boxes=[trembling])


@pytest.mark.parametrize("light", [1.0, 0.9])
@pytest.mark.parametrize(
    ("x", "y", "side"), [(500, 60, 16), (30, 400, 20), (260, 210, 16), (335, 240, 16)],
    ids=["far", "corner", "on it", "beside it"],
)  # fmt: skip
def test_a_small_new_object_is_sent_though_the_little_model_does_not_see_it(x, y, side, light):
    shown = noisy(in_light(with_thing(STREET, x, y, side), light), 3)
    assert not is_duplicate(after_an_answer(), shown)


def test_a_change_within_a_small_box_is_seen_in_its_own_grid():
    """Six pixels of side, less than a cell of the whole picture."""
    badge = [400.0, 300.0, 424.0, 324.0, 0.4, 0.0]
    shown = with_thing(STREET, 404, 304, 6, contrast=90)
    assert not is_duplicate(after_an_answer([badge]), shown, boxes=[badge])
    assert is_duplicate(after_an_answer([badge]), noisy(STREET, 6), boxes=[badge])


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[*CAR[:5], 3.0]],
        [[CAR[0] + 40, CAR[1], CAR[2] + 40, CAR[3], 0.4, 2.0]],
        [CAR, [500.0, 50.0, 520.0, 70.0, 0.2, 0.0]],
    ],
    ids=["none", "other class", "moved", "one more"],
)
def test_other_boxes_are_sent_even_in_the_same_picture(boxes):
    assert not is_duplicate(after_an_answer(), STREET, boxes=boxes)


def test_it_is_sent_again_when_the_answer_is_old():
    policy = after_an_answer(interval=5.0)
    assert [is_duplicate(policy, STREET, captured=at) for at in (0.1, 4.9, 5.0, 9.0)] == [True, True, False, False]


def test_what_was_not_answered_counts_for_nothing():
    policy = SendPolicy(SendOptions(duplicate_interval_s=30.0))
    for at in range(5):  # sent, and lost, each of them
        assert not is_duplicate(policy, STREET, captured=float(at))


def test_one_source_is_not_compared_with_another_nor_with_an_older_frame_of_its_own():
    policy = after_an_answer(source="yard")
    assert not is_duplicate(policy, STREET, source="gate")
    newer, older = with_thing(STREET, 30, 30, 60), street()
    for shown, at in ((newer, 3.0), (older, 2.0)):  # answers come in any order
        policy.answered(
            frame(shown, at, source="yard"), policy.choose(HARD, [CAR], frame(shown, at, source="yard")).view
        )
    assert is_duplicate(policy, newer, captured=4.0, source="yard")
    assert not is_duplicate(policy, older, captured=4.0, source="yard")


def test_pictures_of_another_size_and_boxes_outside_of_it_are_sent_without_a_complaint():
    outside = [-90.0, -90.0, -50.0, -50.0, 0.4, 2.0]
    policy = after_an_answer([outside])
    assert is_duplicate(policy, STREET, boxes=[outside])
    assert not is_duplicate(policy, street(320, 240), boxes=[outside])


def test_so_many_boxes_that_comparing_them_costs_more_than_sending_are_sent():
    many = [[float(x), 10.0, x + 5.0, 15.0, 0.4, 0.0] for x in range(0, 6 * MOST_BOXES + 6, 6)]
    choice = SendPolicy(SendOptions(duplicate_interval_s=30.0)).choose(HARD, many, frame())
    assert (choice.duplicate, choice.view) == (False, None)


class Parking(FakeSource):
    """The street; the first pixel has the number. In the frames `new` there is a small thing more."""

    new: range = range(0)

    def __iter__(self):
        for number in range(1, self.frames + 1):
            shown = with_thing(STREET, 500, 60, 16) if number in self.new else STREET.copy()
            shown[0, 0] = number
            yield shown


def doubtful(_):
    return [CAR]


def test_in_the_pipeline_a_parked_object_is_sent_once_and_a_new_one_too():
    source = Parking(40)
    source.new = range(21, 41)
    policy = SendPolicy(SendOptions(duplicate_interval_s=1000.0))
    # One place: so each answer is there before the next frame, and none is a duplicate of one under way.
    rig = Rig(source, FakePredictor(doubtful), FakeCloud(), worth=policy, in_flight=1, waiting=0, when_full_wait=True)
    records = rig.run()
    sent = {r.frame for r in records if r.path is Path.CLOUD}
    # Frames that are judged before the answer is there are sent as well: a few, as only one is on its way at a time.
    assert {1, 21} <= sent <= {1, 2, 3, 21, 22, 23}
    kept = [r for r in records if r.path is not Path.CLOUD]
    assert len(kept) >= 34
    assert {(r.hard, r.path, r.cause, r.bytes_sent) for r in kept} == {
        (True, Path.FALLBACK, OffloadCause.NEAR_DUPLICATE, 0)
    }
    assert all(r.result == r.edge == [CAR] and r.cloud is None for r in kept)
    assert rig.pipeline.hard == 40
    metrics_match(rig)


def test_in_the_pipeline_a_cloud_that_fails_gets_every_frame():
    policy = SendPolicy(SendOptions(duplicate_interval_s=1000.0))
    cloud = FakeCloud(lambda _: OffloadCause.SERVER_ERROR)
    records = Rig(Parking(10), FakePredictor(doubtful), cloud, worth=policy, waiting=20).run()
    assert {r.cause for r in records} == {OffloadCause.SERVER_ERROR}


@pytest.mark.parametrize("budget", ["20%", "3 fps", "80 kbit/s"])
def test_a_frame_that_is_not_worth_it_is_not_spent(budget):
    """Of frames that all are in doubt and all the same, one goes out; so the budget is as good as untouched."""

    class Ticking(DoubtFilter):
        now = 0.0

        def __call__(self, infer_result=None):
            self.now += 0.1
            return super().__call__(infer_result)

    wrapped = Ticking()
    budgeted = BudgetedFilter(wrapped, parse_budget(budget), lambda: wrapped.now)
    policy = SendPolicy(SendOptions(duplicate_interval_s=1000.0))
    rig = Rig(
        Parking(120), FakePredictor(doubtful), FakeCloud(), worth=policy, filter=budgeted,
        in_flight=1, waiting=0, when_full_wait=True, encode=lambda _: bytes(10_000),
    )  # fmt: skip
    records = rig.run()
    sent = [r for r in records if r.path is Path.CLOUD]
    spent = budgeted.figures()[0].spent
    assert 1 <= len(sent) <= 3
    kept = [r for r in records if r.cause is OffloadCause.NEAR_DUPLICATE]
    assert len(kept) > 90  # as nothing is spent, the budget calls nearly all of them hard
    assert spent <= {"20%": 0.02, "3 fps": 0.2, "80 kbit/s": 15}[budget]
    assert spent > 0


def test_silent_misses_in_the_pipeline_are_asked_counted_and_charged():
    wrapped = DoubtFilter()
    ticks = itertools.count()
    budgeted = BudgetedFilter(wrapped, parse_budget("50%"), lambda: next(ticks) / 10)
    policy = SendPolicy(SendOptions(silent_miss_share=0.1))
    rig = Rig(Parking(100), FakePredictor(lambda _: []), FakeCloud(), worth=policy, filter=budgeted, waiting=100)
    records = rig.run()
    asked = [r for r in records if r.reason.startswith("silent miss")]
    assert {r.path for r in asked} == {Path.CLOUD}
    assert asked
    assert rig.metric(names.EDGE_SILENT_MISSES) == len(asked)


def test_the_defaults_change_nothing():
    settings = EdgeSettings(MODEL_URL="m", video_url="v")
    assert motion_gate(settings) is None
    assert send_policy(settings) is None
    on = EdgeSettings(MODEL_URL="m", video_url="v", SILENT_MISS_SHARE="0.1")
    assert motion_gate(on) is not None
    assert motion_gate(on)(street(64, 48), 0.0).wanted
    assert send_policy(on) is not None
