"""What a cloud is asked with and answers in: Sedna's own protocol, or the Open Inference Protocol (v2) of other servers.

How a server of that protocol takes a picture is found out by asking. Triton, like our own worker, takes it as it is, behind the
JSON object; what KServe's server (0.21) and MLServer (1.7) take is base64 in the JSON, and they answer 500 to the other form
without saying beforehand that they do not speak it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from sedna_py.errors import MalformedBody, SettingsError
from sedna_py.protocol import sedna_json
from sedna_py.protocol.media_types import JPEG, JSON, PNG
from sedna_py.protocol.open_inference.binary_form import CONTENT_TYPE, HEADER_LENGTH, parse_header_length
from sedna_py.protocol.open_inference.metadata import read_error
from sedna_py.protocol.open_inference.pictures import decode_result, encode_picture_request
from sedna_py.protocol.open_inference.tensors import MAX_NAME_CHARS

_MAX_ERROR_CHARS: Final = 200
_NOT_UNDERSTOOD: Final = frozenset({400, 406, 415, 422, 500, 501})


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write a request: (body, media type, request id) to the body and the headers that go over the wire.

    `encode` raises MalformedBody.
    """

    encode: Callable[[bytes, str, str], tuple[bytes, Mapping[str, str]]]


@dataclass(slots=True)
class Dialect:
    """The addresses below http://host:port, and what goes over them.

    `decode(body, headers)`, the names in small letters, returns the result list, or raises MalformedBody. A pod is
    `ready_by_200` where any other answer to the probe means that it is not.
    """

    prefix: str
    predict_path: str
    probe_path: str
    ready_by_200: bool
    accept: str
    forms: tuple[Form, ...]
    decode: Callable[[bytes, Mapping[str, str]], list[Any]]
    _known: Form | None = field(default=None, init=False)

    def forms_to_try(self) -> tuple[Form, ...]:
        """Return the form that was understood last, else all of them in their order."""
        return self.forms if self._known is None else (self._known,)

    def understood(self, form: Form, status: int) -> bool:
        """Return whether the answer cannot be due to the form of the request, and learn from it."""
        if status == 200:
            self._known = form
        elif status in _NOT_UNDERSTOOD:
            self._known = None  # another server may answer by now
        return status not in _NOT_UNDERSTOOD

    def expect(self, form: Form) -> None:
        """Begin with this form next time, as the others were not understood and this one could not be tried yet."""
        self._known = form

    def error_text(self, body: bytes) -> str:
        """Return what a server said of a failure, for people; whatever failed may have answered."""
        return (read_error(body) or body[: 4 * _MAX_ERROR_CHARS].decode("utf-8", "replace"))[:_MAX_ERROR_CHARS]


def sedna(prefix: str) -> Dialect:
    """Return Sedna's own protocol below `prefix`."""
    return Dialect(
        prefix=prefix.strip("/"),
        predict_path="/predict",
        probe_path="",
        ready_by_200=False,  # upstream's server says 200 there as soon as it runs
        accept=JSON,
        forms=(Form(lambda body, media_type, _: (body, {"Content-Type": media_type} if media_type else {})),),
        decode=lambda body, _: sedna_json.decode_reply(body),
    )


def open_inference(model: str) -> Dialect:
    """Return the Open Inference Protocol for the model of that name; a body is one JPEG or PNG. Raises SettingsError."""
    if not 0 < len(model) <= MAX_NAME_CHARS or not model.isprintable():
        raise SettingsError(f"the model's name is {model[:80]!r}; write the name that it has on its server")
    return Dialect(
        prefix="v2",
        predict_path=f"/models/{quote(model, safe='')}/infer",
        probe_path="/health/ready",
        ready_by_200=True,
        accept=f"{CONTENT_TYPE}, {JSON}",
        forms=(_BINARY_FORM, _JSON_FORM),
        decode=lambda body, headers: decode_result(body, parse_header_length(headers.get(HEADER_LENGTH.lower()))),
    )


def _encode_picture(body: bytes, media_type: str, request_id: str, *, binary: bool) -> tuple[bytes, Mapping[str, str]]:
    if media_type not in (JPEG, PNG):
        raise MalformedBody(f"{media_type!r} does not travel by the Open Inference Protocol here; send a JPEG or a PNG")
    return encode_picture_request(body, request_id=request_id, binary=binary)


_BINARY_FORM: Final = Form(lambda body, media_type, rid: _encode_picture(body, media_type, rid, binary=True))
_JSON_FORM: Final = Form(lambda body, media_type, rid: _encode_picture(body, media_type, rid, binary=False))
