"""The client with servers of the Open Inference Protocol: what they are asked, in which form, and what their answers mean."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode

import httpx
import numpy as np
import pytest

from sedna_py.client.circuit_breaker import BreakerState
from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.dialect import open_inference
from sedna_py.client.pod_lookup import PodSource
from sedna_py.client.route import Route
from sedna_py.client.send_cap import SendCap
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import CloudUnavailable, SettingsError
from sedna_py.hard_example_mining.budget_text import parse_cap
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG, JSON
from sedna_py.protocol.open_inference.binary_form import HEADER_LENGTH
from sedna_py.protocol.open_inference.request import decode_request
from sedna_py.protocol.open_inference.response import InferResponse, encode_response
from sedna_py.protocol.open_inference.tensors import Tensor
from tests.sedna_py.client.played_pods import Names, until

PICTURE = b"\xff\xd8\xff a JPEG"
BOX = [10.0, 20.0, 30.0, 40.0, 0.5, 1.0]
SETTINGS = ClientSettings(deadline_s=5.0, failure_threshold=3)


def answer(*, binary: bool) -> httpx.Response:
    rows = Tensor.of_array("detections", np.array([BOX], np.float32))
    body, length = encode_response(InferResponse("faces", (rows,)), binary)
    return httpx.Response(200, content=body, headers={} if length is None else {HEADER_LENGTH: str(length)})


class Server:
    """What it was asked, and how it answers: `binary` and `plain` are the status of either form, 200 with a box."""

    def __init__(self, *, binary: int = 200, plain: int = 200, says: bytes = b'{"error": "not so"}') -> None:
        self.binary, self.plain, self.says = binary, plain, says
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        is_binary = HEADER_LENGTH in request.headers
        status = self.binary if is_binary else self.plain
        return answer(binary=is_binary) if status == 200 else httpx.Response(status, content=self.says)

    def forms(self) -> str:
        """Return a letter for each request, and forget them: b for binary, j for JSON."""
        found = "".join("b" if HEADER_LENGTH in request.headers else "j" for request in self.asked)
        self.asked.clear()
        return found


def run(scenario, server, **options):
    async def main():
        transport = httpx.MockTransport(server)
        client = CloudClient(
            "http://server:8000", settings=SETTINGS, transport=transport, **{"model": "faces", **options}
        )
        try:
            return await scenario(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


async def refusal(client: CloudClient, media_type: str = JPEG) -> CloudUnavailable:
    with pytest.raises(CloudUnavailable) as caught:
        await client.predict(PICTURE, media_type)
    return caught.value


def test_a_picture_travels_as_it_is_behind_the_json_object():
    server = Server()
    reply = run(
        lambda client: client.predict(PICTURE, JPEG, frame_id="cam-7", deadline_s=0.9), server, model="my faces"
    )
    assert reply.result == [BOX]
    (request,) = server.asked
    assert (request.method, str(request.url)) == ("POST", "http://server:8000/v2/models/my%20faces/infer")
    assert request.headers["Content-Type"] == "application/octet-stream"
    assert 0 < int(request.headers["X-Deadline-Ms"]) <= 900
    assert request.headers["X-Frame-Id"] == "cam-7"
    asked = decode_request(request.content, int(request.headers[HEADER_LENGTH]))
    assert [(tensor.name, tensor.elements()) for tensor in asked.inputs] == [("image", [PICTURE])]
    assert asked.id == request.headers["X-Request-Id"]  # KServe's server answers 500 to a request without one
    assert asked.parameters == {"binary_data_output": True}
    assert reply.bytes_sent == len(request.content)


@pytest.mark.parametrize("status", [400, 415, 422, 500])
def test_a_server_that_takes_no_binary_data_is_sent_base64_from_then_on(status):
    server = Server(binary=status)

    async def scenario(client):
        first = await client.predict(PICTURE, JPEG)
        (asked,) = [request for request in server.asked if HEADER_LENGTH not in request.headers]
        sent = sum(len(request.content) for request in server.asked)
        assert (first.result, first.bytes_sent) == ([BOX], sent)
        assert server.forms() == "bj"
        for _ in range(3):
            assert (await client.predict(PICTURE, JPEG)).result == [BOX]
        assert server.forms() == "jjj"
        assert client.breaker_state is BreakerState.CLOSED
        return asked

    asked = run(scenario, server)
    assert asked.headers["Content-Type"] == "application/json"
    document = json.loads(asked.content)
    (tensor,) = document["inputs"]
    assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("image", "BYTES", [1])
    assert tensor["parameters"] == {"content_type": "base64"}
    assert b64decode(tensor["data"][0]) == PICTURE
    assert decode_request(asked.content, None).inputs[0].elements() == [PICTURE]
    assert document["id"] == asked.headers["X-Request-Id"]


def test_a_form_that_the_cap_kept_back_is_the_first_one_next_time():
    """A cap of one request a second must not spend each second on the form that is not understood."""
    server, now = Server(binary=500), [0.0]

    async def scenario(client):
        assert (await refusal(client)).cause is OffloadCause.OVER_CAP
        now[0] += 1.1
        assert (await client.predict(PICTURE, JPEG)).result == [BOX]
        assert server.forms() == "bj"

    run(scenario, server, cap=SendCap(parse_cap("1 fps")), clock=lambda: now[0])


def test_another_server_behind_the_address_is_understood_again():
    server = Server(binary=500)

    async def scenario(client):
        await client.predict(PICTURE, JPEG)
        server.binary, server.plain = 200, 400
        server.asked.clear()
        assert (await refusal(client)).cause is OffloadCause.REJECTED
        assert (await client.predict(PICTURE, JPEG)).result == [BOX]
        assert server.forms() == "jb"

    run(scenario, server)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (404, OffloadCause.REJECTED),
        (413, OffloadCause.REJECTED),
        (429, OffloadCause.OVERLOADED),
        (502, OffloadCause.SERVER_ERROR),
        (503, OffloadCause.OVERLOADED),
    ],
)
def test_a_failure_that_is_not_about_the_form_is_asked_once_and_has_the_servers_words(status, cause):
    server = Server(binary=status, plain=status, says=b'{"error": "model faces is not here"}')
    failure = run(refusal, server)
    assert failure.cause is cause
    assert str(failure) == f"the cloud answered {status}: model faces is not here"
    assert server.forms() == "b"


def test_a_server_that_fails_in_both_forms_opens_the_circuit():
    server = Server(binary=500, plain=500, says=b"Traceback")

    async def scenario(client):
        causes = [(await refusal(client)).cause for _ in range(4)]
        assert causes == [OffloadCause.SERVER_ERROR] * 3 + [OffloadCause.CIRCUIT_OPEN]

    run(scenario, server)
    assert server.forms() == "bjbjbj"


@pytest.mark.parametrize("body", [b"<html>", b'{"outputs": []}', b'{"result": [[1, 2, 3, 4, 0.5, 1]]}'])
def test_an_answer_of_another_kind_is_invalid(body):
    failure = run(refusal, lambda _: httpx.Response(200, content=body))
    assert failure.cause is OffloadCause.INVALID_REPLY


def test_what_is_no_picture_is_not_sent():
    server = Server()

    async def scenario(client):
        failures = [await refusal(client, JSON) for _ in range(5)]
        assert {failure.cause for failure in failures} == {OffloadCause.ENCODE_FAILED}
        assert client.breaker_state is BreakerState.CLOSED

    run(scenario, server)
    assert server.asked == []


def test_the_server_says_what_it_is():
    infos = run(
        lambda client: client.fetch_infos(), lambda request: httpx.Response(200, json={"asked": request.url.path})
    )
    assert infos == {"asked": "/v2"}


@pytest.mark.parametrize("not_ready", [400, 503])
def test_a_pod_is_asked_once_it_says_that_it_is_ready(loopback, not_ready):
    lines: list[str] = []
    ready = asyncio.Event()
    predicted = answer(binary=True)

    async def handler(reader, writer):
        while True:
            request = await loopback.read(reader)
            lines.append(request.line.partition(" HTTP")[0])
            if request.line.startswith("GET"):
                writer.write(loopback.answer(200 if ready.is_set() else not_ready, b""))
            else:
                length = predicted.headers[HEADER_LENGTH]
                writer.write(loopback.answer(200, predicted.content, **{HEADER_LENGTH: length}))
            await writer.drain()

    async def main():
        async with loopback.serve(handler) as port:
            pods = PodSource("faces-pods.test", port, Names([f"127.0.0.1:{port}"]))
            client = CloudClient("http://127.0.0.1:9", settings=SETTINGS, pods=pods, model="faces")
            await client.start()
            try:
                await until(lambda: lines, "a probe")
                assert (await refusal(client)).cause is OffloadCause.CONNECT_FAILED
                assert set(lines) == {"GET /v2/health/ready"}
                ready.set()
                await until(lambda: client.route is Route.PODS, "the pod")
                assert (await client.predict(PICTURE, JPEG)).result == [BOX]
                assert lines[-1] == "POST /v2/models/faces/infer"
            finally:
                await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["x" * 257, "a\nb"])
def test_a_name_that_no_model_has_is_refused(name):
    with pytest.raises(SettingsError, match="write the name that it has on its server"):
        open_inference(name)
