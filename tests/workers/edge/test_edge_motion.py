"""Motion and the gate: what counts as motion in real pictures, what does not, and that every picture is accounted for."""

from __future__ import annotations

import numpy as np
import pytest

from sedna_py.metrics import names
from tests.workers.edge.fakes import FakePredictor, FakeSource, Rig, sure
from tests.workers.edge.scenes import in_light, noisy, street, with_thing
from workers.edge.motion import GateOptions, MotionGate, MotionMeter
from workers.settings import EdgeSettings

FRAME_S = 0.04
THRESHOLD = EdgeSettings(MODEL_URL="m", video_url="v").motion_threshold
SIZES = [(640, 480), (641, 479), (1280, 720), (176, 144)]


def watched(background: np.ndarray, count: int = 6, noise: float = 0.0) -> tuple[MotionMeter, float]:
    """A meter that has seen a still background, and the time of the next picture."""
    meter = MotionMeter()
    for index in range(count):
        meter.measure(noisy(background, noise) if noise else background, index * FRAME_S)
    return meter, count * FRAME_S


@pytest.mark.parametrize("size", SIZES)
def test_noise_and_steps_of_the_light_are_no_motion(size):
    background = street(*size)
    meter, now = watched(background, noise=6)
    for index, light in enumerate([(1.0, 0.0), (1.1, 0.0), (0.8, 0.0), (1.0, 25.0), (1.0, -25.0), (0.9, 10.0)]):
        shown = noisy(in_light(background, *light), 6)
        assert meter.measure(shown, now + index * FRAME_S) < THRESHOLD, light


@pytest.mark.parametrize(("size", "side"), [((640, 480), 16), ((641, 479), 16), ((1280, 720), 32), ((176, 144), 8)])
@pytest.mark.parametrize("light", [1.0, 0.85])
def test_a_small_thing_is_motion_in_noise_and_in_another_light(size, side, light):
    background = street(*size)
    meter, now = watched(background, noise=6)
    came = with_thing(background, size[0] // 2, size[1] // 3, side)
    assert meter.measure(noisy(in_light(came, light), 6), now) >= THRESHOLD


def test_a_large_thing_does_not_pass_for_light():
    background = street()
    meter, now = watched(background)
    # Less than its whole area: at its rim, and where it turns from brighter to darker than the street, cells change little.
    assert 0.14 < meter.measure(with_thing(background, 100, 100, 240, contrast=40), now) < 0.2


def test_a_lens_that_is_covered_and_one_that_is_uncovered_are_worth_a_look():
    background = street()
    meter, now = watched(background)
    assert meter.measure(np.full_like(background, 8), now) == 1.0


def test_what_moves_is_motion_in_each_picture_and_what_has_stopped_is_background_in_the_end():
    background = street()
    meter, now = watched(background)
    for step in range(40):
        now += FRAME_S
        assert meter.measure(with_thing(background, 20 + 10 * step, 200, 30), now) >= THRESHOLD
    parked, seconds = with_thing(background, 410, 200, 30), 0.0
    while meter.measure(parked, now + seconds) >= THRESHOLD:
        seconds += FRAME_S
    assert 3 < seconds < 15


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 5, 3), (480, 2, 3), (2, 640, 3)])
def test_pictures_of_any_size_are_measured(shape):
    meter = MotionMeter()
    picture = np.full(shape, 90, np.uint8)
    assert [meter.measure(picture, 0.0), meter.measure(picture, 1.0)] == [1.0, 0.0]
    assert meter.measure(street(64, 48), 2.0) == 1.0  # another size: nothing to compare with


def looks(gate: MotionGate, pictures: list[np.ndarray], start: float) -> list[bool]:
    return [gate(picture, start + index).wanted for index, picture in enumerate(pictures)]


def test_the_gate_opens_for_motion_for_its_tail_and_every_n_seconds():
    still, moving = street(), with_thing(street(), 300, 200, 40)
    gate = MotionGate(GateOptions(gate=True, threshold=THRESHOLD, forced_look_s=10, tail_s=3))
    # The first picture is news, and has a tail.
    assert looks(gate, [still] * 20, 0.0) == [True] * 4 + [False] * 9 + [True] + [False] * 6
    assert looks(gate, [moving], 20.0) == [True]
    # Its background has a part of the thing in it now, by which the still picture differs for some seconds.
    after = looks(gate, [still] * 30, 21.0)
    quiet = after.index(False)
    assert quiet >= 3
    assert after[quiet : quiet + 10] == [False] * 9 + [True]
    assert gate.passed_over == 9 + 6 + after.count(False)


def test_without_the_gate_everything_is_wanted_and_motion_is_told():
    gate = MotionGate(GateOptions(gate=False, threshold=THRESHOLD))
    still = street()
    told = [gate(picture, float(i)) for i, picture in enumerate([still, still, with_thing(still, 9, 9, 40)])]
    assert [(look.moved, look.wanted) for look in told] == [(True, True), (False, True), (True, True)]
    assert gate.passed_over == 0


class Street(FakeSource):
    """A still street, with a thing in the pictures `busy`; the first pixel has the number."""

    def __init__(self, count: int, busy: range) -> None:
        super().__init__(count)
        self._busy = busy

    def __iter__(self):
        background = street(320, 240)
        for number in range(1, self.frames + 1):
            shown = with_thing(background, 4 * (number % 60), 100, 40) if number in self._busy else background.copy()
            shown[0, 0] = number
            yield shown


def test_pictures_without_motion_never_reach_the_model_and_each_is_accounted_for():
    gate = MotionGate(GateOptions(gate=True, threshold=THRESHOLD, forced_look_s=1000, tail_s=0))
    predictor = FakePredictor(sure)
    rig = Rig(Street(100, range(40, 60)), predictor, gate=gate, filter=None)
    rig.metrics.watch(rig.buffer, no_motion=lambda: gate.passed_over)
    records = rig.run()
    rig.metrics.collect()
    assert set(range(40, 60)) <= set(predictor.asked)
    assert [r.frame for r in records] == sorted(predictor.asked)  # numbered as the source has them
    assert not set(predictor.asked) & set(range(2, 40))
    passed = rig.metric(names.EDGE_FRAMES_LOST, cause="no_motion")
    assert rig.metric(names.EDGE_FRAMES_READ) == 100 == rig.reader.read
    assert passed == 100 - len(records) > 38
