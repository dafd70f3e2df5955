"""Foreign clients against a worker, run by the Python that has them: `... http://host:port`; prints what they got as JSON.

Colours: each picture is of one colour, which the worker's model tells (0 red, 1 green, 2 blue).
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.http as triton
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from PIL import Image
from tritonclient.utils import InferenceServerException

URL = sys.argv[1]


def array(*colours: int) -> Any:
    """Return RGB pictures, [n, 24, 30, 3]."""
    pictures = np.zeros((len(colours), 24, 30, 3), np.uint8)
    for picture, colour in zip(pictures, colours, strict=True):
        picture[..., colour] = 240
    return pictures


def encoded(*colours: int) -> Any:
    """Return PNG files, [n] of bytes."""
    files = []
    for picture in array(*colours):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        files.append(file.getvalue())
    return np.array(files, dtype=np.object_)


def refusal(ask: Callable[[], object]) -> dict[str, str]:
    """Return what a call of Triton's client raised."""
    try:
        ask()
    except InferenceServerException as error:
        return {"status": str(error.status()), "message": str(error.message())}
    raise AssertionError("it was answered")


def triton_infer(client: Any, data: Any, *, binary: bool, outputs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Ask, and return the outputs as lists."""
    tensor = triton.InferInput("image", list(data.shape), "BYTES" if data.dtype == np.object_ else "UINT8")
    tensor.set_data_from_numpy(data, binary_data=binary)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in outputs]
    result = client.infer(more.pop("model", "model"), [tensor], outputs=wanted or None, **more)
    response = result.get_response()
    found = {item["name"]: result.as_numpy(item["name"]) for item in response["outputs"]}
    values = {
        name: [item.decode() for item in value] if value.dtype == np.object_ else value.tolist()
        for name, value in found.items()
    }
    return {**values, "id": response.get("id"), "version": response.get("model_version")}


def with_triton() -> dict[str, Any]:
    """Return what Triton's client got."""
    with triton.InferenceServerClient(URL.removeprefix("http://")) as client:
        wrong = triton.InferInput("sound", [1], "BYTES")
        wrong.set_data_from_numpy(np.array([b"x"], dtype=np.object_))
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready("model"),
            "version_ready": client.is_model_ready("model", "1"),
            "other_ready": client.is_model_ready("other"),
            "other_version_ready": client.is_model_ready("model", "7"),
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata("model"),
            "index": client.get_model_repository_index(),
            "encoded": triton_infer(client, encoded(2), binary=True, request_id="one"),
            "many_encoded": triton_infer(client, encoded(2, 0, 1), binary=True),
            "array_binary": triton_infer(client, array(1)[0], binary=True),
            "arrays_binary": triton_infer(client, array(1, 2), binary=True),
            "arrays_json": triton_infer(client, array(1, 0), binary=False, outputs=("detections", "counts")),
            "only_result": triton_infer(client, encoded(0, 2), binary=True, outputs=("result",)),
            "only_counts": triton_infer(client, array(0, 2), binary=False, outputs=("counts",)),
            "version": triton_infer(client, encoded(1), binary=True, model_version="1"),
            "with_a_timeout": triton_infer(client, encoded(1), binary=True, timeout=5_000_000),
            "compressed_reply": triton_infer(client, encoded(1), binary=True, response_compression_algorithm="gzip"),
            "no_model": refusal(lambda: triton_infer(client, encoded(0), binary=True, model="other")),
            "no_version": refusal(lambda: triton_infer(client, encoded(0), binary=True, model_version="7")),
            "no_output": refusal(lambda: triton_infer(client, encoded(0), binary=True, outputs=("masks",))),
            "no_input": refusal(lambda: client.infer("model", [wrong])),
            "no_picture": refusal(
                lambda: triton_infer(client, np.array([b"no picture"], dtype=np.object_), binary=True)
            ),
            "compressed": refusal(
                lambda: triton_infer(client, encoded(0), binary=True, request_compression_algorithm="gzip")
            ),
            "no_metadata": refusal(lambda: client.get_model_metadata("other")),
            "config": refusal(lambda: client.get_model_config("model")),
            "statistics": refusal(lambda: client.get_inference_statistics("model")),
            "load": refusal(lambda: client.load_model("model")),
        }


async def kserve_infer(client: Any, data: Any, *, binary: bool, input_name: str = "image", **more: Any) -> Any:
    """Ask, and return the outputs as lists."""
    datatype = "BYTES" if data.dtype == np.object_ else "UINT8"
    tensor = InferInput(input_name, list(data.shape), datatype)
    tensor.set_data_from_numpy(data, binary_data=binary)
    request = InferRequest("model", [tensor], **more)
    response = await client.infer(URL, request, model_name="model")
    return {**{output.name: output.as_numpy().tolist() for output in response.outputs}, "id": response.id}


async def kserve_refusal(asked: Any) -> str:
    """Return what a call of KServe's client raised."""
    try:
        await asked
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("it was answered")


async def with_kserve() -> dict[str, Any]:
    """Return what KServe's client got."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    try:
        return {
            "live": await client.is_server_live(URL),
            "ready": await client.is_server_ready(URL),
            "model_ready": await client.is_model_ready(URL, "model"),
            "other_ready": await client.is_model_ready(URL, "other"),
            "encoded": await kserve_infer(client, encoded(2), binary=True, request_id="two"),
            "arrays_binary": await kserve_infer(client, array(1, 2), binary=True),
            "arrays_json": await kserve_infer(client, array(1, 0), binary=False),
            "binary_outputs": await kserve_infer(
                client, encoded(1, 2), binary=True, parameters={"binary_data_output": True}
            ),
            "no_model": await kserve_refusal(client.infer(URL, {"inputs": []}, model_name="other")),
            "no_input": await kserve_refusal(kserve_infer(client, encoded(0), binary=True, input_name="sound")),
        }
    finally:
        await client.close()


print(json.dumps({"triton": with_triton(), "kserve": asyncio.run(with_kserve())}))
