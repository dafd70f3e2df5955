"""The big model's face in the Open Inference Protocol: pictures and texts in, detections or results out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sedna_py.errors import BodyTooLarge, EstimatorError, MalformedBody
from sedna_py.protocol.open_inference.pictures import decode_detections, decode_result, encode_picture_request
from sedna_py.protocol.open_inference.request import InferRequest, decode_request, encode_request
from sedna_py.protocol.open_inference.response import InferResponse, encode_response
from sedna_py.protocol.open_inference.tensors import Tensor
from workers.cloud.open_inference import (
    check_outputs,
    has_texts,
    model_metadata,
    read_pictures,
    read_texts,
    write_results,
)

BOX = [1.0, 2.0, 3.0, 4.0, 0.5, 7.0]
OTHER_BOX = [0.0, 0.0, 2.0, 2.0, 0.25, 1.0]


def _over_the_wire(*inputs: Tensor) -> InferRequest:
    return decode_request(*encode_request(InferRequest(inputs), binary=True))


def _outputs(results: list, *wanted: str) -> dict[str, object]:
    outputs = write_results(results, wanted)
    return {one.name: one.data if isinstance(one.data, list) else one.data.tolist() for one in outputs}


def test_encoded_pictures_are_handed_over_as_they_are():
    request = _over_the_wire(Tensor.of_bytes("image", [b"\xff\xd8one", b"\x89PNGtwo"]))
    assert read_pictures(request, max_pictures=2) == [b"\xff\xd8one", b"\x89PNGtwo"]
    batched = _over_the_wire(Tensor("image", "BYTES", (2, 1), [b"a", b"b"]))
    assert read_pictures(batched, max_pictures=2) == [b"a", b"b"]
    with pytest.raises(BodyTooLarge, match="2 pictures; send at most 1"):
        read_pictures(request, max_pictures=1)


def test_raw_pictures_are_cut_apart():
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    pictures = read_pictures(_over_the_wire(Tensor.of_array("image", pixels)), max_pictures=2)
    assert [picture.tolist() for picture in pictures] == pixels.tolist()
    alone = read_pictures(_over_the_wire(Tensor.of_array("image", pixels[1])), max_pictures=1)
    assert [picture.tolist() for picture in alone] == [pixels[1].tolist()]
    with pytest.raises(BodyTooLarge, match="at most 1"):
        read_pictures(_over_the_wire(Tensor.of_array("image", pixels)), max_pictures=1)
    with pytest.raises(BodyTooLarge, match="5x4, over 19 pixels"):
        read_pictures(_over_the_wire(Tensor.of_array("image", pixels)), max_pictures=2, max_pixels=19)


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor.of_bytes("picture", [b"a"]),
        Tensor.of_bytes("image", []),
        Tensor("image", "BYTES", (1, 2), [b"a", b"b"]),
        Tensor("image", "BYTES", (), [b"a"]),
        Tensor.of_array("image", np.zeros((4, 5, 3), np.float32)),
        Tensor.of_array("image", np.zeros((4, 5, 4), np.uint8)),
        Tensor.of_array("image", np.zeros((3, 4, 5), np.uint8)),
        Tensor.of_array("image", np.zeros((4, 5), np.uint8)),
        Tensor.of_array("image", np.zeros((0, 5, 3), np.uint8)),
        Tensor.of_array("image", np.zeros((0, 4, 5, 3), np.uint8)),
    ],
)
def test_other_inputs_are_told_what_to_send(tensor):
    with pytest.raises(MalformedBody, match="send 'image' as BYTES"):
        read_pictures(_over_the_wire(tensor), max_pictures=8)


def test_only_one_input_is_taken():
    request = _over_the_wire(Tensor.of_bytes("image", [b"a"]), Tensor.of_bytes("data", [b"a"]))
    with pytest.raises(MalformedBody, match="the inputs are 'image', 'data'; send 'image'"):
        read_pictures(request, max_pictures=8)
    with pytest.raises(MalformedBody, match="send 'data'"):
        read_texts(request)


def test_texts_are_one_call():
    request = _over_the_wire(Tensor.of_bytes("data", [b"question", "größer?".encode()]))
    assert has_texts(request)
    assert read_texts(request) == ["question", "größer?"]
    assert not has_texts(_over_the_wire(Tensor.of_bytes("image", [b"a"])))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor.of_bytes("data", []),
        Tensor.of_bytes("data", [b"\xff"]),
        Tensor.of_array("data", np.zeros(2, np.uint8)),
        Tensor.of_bytes("image", [b"a"]),
    ],
)
def test_what_is_no_text_is_told_what_to_send(tensor):
    with pytest.raises(MalformedBody, match="send 'data' as BYTES"):
        read_texts(_over_the_wire(tensor))


def test_rows_of_six_numbers_become_detections_with_their_counts():
    results = [[BOX, OTHER_BOX], [], [np.array(BOX)], [tuple(map(np.float32, BOX))]]
    outputs = write_results(results, ())
    assert [(one.name, one.datatype, one.shape) for one in outputs] == [
        ("detections", "FP32", (4, 6)),
        ("counts", "INT64", (4,)),
    ]
    assert outputs[0].array().tolist() == [BOX, OTHER_BOX, BOX, BOX]
    assert outputs[1].array().tolist() == [2, 0, 1, 1]
    assert _outputs([[], []]) == {"detections": [], "counts": [0, 0]}


@pytest.mark.parametrize(
    "result",
    [
        ["an answer"],
        [[*BOX, 1.0]],
        [BOX[:5]],
        [[*BOX[:5], "car"]],
        [[*BOX[:5], True]],
        [{"box": BOX}],
        [3],
        [np.array(3)],
    ],
)
def test_other_results_become_json_text(result):
    outputs = _outputs([result, [BOX]])
    assert list(outputs) == ["result"]
    plain = [item.tolist() if isinstance(item, np.ndarray) else item for item in result]
    assert [json.loads(text) for text in outputs["result"]] == [plain, [BOX]]
    for name in ("detections", "counts"):
        with pytest.raises(MalformedBody, match="ask for 'result'"):
            write_results([result], [name])


def test_a_client_gets_the_outputs_that_it_names_in_its_order():
    outputs = write_results([[BOX], []], ["counts", "result", "detections"])
    assert [one.name for one in outputs] == ["counts", "result", "detections"]
    assert outputs[1].elements() == [b"[[1.0,2.0,3.0,4.0,0.5,7.0]]", b"[]"]
    assert _outputs([[BOX]], "counts") == {"counts": [1]}
    check_outputs(["result", "counts"])
    for refuse in (check_outputs, lambda names: write_results([[BOX]], names)):
        with pytest.raises(MalformedBody, match="no output 'boxes'; ask for detections, counts, result"):
            refuse(["result", "boxes"])


@pytest.mark.parametrize(
    ("results", "wanted"),
    [
        ([[[*BOX[:5], float("nan")]]], []),
        ([[[*BOX[:5], 1e39]]], []),
        ([[[*BOX[:5], 10**400]]], []),
        ([[float("inf")]], []),
        ([[[*BOX[:5], float("nan")]]], ["result"]),
        ([[object()]], []),
    ],
)
def test_results_that_cannot_be_sent_are_the_models_doing(results, wanted):
    with pytest.raises(EstimatorError, match="cannot be sent"):
        write_results(results, wanted)


def test_metadata_promises_what_the_model_keeps():
    detector = model_metadata("helmet", platform="openvino_ir", detector=True, versions=("1",)).document()
    assert detector == {
        "name": "helmet",
        "versions": ["1"],
        "platform": "openvino_ir",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "detections", "datatype": "FP32", "shape": [-1, 6]},
            {"name": "counts", "datatype": "INT64", "shape": [-1]},
        ],
    }
    other = model_metadata("answers", platform="python_script", detector=False).document()
    assert [one["name"] for one in other["inputs"]] == ["image", "data"]
    assert [one["name"] for one in other["outputs"]] == ["result"]


@pytest.mark.parametrize("result", [[BOX, OTHER_BOX], []])
@pytest.mark.parametrize("output_name", [None, "detections", "result"])
def test_the_edge_reads_what_the_cloud_writes(result, output_name):
    body, headers = encode_picture_request(b"\xff\xd8picture", output_name=output_name)
    request = decode_request(body, int(headers["Inference-Header-Content-Length"]))
    assert read_pictures(request, max_pictures=1) == [b"\xff\xd8picture"]
    outputs = tuple(write_results([result], request.output_names()))
    reply = encode_response(InferResponse("m", outputs), request.binary_names(one.name for one in outputs))
    assert decode_detections(*reply, output_name=output_name) == result
    assert decode_result(*reply) == result
