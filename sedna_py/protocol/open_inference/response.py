"""The answer to `POST /v2/models/{name}/infer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference import envelope, json_form
from sedna_py.protocol.open_inference.tensors import Tensor


@dataclass(frozen=True, slots=True)
class InferResponse:
    """What the model gave. An empty version or id was not given."""

    model_name: str
    outputs: tuple[Tensor, ...]
    model_version: str = ""
    id: str = ""

    def output(self, name: str) -> Tensor | None:
        """Return the output of that name."""
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


def encode_response(response: InferResponse, binary_names: frozenset[str] | bool) -> tuple[bytes, int | None]:
    """Return the body, and what goes into `Inference-Header-Content-Length`, None if that is not to be sent.

    `binary_names` says which outputs are sent in the binary form. Raises MalformedBody for outputs that disagree with
    themselves, and for those that JSON cannot carry.
    """
    document: dict[str, Any] = {"model_name": json_form.check_text(response.model_name, "model_name")}
    if response.model_version:
        document["model_version"] = json_form.check_text(response.model_version, "model_version")
    if response.id:
        document["id"] = json_form.check_text(response.id, "id")

    def binary(name: str) -> bool:
        return binary_names if isinstance(binary_names, bool) else name in binary_names

    return envelope.join(document, "outputs", response.outputs, binary)


def decode_response(body: bytes, header_length: int | None) -> InferResponse:
    """Decode a response; `header_length` is the value of `Inference-Header-Content-Length`, None if there is none.

    Raises MalformedBody, with the server's own words if it is an error document.
    """
    document, offset = envelope.split(body, header_length)
    if isinstance(error := document.get("error"), str):
        raise MalformedBody(f"the server answered with an error: {error[:200]}")
    outputs = json_form.read_list(document, "outputs")
    if outputs is None:
        raise MalformedBody('the response has no outputs; expected {"outputs": [...]}')
    return InferResponse(
        model_name=json_form.read_text(document, "model_name"),
        outputs=envelope.read_tensors(outputs, body, offset, "outputs"),
        model_version=json_form.read_text(document, "model_version"),
        id=json_form.read_text(document, "id"),
    )
