"""The body of `POST /v2/models/{name}/infer`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference import envelope, json_form
from sedna_py.protocol.open_inference.json_form import Parameter
from sedna_py.protocol.open_inference.tensors import Tensor, check_name, check_names

BINARY_DATA: Final = "binary_data"
BINARY_DATA_OUTPUT: Final = "binary_data_output"
# Both ask for another answer than the tensor, so they must not be passed over.
_NOT_SPOKEN: Final = (envelope.SHARED_MEMORY, "classification")


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that the client wants; `binary_data` None: as the request's `binary_data_output` says."""

    name: str
    binary_data: bool | None = None


@dataclass(frozen=True, slots=True)
class InferRequest:
    """Inputs to infer on. No outputs: all that the model has. An empty id was not given."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    id: str = ""
    parameters: dict[str, Parameter] = field(default_factory=dict)

    def output_names(self) -> tuple[str, ...]:
        """Return the names of the outputs that the client wants, in its order; empty means all."""
        return tuple(output.name for output in self.outputs)

    def binary_names(self, names: Iterable[str]) -> frozenset[str]:
        """Return which of these outputs the client wants in the binary form."""
        default = self.parameters.get(BINARY_DATA_OUTPUT) is True
        said = {output.name: output.binary_data for output in self.outputs if output.binary_data is not None}
        return frozenset(name for name in names if said.get(name, default))


def encode_request(request: InferRequest, *, binary: bool) -> tuple[bytes, int | None]:
    """Return the body, and what goes into `Inference-Header-Content-Length`, None if that is not to be sent.

    Raises MalformedBody for what `decode_request` would refuse, and for what JSON cannot carry if `binary` is false.
    """
    if not request.inputs:
        raise MalformedBody("the request has no inputs; give at least one tensor")
    document: dict[str, Any] = {}
    if request.id:
        document["id"] = json_form.check_text(request.id, "id")
    if request.parameters:
        document["parameters"] = _check_parameters(json_form.check_parameters(request.parameters))
    if request.outputs:
        check_names([check_name(output.name, "an output") for output in request.outputs], "outputs")
        document["outputs"] = [_output_document(output) for output in request.outputs]
    return envelope.join(document, "inputs", request.inputs, lambda _: binary)


def decode_request(body: bytes, header_length: int | None, *, raw_input: str | None = None) -> InferRequest:
    """Decode a request; `header_length` is the value of `Inference-Header-Content-Length`, None if there is none.

    `raw_input` names the BYTES input of a model that has only one: a length of 0 then says, as with Triton, that the
    body is its only element, and that all outputs are wanted in the binary form. Raises MalformedBody.
    """
    if header_length == 0 and raw_input is not None and body:
        return InferRequest((Tensor.of_bytes(raw_input, [body]),), parameters={BINARY_DATA_OUTPUT: True})
    document, offset = envelope.split(body, header_length)
    inputs = json_form.read_list(document, "inputs")
    if not inputs:
        raise MalformedBody("the request has no inputs; send at least one tensor in 'inputs'")
    outputs = tuple(_read_output(item) for item in json_form.read_list(document, "outputs") or [])
    check_names([output.name for output in outputs], "outputs")
    return InferRequest(
        inputs=envelope.read_tensors(inputs, body, offset, "inputs"),
        outputs=outputs,
        id=json_form.read_text(document, "id"),
        parameters=_check_parameters(json_form.read_parameters(document)),
    )


def _check_parameters(parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    if not isinstance(parameters.get(BINARY_DATA_OUTPUT, False), bool):
        raise MalformedBody(f"{BINARY_DATA_OUTPUT} is neither true nor false; write one of them, or leave it out")
    return parameters


def _read_output(document: dict[str, Any]) -> RequestedOutput:
    name = check_name(document.get("name"), "one of the outputs")
    parameters = json_form.read_parameters(document)
    if refused := next((key for key in _NOT_SPOKEN if key in parameters), None):
        raise MalformedBody(f"the output {name[:80]!r} is asked for with {refused}, which is not spoken; leave it out")
    binary_data = parameters.get(BINARY_DATA)
    if binary_data is not None and not isinstance(binary_data, bool):
        raise MalformedBody(f"{BINARY_DATA} of {name[:80]!r} is neither true nor false; write one of them")
    return RequestedOutput(name, binary_data)


def _output_document(output: RequestedOutput) -> dict[str, Any]:
    if output.binary_data is None:
        return {"name": output.name}
    return {"name": output.name, "parameters": {BINARY_DATA: output.binary_data}}
