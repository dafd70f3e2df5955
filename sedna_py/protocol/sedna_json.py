"""Sedna's JSON bodies: `POST /{prefix}/predict` and `GET /{prefix}`.

A request is `{"data": [...], "callback": name or null}`, a reply `{"result": [...]}`; other keys of a request are
ignored. NaN and Infinity are no JSON and are refused both ways, so that one bad number is an error here and not a
parser failure elsewhere.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from sedna_py.errors import MalformedBody

# Row n: the three characters of n and a comma.
_UINT8_TEXT: Final = np.frombuffer(b"".join(b"%3d," % n for n in range(256)), np.uint8).reshape(256, 4)


class InvalidPredictRequest(MalformedBody):
    """A predict request of another shape; `detail` is the list that goes into the 422 answer (loc, msg, type)."""

    def __init__(self, loc: list[str | int], msg: str, kind: str) -> None:
        super().__init__(f"{'.'.join(map(str, loc))}: {msg}")
        self.detail: list[dict[str, Any]] = [{"loc": loc, "msg": msg, "type": kind}]


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What to predict on, and the name of a registered callback for the answer."""

    data: list[Any]
    callback: str | None = None


def encode_request(data: object, **extra: object) -> bytes:
    """Encode a predict request; `data` is a list or an array, numpy values are accepted at any depth.

    Raises MalformedBody for data that is no list, for NaN and for anything that JSON cannot carry.
    """
    if isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim and data.size:
        rest = _encode(extra)[1:]  # the other keys and the brace that closes the whole
        return b"".join((b'{"data":', _uint8_text(data), b"," if extra else b"", rest))
    return _encode({"data": _as_list(data, "data"), **extra})


def decode_request(body: bytes) -> PredictRequest:
    """Decode a predict request. Raises InvalidPredictRequest, whose `detail` says where and what is wrong."""
    document = _decode_request_json(body)
    if not isinstance(document, dict):
        raise InvalidPredictRequest(["body"], "value is not a valid dict", "type_error.dict")
    if "data" not in document:
        raise InvalidPredictRequest(["body", "data"], "field required", "value_error.missing")
    data, callback = document["data"], document.get("callback")
    if not isinstance(data, list):
        raise InvalidPredictRequest(["body", "data"], "value is not a valid list", "type_error.list")
    if callback is not None and not isinstance(callback, str):
        raise InvalidPredictRequest(["body", "callback"], "str type expected", "type_error.str")
    return PredictRequest(data, callback)


def encode_reply(result: object) -> bytes:
    """Encode a reply; `result` is a list or an array. Raises MalformedBody for anything else and for NaN."""
    return _encode({"result": _as_list(result, "result")})


def decode_reply(body: bytes) -> list[Any]:
    """Return the result list of a reply. Raises MalformedBody."""
    try:
        document = _loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the reply is not JSON: {error}") from error
    result = document.get("result") if isinstance(document, dict) else None
    if not isinstance(result, list):
        raise MalformedBody('the reply has no list of results; expected {"result": [...]}')
    return result


def service_infos(prefix: str) -> dict[str, Any]:
    """Return what `GET /{prefix}` answers."""
    root = "/" + prefix.strip("/")
    return {"infos": [{"path": root, "name": "model_info"}, {"path": f"{root}/predict", "name": "predict"}]}


def error_body(cause: str, detail: object) -> dict[str, Any]:
    """Return the body of an error answer: `detail` as upstream's clients expect it, and a cause to count by."""
    return {"detail": detail, "cause": cause}


def _as_list(value: object, key: str) -> list[Any]:
    if isinstance(value, np.ndarray) and value.ndim > 0:
        listed: list[Any] = value.tolist()
        return listed
    if isinstance(value, (list, tuple)):
        return list(value)
    raise MalformedBody(f"{key} is {type(value).__name__}; give a list or an array")


def _uint8_text(array: NDArray[np.uint8]) -> bytes:
    """Return a non-empty array as nested JSON lists, each number padded to three characters (spaces are legal JSON).

    Equal widths turn the work into array copies, level by level from the innermost: several times faster than a
    Python list per pixel, for a tenth more bytes.
    """
    level: NDArray[np.uint8] = _UINT8_TEXT[array]
    while level.ndim > 1:
        items = level.reshape(*level.shape[:-2], -1)
        level = np.empty((*items.shape[:-1], items.shape[-1] + 2), np.uint8)
        level[..., 0] = ord("[")
        level[..., 1:-1] = items
        level[..., -2] = ord("]")  # in place of the last item's comma
        level[..., -1] = ord(",")
    return level[:-1].tobytes()


def _encode(document: dict[str, Any]) -> bytes:
    try:
        # A frame has a list per pixel; the encoder's own cycle check would remember every one of them.
        text = json.dumps(document, default=_plain, allow_nan=False, check_circular=False, separators=(",", ":"))
    except RecursionError as error:
        raise MalformedBody("the value is nested too deeply for JSON; give plain lists") from error
    except (ValueError, TypeError) as error:
        raise MalformedBody(
            f"the value does not fit into JSON: {error}; give finite numbers, text and lists"
        ) from error
    return text.encode("ascii")


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tolist()
    if isinstance(value, np.generic):
        return _plain_scalar(value)
    raise TypeError(f"{type(value).__name__} is neither number, text nor list")


def _plain_scalar(value: np.generic) -> Any:
    item = value.item()
    # Some scalars (long double, for one) have no Python counterpart and would come back here for ever.
    return float(item) if isinstance(item, np.floating) else item


def _decode_request_json(body: bytes) -> Any:
    if not body.strip():
        raise InvalidPredictRequest(["body"], "field required", "value_error.missing")
    try:
        return _loads(body)
    except json.JSONDecodeError as error:
        raise InvalidPredictRequest(["body", error.pos], str(error), "value_error.jsondecode") from error
    except (ValueError, RecursionError) as error:
        raise InvalidPredictRequest(["body"], str(error), "value_error.jsondecode") from error


def _loads(body: bytes) -> Any:
    return json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; send finite numbers")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large for a number; send finite numbers")
    return number
