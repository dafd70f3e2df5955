"""Requests of both protocols, damaged: the same ones for the same seed; sent as HTTP on connections that are kept."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from random import Random

import cv2
import numpy as np

from sedna_py.protocol import npy, sedna_json
from sedna_py.protocol.media_types import JPEG, JSON, NPY, PNG
from sedna_py.protocol.open_inference.binary_form import CONTENT_TYPE, HEADER_LENGTH
from sedna_py.protocol.open_inference.pictures import encode_picture_request
from sedna_py.protocol.open_inference.request import InferRequest, RequestedOutput, encode_request
from sedna_py.protocol.open_inference.tensors import Tensor

SEDNA = "/sedna/predict"
INFER = "/v2/models/{model}/infer"
PATHS = (SEDNA, INFER, "/v2/models/{model}/versions/1/infer", "/v2/models/{model}/versions/9/infer", "/v2/models/%00/infer",
         "/v2/repository/index", "/v2/models/{model}", "/v2", "/sedna", "/v2/nothing", "/readyz", "/openapi.json")  # fmt: skip
METHODS = ("POST", "GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH")
MEDIA_TYPES = (JPEG, PNG, NPY, JSON, CONTENT_TYPE, "text/plain", "image/jpeg; q=1", "", "\xff", "x" * 300)
TOKENS = (
    b"-1", b"0", b"1e999", b"NaN", b"null", b"true", b"9" * 30, b"[[", b"[]", b"]", b"{", b"}", b",", b'"', b"\\ud800",
    b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff", b"BYTES", b"UINT8", b"FP16", b"binary_data_size", b"base64", b"data",
    b"IHDR", b"\xff\xd8", b"\xff\xd9", b"\xff\xc0", b"IEND", b"(1,)", b"'<f8'", b"|O", b"[" * 5000, b'{"a":' * 2000,
)  # fmt: skip
HEADERS = (
    ("X-Deadline-Ms", ("0", "1", "-1", "1e3", "99999999999", "soon", "", "0.5")),
    ("Priority", ("u=7", "u=0, i", "u=", "\xff", "u=9")),
    ("traceparent", ("00-" + "0" * 32 + "-" + "1" * 16 + "-01", "x", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")),
    ("X-Frame-Id", ("cam-1#7", "\xe9\xff", "x" * 2000)),
    ("X-Request-Id", ("r", "\x7f", "y" * 2000)),
    ("Content-Encoding", ("gzip", "identity", "br", "")),
    ("Origin", ("http://elsewhere", "null")),
    ("Expect", ("100-continue", "else")),
    (HEADER_LENGTH, ("0", "-1", "1", "99999999999999", "x", "", "\xb2")),
)
NO_HTTP = b"Invalid HTTP request received."  # the HTTP server's own words, for a header with a control character
# Not HTTP, or not all of it; the worker may close the connection.
BROKEN = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"\x00" * 64,
    b"POST /sedna/predict HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /sedna/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n12345678",
    b"POST /sedna/predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /sedna/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 500\r\n\r\nhalf",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
)  # fmt: skip


@dataclass
class Request:
    """A request before it is written out."""

    path: str
    body: bytes
    headers: dict[str, str]
    method: str = "POST"

    def written(self, model: str) -> bytes:
        """Return it as HTTP."""
        path = self.path.replace("{model}", model)
        given = {"Host": "x", **self.headers, "Content-Length": str(len(self.body))}
        lines = [f"{self.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def good_requests() -> list[Request]:
    """Return one of each kind; a worker answers every one of them with 200."""
    frame = np.zeros((24, 30, 3), np.uint8)
    frame[..., 2] = 240  # blue as RGB, red as OpenCV has it
    jpeg, png = (bytes(cv2.imencode(ending, frame[..., ::-1])[1]) for ending in (".jpg", ".png"))
    arrays = Tensor.of_array("image", np.stack([frame, frame]))
    wanted = (RequestedOutput("detections", True), RequestedOutput("result", False))

    def of(request: InferRequest, *, binary: bool) -> tuple[bytes, dict[str, str]]:
        body, length = encode_request(request, binary=binary)
        return body, {} if length is None else {HEADER_LENGTH: str(length)}

    return [
        Request(SEDNA, jpeg, {"Content-Type": JPEG}),
        Request(SEDNA, png, {"Content-Type": PNG}),
        Request(SEDNA, npy.encode(frame), {"Content-Type": NPY}),
        Request(SEDNA, sedna_json.encode_request(frame, post_process=None), {"Content-Type": JSON}),
        Request(INFER, *encode_picture_request(jpeg, request_id="one")),
        Request(INFER, *encode_picture_request(png, binary=False)),
        Request(INFER, png, {HEADER_LENGTH: "0"}),
        Request(INFER, *of(InferRequest((arrays,), wanted), binary=True)),
        Request(INFER, *of(InferRequest((arrays,), id="two"), binary=False)),
        Request(INFER, *of(InferRequest((Tensor.of_bytes("image", [jpeg] * 3),), wanted), binary=True)),
    ]


def damaged(random: Random, good: list[Request]) -> Request:
    """Return one of them with something wrong; some are right by chance."""
    chosen = random.choice(good)
    request = Request(chosen.path, chosen.body, dict(chosen.headers))
    if random.random() < 0.85:
        request.body = _damaged_bytes(random, request.body)
        if HEADER_LENGTH in request.headers and random.random() < 0.5:
            # As a sender would say it that means these bytes, so that more of them are looked at.
            shift = len(request.body) - len(chosen.body) if random.random() < 0.7 else random.randrange(-9, 9)
            request.headers[HEADER_LENGTH] = str(int(request.headers[HEADER_LENGTH]) + shift)
    if random.random() < 0.15:
        request.headers["Content-Type"] = random.choice(MEDIA_TYPES)
    if random.random() < 0.2:
        name, values = random.choice(HEADERS)
        request.headers[name] = random.choice(values)
    if random.random() < 0.05:
        request.path = random.choice(PATHS)
    if random.random() < 0.05:
        request.method = random.choice(METHODS)
    return request


def _damaged_bytes(random: Random, body: bytes) -> bytes:
    found = bytearray(body)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(min(len(found), 400) + 1 if random.random() < 0.7 else len(found) + 1)
        match random.randrange(6):
            case 0:
                found[at : at + 1] = random.randbytes(1)
            case 1:
                found[at : at + random.randrange(1, 9)] = random.choice(TOKENS)
            case 2:
                found[at:at] = random.choice(TOKENS)
            case 3:
                del found[at : at + random.choice([1, 4, 1000])]
            case 4:
                found[at:at] = found[at // 2 : at]
            case _:
                del found[at:]
    return bytes(found)


@dataclass
class KeptConnection:
    """A connection to a worker that is used until the worker closes it. `statuses` counts what it answered."""

    port: int
    model: str
    statuses: dict[int, int] = field(default_factory=dict)
    opened: int = 0
    _socket: socket.socket | None = None
    _left: bytes = b""

    def ask(self, request: Request) -> tuple[int, bytes]:
        """Send one request; return status and body."""
        connection = self._connected()
        connection.sendall(request.written(self.model))
        while (head := self._head())[0] == 100:
            pass
        status, headers = head
        bodiless = request.method == "HEAD" or status in (204, 304)
        body = b"" if bodiless else self._take(int(headers.get("content-length", "0")))
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, body

    def close(self) -> None:
        """Close it; the next request opens another one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._left = None, b""

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.opened += 1
        return self._socket

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._left:
            self._receive()
        text, _, self._left = self._left.partition(b"\r\n\r\n")
        line, *rest = text.decode("latin-1").split("\r\n")
        pairs = (item.partition(":") for item in rest)
        return int(line.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}

    def _take(self, size: int) -> bytes:
        while len(self._left) < size:
            self._receive()
        body, self._left = self._left[:size], self._left[size:]
        return body

    def _receive(self) -> None:
        data = self._connected().recv(65536)
        if not data:
            raise ConnectionError("the worker closed a connection without an answer")
        self._left += data


def send_broken(port: int, data: bytes) -> bytes:
    """Send what is no request on a connection of its own, hang up, and return what came back in the meantime."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(65536)
        except ConnectionError:
            return b""


def error_in(body: bytes) -> str:
    """Return what a refusal says, whichever protocol it is of."""
    if body == NO_HTTP:
        return NO_HTTP.decode()
    document = json.loads(body)
    return str(document.get("error") or document.get("detail") or "") if isinstance(document, dict) else ""
