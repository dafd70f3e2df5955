"""The generic detector: any model file with openvino-model-api metadata, no user code needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from model_api.adapters import OpenvinoAdapter
from model_api.models import DetectionModel

from sedna_py.errors import ModelError
from sedna_py.estimator import Frame, Inputs, Outputs
from workers.inference.engine import last_line

_KEEP_ASPECT = ("fit_to_window", "fit_to_window_letterbox")
METADATA_SUFFIXES = (".xml", ".onnx")


class GraphOnly(OpenvinoAdapter):  # type: ignore[misc]  # model-api has no types
    """model-api's adapter without its engine: it embeds the pre-processing, the worker compiles and runs the graph."""

    def load_model(self) -> None:
        """Compile nothing."""


def _read(path: Path) -> GraphOnly:
    if path.suffix not in METADATA_SUFFIXES:
        raise ModelError(
            f"{str(path)!r} carries no model-api metadata (only .xml and .onnx files do); "
            "write your own decoding and name it in ESTIMATOR=path/to/file.py:Class"
        )
    try:
        _check_markup(path)
        return GraphOnly(ov.Core(), str(path), model_parameters={})
    except Exception as error:  # protobuf's, OpenVINO's, the operating system's
        beside = " with its .bin beside it" if path.suffix == ".xml" else ""
        raise ModelError(
            f"{str(path)!r} cannot be read as a model: {last_line(error)}; export or copy it again{beside}"
        ) from error


def _check_markup(path: Path) -> None:
    # OpenVINO would try every other format it knows on such a file, and each would print its complaint.
    with path.open("rb") as file:
        if path.suffix == ".xml" and b"<net" not in file.read(4096):
            raise ValueError("it is not OpenVINO's XML")


def family(adapter: GraphOnly) -> str | None:
    """Return which model-api wrapper decodes the model; None for the one that the file itself names.

    Ultralytics' exports say `YOLO` for every version since 5, by which model-api means the first four: those have anchors and
    several outputs, the others one output of three dimensions.
    """
    try:
        declared = adapter.get_rt_info(["model_info", "model_type"]).astype(str)
    except RuntimeError:
        return None
    outputs = adapter.model.outputs
    if declared.upper() == "YOLO" and len(outputs) == 1 and len(outputs[0].partial_shape) == 3:
        return "YOLO11"
    return None


class GenericDetector:
    """A HookEstimator around openvino-model-api's detection wrappers (SSD, YOLO families, ...).

    model-api reads `model_info` from the file, embeds resize, layout, mean and scale in the graph, and decodes the outputs.
    """

    def __init__(self, detection_threshold: float | None = None, model_type: str | None = None) -> None:
        self._threshold = detection_threshold
        self._model_type = model_type
        self._model: Any = None
        self.labels: list[str] = []

    def load(self, model_url: str) -> ov.Model:
        """Return the graph with its pre-processing embedded. Raises ModelError if model-api does not know the model."""
        adapter = _read(Path(model_url))
        configuration = {} if self._threshold is None else {"confidence_threshold": self._threshold}
        try:
            self._model = DetectionModel.create_model(
                adapter, self._model_type or family(adapter), configuration, preload=False
            )
        except Exception as error:  # its wrappers raise whatever their reading of a foreign graph ends in
            raise ModelError(
                f"{model_url!r} is not a detector that openvino-model-api knows: {last_line(error)}; "
                "export it with model_info metadata, write its family in MODEL_TYPE (YOLO11, SSD, ...), "
                "or name your own code in ESTIMATOR=path/to/file.py:Class"
            ) from error
        self._say_need()
        self.labels = [str(label) for label in self._model.get_param("labels") or []]
        return adapter.model

    def _say_need(self) -> None:
        """Tell the worker how much of a picture the model can use, where its graph uses all of it."""
        self.letterbox = self._model.params.resize_type in _KEEP_ASPECT
        if self.letterbox or self._model.params.resize_type == "standard":
            self.input_size = (int(self._model.w), int(self._model.h))

    def preprocess(self, frame: Frame) -> tuple[Inputs, Any]:
        """Wrap the frame for the graph, which resizes it itself."""
        inputs, meta = self._model.base_preprocess(frame)
        return inputs, meta

    def postprocess(self, outputs: Outputs, meta: Any) -> list[list[float]]:
        """Return `[xmin, ymin, xmax, ymax, score, class]` per object, in pixels of the original frame."""
        found = self._model.postprocess(dict(outputs), meta)
        boxes = np.asarray(found.bboxes, dtype=np.float64).reshape(-1, 4)
        scores = np.asarray(found.scores, dtype=np.float64).reshape(-1, 1)
        classes = np.asarray(found.labels, dtype=np.float64).reshape(-1, 1)
        rows: list[list[float]] = np.hstack([boxes.round(1), scores.round(4), classes]).tolist()
        return rows
