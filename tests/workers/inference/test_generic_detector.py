"""The generic detector with real openvino-model-api: no user code, IR and ONNX, errors that say what to do."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest

from sedna_py.errors import ModelError
from tests.workers.inference.tiny_models import (
    MODEL_INFO,
    colour_network,
    save_colour_detector,
    save_onnx_colour_detector,
    save_yolo_colour_detector,
)
from workers.inference.predictor import create_predictor

BGR = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
SHARED = Path(__file__).resolve().parents[4] / "shared"


def ask(predictor: Any, frame: Any) -> Any:
    future: Future[Any] = Future()
    predictor.submit(frame, future.set_result)
    return future.result(60)


def plain(colour: str, height: int = 30, width: int = 60) -> Any:
    return np.full((height, width, 3), BGR[colour], np.uint8)


@pytest.fixture(scope="module", params=[save_colour_detector, save_onnx_colour_detector])
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    predictor = create_predictor(str(request.param(tmp_path_factory.mktemp("model"))))
    yield predictor
    predictor.close()


@pytest.mark.parametrize(("number", "colour"), list(enumerate(BGR)))
def test_a_box_is_found_in_pixels_of_the_frame(predictor: Any, number: int, colour: str) -> None:
    assert ask(predictor, plain(colour)) == [[20.0 * number, 0.0, 20.0 * (number + 1), 30.0, 1.0, float(number)]]


def test_labels_come_from_the_file(predictor: Any) -> None:
    assert predictor.labels == ["red", "green", "blue"]


ULTRALYTICS = {  # what its exporter writes into the file
    "model_type": "YOLO",
    "reverse_input_channels": True,
    "pad_value": 114,
    "scale_values": [255.0],
    "iou_threshold": 0.7,
    "labels": list(BGR),
    "resize_type": "fit_to_window_letterbox",
}


def test_an_export_of_ultralytics_works_as_it_is(tmp_path: Path) -> None:
    predictor = create_predictor(str(save_yolo_colour_detector(tmp_path, ULTRALYTICS)))
    try:
        for number, colour in enumerate(BGR):
            assert ask(predictor, plain(colour, 12, 36)) == [[12.0 * number, 0, 12.0 * (number + 1), 12, 1, number]]
        assert predictor.labels == list(BGR)
    finally:
        predictor.close()


def test_a_file_without_metadata_needs_a_model_type(tmp_path: Path) -> None:
    path = str(save_yolo_colour_detector(tmp_path, {}))
    with pytest.raises(ModelError, match="MODEL_TYPE"):
        create_predictor(path)
    predictor = create_predictor(path, model_type="YOLO11")
    try:
        assert ask(predictor, plain("green", 12, 36)) == [[12, 0, 24, 12, 1, 1]]
    finally:
        predictor.close()


def test_no_object_is_an_empty_list(predictor: Any) -> None:
    assert ask(predictor, np.zeros((9, 9, 3), np.uint8)) == []


@pytest.mark.parametrize("size", [(2, 2), (1, 300), (301, 3)])
def test_frames_of_any_size(predictor: Any, size: tuple[int, int]) -> None:
    [row] = ask(predictor, plain("blue", *size))
    # model-api rounds boxes to whole pixels.
    assert row == pytest.approx([2 * size[1] / 3, 0, size[1], size[0], 1, 2], abs=1)
    assert all(type(number) is float for number in row)


def test_a_frame_too_small_for_a_box_has_none(predictor: Any) -> None:
    assert ask(predictor, plain("blue", 1, 1)) == []


def test_several_threads_at_once_do_not_mix_their_frames(predictor: Any) -> None:
    wrong: list[Any] = []

    def caller(number: int, colour: str) -> None:
        for _ in range(30):
            answer = ask(predictor, plain(colour, 10 + number, 30))
            if [row[3:] for row in answer] != [[10.0 + number, 1.0, float(number)]]:
                wrong.append(answer)

    callers = [threading.Thread(target=caller, args=pair) for pair in enumerate(BGR)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(60)
    assert wrong == []


@pytest.mark.parametrize(("threshold", "found"), [(None, 1), (0.2, 2), (0.99, 0)])
def test_the_threshold_can_be_set(tmp_path: Path, threshold: float | None, found: int) -> None:
    predictor = create_predictor(str(save_colour_detector(tmp_path)), detection_threshold=threshold)
    try:
        assert len(ask(predictor, np.full((6, 6, 3), (0, 80, 160), np.uint8))) == found
    finally:
        predictor.close()


def a_model_of_text(folder: Path) -> Path:
    (folder / "model.xml").write_text("hello\nI am no model\n")
    return folder / "model.xml"


def a_page(folder: Path) -> Path:
    (folder / "model.xml").write_text("<html><body>404</body></html>")
    return folder / "model.xml"


def without_weights(folder: Path) -> Path:
    model = save_colour_detector(folder)
    model.with_suffix(".bin").unlink()
    return model


def with_cut_weights(folder: Path) -> Path:
    model = save_colour_detector(folder)
    weights = model.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:10])
    return model


def with_cut_markup(folder: Path) -> Path:
    model = save_colour_detector(folder)
    model.write_text(model.read_text()[:1500])
    return model


def onnx_garbage(folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(b"garbage \x00\x01" * 20)
    return folder / "model.onnx"


def empty_onnx(folder: Path) -> Path:
    (folder / "model.onnx").touch()
    return folder / "model.onnx"


def tflite(folder: Path) -> Path:
    (folder / "model.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    return folder / "model.tflite"


def without_metadata(folder: Path) -> Path:
    ov.save_model(colour_network(), str(folder / "model.xml"))
    return folder / "model.xml"


def of_unknown_type(folder: Path) -> Path:
    return save_colour_detector(folder, model_info={**MODEL_INFO, "model_type": "crystal_ball"})


def of_another_type(folder: Path) -> Path:
    return save_colour_detector(folder, model_info={**MODEL_INFO, "model_type": "yolo11"})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (a_model_of_text, "cannot be read as a model: it is not OpenVINO's XML; export or copy it again with its .bin"),
        (a_page, "cannot be read as a model"),
        (without_weights, "cannot be read as a model: .*bin"),
        (with_cut_weights, "cannot be read as a model: .*weights"),
        (with_cut_markup, "cannot be read as a model"),
        (onnx_garbage, "cannot be read as a model: .*; export or copy it again"),
        (empty_onnx, "cannot be read as a model"),
        (tflite, "only .xml and .onnx files do.*ESTIMATOR=path/to/file.py:Class"),
        (without_metadata, "not a detector that openvino-model-api knows.*model_info.*ESTIMATOR"),
        (of_unknown_type, "crystal_ball.*ESTIMATOR"),
        (of_another_type, "not a detector|failed on its first frame"),
    ],
)
def test_what_is_no_detector_is_said_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], says: str
) -> None:
    model = make(tmp_path)
    with pytest.raises(ModelError, match=says) as caught:
        create_predictor(str(model))
    assert repr(str(model)) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def helmet() -> Path:
    folder = SHARED / "models" / "helmet"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no development models at {folder}")
        pytest.skip(f"no development models at {folder}")
    return folder


@pytest.mark.shared_models
@pytest.mark.parametrize("size", ["little", "big"])
def test_the_helmet_pair_finds_riders_heads(helmet: Path, size: str) -> None:
    video = cv2.VideoCapture(str(SHARED / "data" / "bikes.mp4"))
    try:
        frames = [video.read()[1] for _ in range(60)][::20]
    finally:
        video.release()
    predictor = create_predictor(str(helmet / size))
    try:
        found = [ask(predictor, frame) for frame in frames]
    finally:
        predictor.close()
    assert predictor.labels == ["With_Helmet", "Without_Helmet"]
    rows = [row for rows in found for row in rows]
    assert rows
    height, width = frames[0].shape[:2]
    for xmin, ymin, xmax, ymax, score, label in rows:
        assert 0 <= xmin < xmax <= width
        assert 0 <= ymin < ymax <= height
        assert 0.25 <= score <= 1
        assert label in (0, 1)


def test_a_folder_with_one_model_is_enough(tmp_path: Path) -> None:
    save_colour_detector(tmp_path)
    shutil.copy(__file__, tmp_path / "notes.txt")
    predictor = create_predictor(str(tmp_path))
    try:
        assert len(ask(predictor, plain("red"))) == 1
    finally:
        predictor.close()
