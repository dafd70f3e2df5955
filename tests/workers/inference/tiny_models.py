"""Models of a few numbers, made on the spot, that real OpenVINO and real model-api run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13 as op

COLOURS = ("red", "green", "blue")
# Image, class, (score), xmin, ymin, xmax, ymax: one box per colour, a third of the width each. The score is filled in.
BOXES = np.array([[0, i, 0, i / 3, 0, (i + 1) / 3, 1] for i in range(3)], np.float32)
SCORE_COLUMN = np.array([0, 0, 1, 0, 0, 0, 0], np.float32)
MODEL_INFO: Mapping[str, object] = {
    "model_type": "ssd",
    "confidence_threshold": 0.5,
    "labels": " ".join(COLOURS),
    "reverse_input_channels": True,
    "scale_values": 255.0,
    "resize_type": "standard",
}


def named(node: ov.Node, name: str) -> ov.Node:
    node.output(0).get_tensor().set_names({name})
    return node


def busy_network(layers: int = 200) -> ov.Model:
    """`numbers` (1, 512) through so many matrices: some milliseconds."""
    numbers = named(op.parameter([1, 512], np.float32), "numbers")
    node, matrix = numbers, np.random.default_rng(1).normal(0, 0.04, (512, 512)).astype(np.float32)
    for _ in range(layers):
        node = op.matmul(node, op.constant(matrix), False, False)
    return ov.Model([op.result(named(node, "found"))], [numbers], "busy")


def colour_network() -> ov.Model:
    """An SSD whose box i has the mean of the picture's colour i (red, green, blue) for its score."""
    image = named(op.parameter([1, 3, 8, 8], np.float32, name="image"), "image")
    means = op.reshape(op.reduce_mean(image, np.array([2, 3]), True), np.array([1, 1, 3, 1]), False)
    boxes = op.add(op.multiply(means, op.constant(SCORE_COLUMN)), op.constant(BOXES.reshape(1, 1, 3, 7)))
    return ov.Model([op.result(named(boxes, "detections"))], [image], "colours")


def save_colour_detector(folder: Path, *, model_info: Mapping[str, object] = MODEL_INFO) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model = colour_network()
    for key, value in model_info.items():
        model.set_rt_info(value, ["model_info", key])
    ov.save_model(model, str(folder / "model.xml"))
    return folder / "model.xml"


def save_yolo_colour_detector(folder: Path, model_info: Mapping[str, object]) -> Path:
    """Write a network with YOLO's output (1, 4 + 3 classes, 3 anchors): a box per colour, scored by that colour's mean."""
    picture = op.parameter([1, 3, 12, 36], np.float32)
    picture.set_layout(ov.Layout("NCHW"))
    means = op.reduce_mean(named(picture, "images"), op.constant(np.array([2, 3])), keep_dims=False)
    scores = op.multiply(op.reshape(means, op.constant(np.array([1, 3, 1])), False), np.eye(3, dtype=np.float32)[None])
    boxes = np.array([[[6, 18, 30], [6, 6, 6], [12, 12, 12], [12, 12, 12]]], np.float32)  # x, y, width, height
    model = ov.Model([named(op.concat([op.constant(boxes), scores], 1), "output0")], [picture])
    for key, value in model_info.items():
        model.set_rt_info(value, ["model_info", key])
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, str(folder / "model.xml"))
    return folder / "model.xml"


class MeanColour:
    """Hooks around a network that gives the mean of each colour of a picture of 12 x 36, as a row of six numbers."""

    def load(self, model_url: str) -> ov.Model:
        picture = named(op.parameter([1, 12, 36, 3], np.uint8, name="picture"), "picture")
        means = op.reduce_mean(op.convert(picture, np.float32), op.constant(np.array([1, 2])), keep_dims=False)
        return ov.Model([op.result(named(means, "means"))], [picture])

    def preprocess(self, frame: Any) -> Any:
        return {"picture": frame[None]}, None

    def postprocess(self, outputs: Any, meta: Any) -> Any:
        blue, green, red = (float(value) for value in outputs["means"][0])
        return [[red, green, blue, 0.0, 0.0, 0.0]]


def save_onnx_colour_detector(folder: Path) -> Path:
    constants = [
        numpy_helper.from_array(np.array([1, 1, 3, 1]), "shape"),
        numpy_helper.from_array(np.array([2, 3]), "axes"),
        numpy_helper.from_array(SCORE_COLUMN, "column"),
        numpy_helper.from_array(BOXES.reshape(1, 1, 3, 7), "boxes"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["means"], keepdims=1),
        helper.make_node("Reshape", ["means", "shape"], ["per_box"]),
        helper.make_node("Mul", ["per_box", "column"], ["scores"]),
        helper.make_node("Add", ["scores", "boxes"], ["detections"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 1, 3, 7])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in MODEL_INFO.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"model_info {key}", str(value)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(folder / "model.onnx"))
    return folder / "model.onnx"


def reshape_network(*, names: bool = True) -> ov.Model:
    """Reshapes `numbers` to the two dimensions in `shape`: an inference fails inside where these do not fit."""
    numbers = named(op.parameter([-1], np.float32, name="numbers"), "numbers")
    shape = named(op.parameter([2], np.int64, name="shape"), "shape")
    reshaped = op.reshape(numbers, shape, False)
    result = op.result(named(reshaped, "reshaped") if names else reshaped, name="the result")
    return ov.Model([result], [numbers, shape], "reshape")


def static_network() -> ov.Model:
    """Doubles two rows of three numbers; it has one input of one shape."""
    numbers = named(op.parameter([2, 3], np.float32, name="numbers"), "numbers")
    return ov.Model([op.result(named(op.add(numbers, numbers), "doubled"))], [numbers])


def passing_network(element_type: ov.Type) -> ov.Model:
    """Passes three values of that type on."""
    values = named(op.parameter([3], element_type, name="values"), "values")
    return ov.Model([op.result(values)], [values])
