"""The protocol's other documents: what a server and its models are, whether they are ready, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sedna_py.errors import MalformedBody
from sedna_py.protocol.open_inference import json_form

# Triton's `model_repository` is not among them: it promises that models can be loaded and unloaded, too.
EXTENSIONS: Final = ("binary_tensor_data",)

READY: Final = "READY"
UNAVAILABLE: Final = "UNAVAILABLE"

_MAX_ERROR_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """An input or output; -1 in the shape is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """A model; `platform` is `<project>_<format>`, e.g. `openvino_ir`. No versions: none can be asked for by name."""

    name: str
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    versions: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what `GET /v2/models/{name}` answers."""
        return {
            "name": self.name,
            **({"versions": list(self.versions)} if self.versions else {}),
            "platform": self.platform,
            "inputs": [tensor.document() for tensor in self.inputs],
            "outputs": [tensor.document() for tensor in self.outputs],
        }


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A model in the repository; `reason` says why it is not ready."""

    name: str
    ready: bool
    version: str = ""
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return its object in what `POST /v2/repository/index` answers, a list of these."""
        return {
            "name": self.name,
            **({"version": self.version} if self.version else {}),
            "state": READY if self.ready else UNAVAILABLE,
            "reason": self.reason,
        }


def server_metadata(name: str, version: str, extensions: tuple[str, ...] = EXTENSIONS) -> dict[str, Any]:
    """Return what `GET /v2` answers."""
    return {"name": name, "version": version, "extensions": list(extensions)}


def server_live(live: bool) -> dict[str, Any]:
    """Return what `GET /v2/health/live` answers."""
    return {"live": live}


def server_ready(ready: bool) -> dict[str, Any]:
    """Return what `GET /v2/health/ready` answers."""
    return {"ready": ready}


def model_ready(name: str, ready: bool) -> dict[str, Any]:
    """Return what `GET /v2/models/{name}/ready` answers."""
    return {"name": name, "ready": ready}


def error_document(message: str) -> dict[str, Any]:
    """Return the body of every failure."""
    return {"error": message}


def read_error(body: bytes) -> str:
    """Return the message of an error document, empty if the body is none: whatever failed may have answered."""
    try:
        message = json_form.load(body).get("error")
    except MalformedBody:
        return ""
    return message[:_MAX_ERROR_CHARS] if isinstance(message, str) else ""


def read_index_request(body: bytes) -> bool:
    """Return whether only models that are ready are asked for; an empty body asks for all. Raises MalformedBody."""
    ready = json_form.load(body).get("ready") if body.strip() else None
    if ready is not None and not isinstance(ready, bool):
        raise MalformedBody("'ready' is neither true nor false; write one of them, or leave it out")
    return ready is True
