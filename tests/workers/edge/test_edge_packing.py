"""Hard frames as bodies: the size that the cloud needs, the quality that the link bears, and boxes that fit the frame."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from prometheus_client import generate_latest

from sedna_py.client.cloud_client import CloudReply
from sedna_py.client.send_cap import SendCap
from sedna_py.hard_example_mining.budget_text import parse_cap
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.model_input import ModelInput
from tests.workers.edge.scenes import street
from workers.edge.link_quality import CUT_PAUSE_S, RISE_S, LinkQuality
from workers.edge.metrics import EdgeMetrics
from workers.edge.packed import Packed
from workers.edge.packing import HEARD_S, FittedJpeg, InputSizes, reduced_quality
from workers.edge.parts import make_packer
from workers.edge.wire_format import WireFormat
from workers.inference.frame_need import Scale
from workers.settings import EdgeSettings

FACE, HELMET = ModelInput(192, 192, True), ModelInput(640, 640, True)
LIMIT = OffloadCause.DEADLINE_EXCEEDED
DEADLINE_S = 2.0


def reply(said: ModelInput | None = FACE, *, read_ms: float = 1.0, infer_ms: float = 30.0) -> CloudReply:
    return CloudReply([], 0.05, {"read": read_ms, "queue": 1.0, "infer": infer_ms}, 1000, said)


def packer(best: int = 85, least: int = 50, *, fit: bool = True) -> FittedJpeg:
    return FittedJpeg(LinkQuality(best, least, DEADLINE_S), fit=fit)


def size_of(packed: Packed) -> tuple[int, int]:
    height, width = cv2.imdecode(np.frombuffer(packed.body, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height


def test_pictures_are_whole_until_the_cloud_has_spoken():
    made, shown = packer(), street()
    before = made.pack(shown)
    assert (size_of(before), before.scale) == ((640, 480), None)
    made.answered(reply(), 0.0, 0.1)
    after = made.pack(shown)
    assert size_of(after) == (192, 144)
    assert len(after.body) < len(before.body) / 2
    assert (after.scale.across, after.scale.down) == (640 / 192, 480 / 144)


@pytest.mark.parametrize(
    ("said", "size", "sent"),
    [
        (FACE, (640, 480), (192, 144)),
        (FACE, (641, 479), (192, 143)),
        (FACE, (320, 240), (320, 240)),  # so little would be saved that its extra quality costs more
        (HELMET, (640, 272), (640, 272)),
        (HELMET, (1920, 1080), (640, 360)),
        (HELMET, (320, 240), (320, 240)),  # never enlarged
        (None, (1920, 1080), (1920, 1080)),  # a worker that says nothing
    ],
)
def test_only_what_is_much_too_large_is_reduced(said, size, sent):
    made = packer()
    made.answered(reply(said), 0.0, 0.1)
    assert size_of(made.pack(street(*size))) == sent


@pytest.mark.parametrize(("quality", "reduced"), [(50, 80), (65, 95), (85, 95), (95, 95), (99, 99), (1, 31)])
def test_a_reduced_picture_has_a_better_quality(quality, reduced):
    assert reduced_quality(quality) == reduced


def test_full_is_full():
    made = packer(fit=False)
    made.answered(reply(), 0.0, 0.1)
    assert size_of(made.pack(street())) == (640, 480)


def test_where_workers_differ_the_largest_counts_until_it_is_not_heard_any_more():
    sizes = InputSizes()
    sizes.told(FACE, 0.0)
    assert sizes.fit(1920, 1080) == (192, 108)
    sizes.told(HELMET, 1.0)
    sizes.told(FACE, 2.0)
    assert sizes.fit(1920, 1080) == (640, 360)
    sizes.told(None, 3.0)  # an older worker, or one with model code of its own
    sizes.told(FACE, 3.1)
    assert sizes.fit(1920, 1080) == (1920, 1080)
    sizes.told(FACE, 3.0 + HEARD_S)
    assert sizes.fit(1920, 1080) == (192, 108)
    sizes.told(HELMET, 1000.0)  # after a reload, however long nothing was sent
    assert sizes.fit(1920, 1080) == (640, 360)


def test_boxes_come_back_in_pixels_of_the_frame_and_what_is_no_box_is_refused():
    packed = Packed(b"", Scale(641 / 192, 479 / 143))
    for from_detector in (True, False):
        [row] = packed.in_frame([[0.0, 71.5, 192.0, 143.0, 0.9, 1.0]], from_detector=from_detector)
        assert row == [0.0, pytest.approx(239.5, abs=0.1), 641.0, 479.0, 0.9, 1.0]
        assert packed.in_frame([], from_detector=from_detector) == []
        assert packed.in_frame([0.2, 0.8], from_detector=from_detector) is None
        assert packed.in_frame([["a", "b", "c", "d"]], from_detector=from_detector) is None
        assert Packed(b"").in_frame([0.2, 0.8], from_detector=from_detector) == [0.2, 0.8]
    # Four chances of four classes, where nothing says that the model is a detector.
    assert packed.in_frame([[0.1, 0.2, 0.3, 0.4]], from_detector=False) is None
    assert packed.in_frame([[0.0, 0.0, 192.0, 143.0]], from_detector=True) == [[0.0, 0.0, 641.0, 479.0]]


def slow_link(quality: LinkQuality, count: int, start: float = 0.0) -> list[int]:
    """Answers once a second whose bodies take 0.6 s of a deadline of 2 s to arrive."""
    seen = []
    for index in range(count):
        now = start + index * CUT_PAUSE_S
        quality.answered(now - 0.7, now, upload_s=0.6, model_s=0.05)
        seen.append(quality.quality)
    return seen


def test_a_slow_link_costs_quality_down_to_the_least_and_it_comes_back_slowly():
    quality = LinkQuality(85, 50, DEADLINE_S)
    assert slow_link(quality, 6) == [68, 59, 54, 50, 50, 50]
    risen = []
    for tenth in range(int(36 * RISE_S * 10)):
        now = 6.0 + tenth / 10
        quality.answered(now - 0.1, now, upload_s=0.05, model_s=0.05)
        risen.append(quality.quality)
    assert max(after - before for before, after in itertools.pairwise(risen)) == 1
    assert risen[-1] == 85
    assert risen[int(17 * RISE_S * 10)] < 70


def test_a_slow_model_and_a_long_round_trip_cost_none():
    quality = LinkQuality(85, 50, DEADLINE_S)
    for now in range(20):
        quality.answered(now - 1.5, float(now), upload_s=0.6, model_s=0.8)
        quality.failed(LIMIT, now - 2.0, float(now))
    assert quality.quality == 85
    other = LinkQuality(85, 50, DEADLINE_S)
    for now in range(20):  # round trips of a second are in no stage of the cloud's
        other.answered(now - 1.2, float(now), upload_s=0.01, model_s=0.1)
        other.failed(LIMIT, now - 2.0, float(now))
    assert other.quality == 85


def test_missed_deadlines_count_once_the_link_is_known_to_be_what_takes_the_time():
    quality = LinkQuality(85, 50, DEADLINE_S)
    quality.failed(LIMIT, 0.0, 2.0)
    assert quality.quality == 85
    quality.answered(1.0, 3.0, upload_s=0.3, model_s=0.05)
    assert quality.quality == 85
    quality.failed(LIMIT, 2.5, 4.5)
    assert quality.quality == 68


def test_one_jam_is_one_cut():
    quality = LinkQuality(85, 50, DEADLINE_S)
    for index in range(8):  # all sent before the first of them came back
        quality.answered(0.1 * index, 2.0 + 2.0 * index, upload_s=1.0, model_s=0.05)
    assert quality.quality == 68


@pytest.mark.parametrize(("in_bytes", "expected"), [(True, 50), (False, 85)])
def test_a_cap_in_bits_costs_quality_and_one_in_frames_does_not(in_bytes, expected):
    quality = LinkQuality(85, 50, DEADLINE_S, cap_in_bytes=in_bytes)
    for index in range(100):
        quality.failed(OffloadCause.OVER_CAP, index / 10, index / 10)
    assert quality.quality == expected


def test_other_failures_cost_none_and_equal_bounds_switch_it_off():
    quality = LinkQuality(85, 50, DEADLINE_S, cap_in_bytes=True)
    quality.answered(0.0, 1.0, upload_s=0.4, model_s=0.05)
    for cause in set(OffloadCause) - {LIMIT, OffloadCause.OVER_CAP, OffloadCause.LARGER_THAN_CAP}:
        quality.failed(cause, 2.0, 3.0)
    assert quality.quality == 85
    for least in (85, 100):
        assert set(slow_link(LinkQuality(85, least, DEADLINE_S), 5)) == {85}


def test_the_quality_is_that_of_the_bodies_and_of_the_metrics():
    metrics, made, shown = EdgeMetrics(), packer(), street()
    assert names.EDGE_JPEG_QUALITY not in generate_latest(metrics.registry).decode()
    metrics.pack.watch(made.figures)
    sizes = [len(made.pack(shown).body)]
    for now in range(5):
        made.answered(reply(None, read_ms=700), now - 0.5, float(now))
        sizes.append(len(made.pack(shown).body))
    assert sizes[-1] < sizes[0] * 0.7
    assert sizes == sorted(sizes, reverse=True)
    value = metrics.registry.get_sample_value
    assert value(names.EDGE_JPEG_QUALITY) == 50
    assert [value(names.EDGE_SENT_PIXELS, {"side": side}) for side in ("width", "height")] == [640, 480]
    made.answered(CloudReply([], 0.05, {}, 1000), 10.0, 11.0)  # a cloud without Server-Timing tells nothing
    assert value(names.EDGE_JPEG_QUALITY) == 50


@pytest.mark.parametrize(("name", "kind"), [("jpeg", FittedJpeg), ("png", WireFormat), ("npy", WireFormat)])
def test_only_jpegs_follow_anything(name, kind):
    made = make_packer(EdgeSettings(MODEL_URL="m", video_url="v", OFFLOAD_FORMAT=name))
    assert isinstance(made, kind)
    made.answered(reply(), 0.0, 0.1)
    made.failed(LIMIT, 0.0, 0.1)
    if kind is WireFormat:
        assert made.pack(street(64, 48)).scale is None


@pytest.mark.parametrize(("cap", "expected"), [("100 kbit/s", 58), ("5 fps", 65)])
def test_the_settings_reach_it(cap, expected):
    settings = EdgeSettings(MODEL_URL="m", video_url="v", OFFLOAD_SIZE="full")
    made = make_packer(settings, SendCap(parse_cap(cap)))
    made.answered(reply(), 0.0, 0.1)
    assert size_of(made.pack(street())) == (640, 480)
    made.failed(OffloadCause.OVER_CAP, 1.0, 1.0)
    assert made.figures().quality == expected
