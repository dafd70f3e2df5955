"""More requests, slower requests and ruder clients than the worker wants: bounded, and all given back afterwards."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from workers.cloud.admission import Admission
from workers.inference.predictor import EstimatorPredictor, create_predictor

PREDICT = "/sedna/predict"
HEAD = "POST /sedna/predict HTTP/1.1\nHost: x\nContent-Type: application/json\n"


async def flood(worker: Any, count: int, open_when: Callable[[int], bool], gate: Any) -> list[httpx.Response]:
    """Send `count` requests at once; open the gate when that many have been answered."""
    answers: list[httpx.Response] = []
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=worker.url, timeout=30, limits=limits, trust_env=False) as client:
        tasks = [asyncio.create_task(client.post(PREDICT, json={"data": ["q"]})) for _ in range(count)]
        for task in asyncio.as_completed(tasks):
            answers.append(await task)
            if open_when(len(answers)):
                gate.opened.set()
    return answers


@pytest.mark.parametrize(("concurrency", "waiting"), [(1, 0), (2, 3), (4, 8)])
def test_exactly_as_many_as_fit_are_accepted(
    serve: Callable[..., Any], gate: Any, concurrency: int, waiting: int
) -> None:
    worker = serve(gate, concurrency=concurrency, waiting=waiting)
    accepted = concurrency + waiting
    answers = asyncio.run(flood(worker, 40, lambda answered: answered == 40 - accepted, gate))
    assert Counter(answer.status_code for answer in answers) == {200: accepted, 429: 40 - accepted}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(answer.headers["Retry-After"] == "1" for answer in refused)
    assert {answer.json()["cause"] for answer in refused} == {"overloaded"}
    assert gate.calls == accepted
    assert worker.metric("sedna_cloud_requests_in_flight") == 0
    assert worker.metric("sedna_cloud_requests_waiting") == 0
    assert worker.metric("sedna_cloud_requests_total", outcome="overloaded") == 40 - accepted
    # And the same again: no slot was lost.
    assert worker.predict(json={"data": ["q"]}).status_code == 200


def test_the_gauges_count_what_is_inside(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=2, waiting=3)
    with ThreadPoolExecutor(5) as clients:
        answers = [clients.submit(worker.predict, json={"data": ["q"]}) for _ in range(5)]
        admission = worker.model.admission
        worker.wait_for(lambda: (admission.in_flight, admission.waiting) == (2, 3))
        assert worker.metric("sedna_cloud_requests_in_flight") == 2
        assert worker.metric("sedna_cloud_requests_waiting") == 3
        assert worker.client.get("/readyz").status_code == 200  # busy is not broken
        gate.opened.set()
        assert [answer.result(20).status_code for answer in answers] == [200] * 5
    worker.wait_until_idle()


def test_the_deadline_answers_and_the_slot_comes_back_when_the_model_is_done(
    serve: Callable[..., Any], gate: Any
) -> None:
    worker = serve(gate, concurrency=1, waiting=1)
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(worker.predict, json={"data": ["q"]}, headers={"X-Deadline-Ms": "2000"})
        assert gate.entered.acquire(timeout=10)  # before the deadline passes
        response = asked.result(20)
    assert (response.status_code, response.json()["cause"]) == (504, "deadline_exceeded")
    assert worker.metric("sedna_cloud_requests_in_flight") == 1  # predict cannot be interrupted
    waited = worker.predict(json={"data": ["q"]}, headers={"X-Deadline-Ms": "50"})
    assert waited.status_code == 504  # it never got a slot
    assert worker.metric("sedna_cloud_requests_waiting") == 0
    gate.opened.set()
    worker.wait_until_idle()
    assert gate.calls == 1  # the second was dropped in the line
    assert worker.predict(json={"data": ["q"]}).status_code == 200
    assert worker.metric("sedna_cloud_requests_total", outcome="deadline_exceeded") == 2


@pytest.mark.parametrize("deadline", ["0", "0.001", "1"])
def test_a_deadline_that_has_passed_is_one(serve: Callable[..., Any], gate: Any, deadline: str) -> None:
    worker = serve(gate)
    response = worker.predict(json={"data": ["q"]}, headers={"X-Deadline-Ms": deadline})
    assert response.elapsed.total_seconds() < 10  # not the worker's own 30 s
    assert (response.status_code, response.json()["cause"]) == (504, "deadline_exceeded")
    gate.opened.set()
    worker.wait_until_idle()


def test_a_frame_whose_deadline_has_passed_is_not_inferred_however_fast_the_model(
    serve: Callable[..., Any], gate: Any
) -> None:
    worker = serve(gate)
    gate.opened.set()
    for _ in range(20):
        response = worker.predict(json={"data": ["q"]}, headers={"X-Deadline-Ms": "0"})
        assert (response.status_code, response.json()["cause"]) == (504, "deadline_exceeded")
    assert gate.calls == 0
    assert worker.predict(json={"data": ["q"]}).status_code == 200


def test_the_workers_own_time_out_bounds_a_longer_deadline(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, timeout_s=0.05)
    for headers in ({}, {"X-Deadline-Ms": "3600000"}):
        assert worker.predict(json={"data": ["q"]}, headers=headers).status_code == 504
    gate.opened.set()


def test_a_slow_upload_is_cut_at_the_deadline(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate)
    with worker.connect(f"{HEAD}X-Deadline-Ms: 300\nContent-Length: 100000", b'{"data": [') as connection:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            begun = time.monotonic()
            reply = connection.makefile("rb").read()  # to the end: the connection is closed, drip or no drip
            assert time.monotonic() - begun < 10
        finally:
            stop.set()
            dripping.join()
    assert reply.startswith(b"HTTP/1.1 504")
    assert b'"cause":"deadline_exceeded"' in reply
    assert b"connection: close" in reply.lower()
    worker.wait_for(lambda: not worker.server.server_state.connections)
    assert gate.calls == 0


def test_who_is_still_sending_can_read_why_it_was_refused(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate)
    with worker.connect(f"{HEAD}X-Deadline-Ms: 100\nContent-Length: 10000000", b'{"data": [') as connection:
        # Its handler is gone, so the reply is on its way, and all of this comes too late.
        worker.wait_for(lambda: worker.server.server_state.connections and not worker.server.server_state.tasks)
        for _ in range(3):
            connection.sendall(b" " * 100_000)
        reply = connection.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 504")
    worker.wait_for(lambda: not worker.server.server_state.connections)


def test_what_is_no_http_is_told_so_while_it_still_comes(serve: Callable[..., Any]) -> None:
    worker = serve(None)
    with worker.connect("these are no words of HTTP", b"x" * 100_000) as connection:
        reply = connection.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 400")
    worker.wait_for(lambda: not worker.server.server_state.connections)


def test_who_never_stops_sending_is_cut_off(
    serve: Callable[..., Any], gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.http_protocol.LINGER_S", 0.2)
    worker = serve(gate)
    with worker.connect(f"{HEAD}X-Deadline-Ms: 100\nContent-Length: 10000000", b'{"data": ['):
        worker.wait_for(lambda: not worker.server.server_state.connections)


def test_a_client_that_leaves_while_it_sends(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate)
    worker.connect(f"{HEAD}Content-Length: 100000", b'{"data": [').close()
    worker.wait_for(lambda: not worker.server.server_state.tasks)
    assert worker.metric("sedna_cloud_requests_total", outcome="client_disconnected") == 1
    assert gate.calls == 0
    assert worker.metric("sedna_cloud_requests_in_flight") == 0


def test_clients_that_leave_while_the_model_works_or_they_wait(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=2)
    body = b'{"data": ["q"]}'
    rude = [worker.connect(f"{HEAD}Content-Length: {len(body)}", body) for _ in range(3)]
    admission = worker.model.admission
    worker.wait_for(lambda: (admission.in_flight, admission.waiting) == (1, 2))
    for connection in rude:
        connection.close()
    worker.wait_for(lambda: (admission.in_flight, admission.waiting) == (1, 0))  # predict cannot be interrupted
    assert worker.metric("sedna_cloud_requests_total", outcome="client_disconnected") == 3
    gate.opened.set()
    worker.wait_until_idle()
    assert gate.calls == 1  # nobody was left to infer for
    assert worker.predict(json={"data": ["q"]}).status_code == 200


def test_who_gives_up_in_the_line_before_the_threads_is_not_inferred(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(EstimatorPredictor(Serialised(gate), requests=1))
    worker.model.admission = Admission(2, 0)  # one more than the model has threads for: it waits behind the first
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(worker.predict, json={"data": ["q"]})
        worker.wait_for(lambda: gate.calls == 1)
        assert worker.predict(json={"data": ["q"]}, headers={"X-Deadline-Ms": "100"}).status_code == 504
        gate.opened.set()
        assert first.result(20).status_code == 200
    worker.wait_until_idle()
    assert gate.calls == 1


class Serialised:
    """A gate for one at a time."""

    def __init__(self, gate: Any) -> None:
        self.predict = gate.predict


def test_a_refusal_does_not_wait_for_the_body(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=0)
    with ThreadPoolExecutor(1) as clients:
        inside = clients.submit(worker.predict, json={"data": ["q"]})
        worker.wait_for(lambda: worker.model.admission.in_flight == 1)
        with worker.connect(f"{HEAD}Content-Length: 10000", b"{") as connection:
            line = connection.makefile("rb").readline()
        assert line.startswith(b"HTTP/1.1 429")
        gate.opened.set()
        assert inside.result(20).status_code == 200


def test_a_connection_goes_on_after_a_refusal_and_what_was_left_of_the_body(
    serve: Callable[..., Any], gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = serve(gate, concurrency=1, waiting=0)
    body = b'{"data": ["q"]}'
    head = f"{HEAD}Content-Length: {len(body)}\nX-Frame-Id: cam/1\nOrigin: http://dashboard"
    with ThreadPoolExecutor(1) as clients:
        inside = clients.submit(worker.predict, json={"data": ["q"]})
        worker.wait_for(lambda: worker.model.admission.in_flight == 1)
        # None of these becomes a request: the connection itself refuses them.
        monkeypatch.setattr("workers.cloud.exchange.Exchange.__call__", None)
        with worker.connect(head, body[:4]) as connection, connection.makefile("rb") as replies:
            assert read_reply(replies)[0] == 429
            connection.sendall(body[4:])
            for _ in range(3):
                connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
                status, fields, told = read_reply(replies)
                assert (status, fields["retry-after"], fields["x-frame-id"]) == (429, "1", "cam/1")
                assert fields["access-control-allow-origin"] == "*"
                assert b'"cause":"overloaded"' in told
            monkeypatch.undo()
            gate.opened.set()
            assert inside.result(20).status_code == 200
            worker.wait_until_idle()
            connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
            assert read_reply(replies)[0] == 200
    assert worker.metric("sedna_cloud_requests_total", outcome="overloaded") == 4


def read_reply(replies: Any) -> tuple[int, dict[str, str], bytes]:
    """Read one reply; return its status, headers (names in small letters) and body."""
    status = int(replies.readline().split()[1])
    fields = {}
    while line := replies.readline().decode().strip():
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return status, fields, replies.read(int(fields["content-length"]))


def test_what_is_wrong_with_a_request_is_said_also_when_there_is_no_room(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=0)
    with ThreadPoolExecutor(1) as clients:
        inside = clients.submit(worker.predict, json={"data": ["q"]})
        worker.wait_for(lambda: worker.model.admission.in_flight == 1)
        assert worker.predict(content=b"{", headers={"X-Deadline-Ms": "soon"}).status_code == 422
        assert worker.predict(content=b"{", headers={"Content-Encoding": "gzip"}).status_code == 415
        gate.opened.set()
        assert inside.result(20).status_code == 200


def test_urgent_requests_are_answered_before_background_ones(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(Order(gate), concurrency=1, waiting=8)
    with ThreadPoolExecutor(7) as clients:
        answers = [clients.submit(worker.predict, json={"data": ["first"]})]
        worker.wait_for(lambda: gate.calls == 1)
        for number, name in enumerate(["audit", "audit", "alarm", "audit", "alarm"]):
            headers = {"Priority": "u=5"} if name == "audit" else {}
            answers.append(clients.submit(worker.predict, json={"data": [name]}, headers=headers))
            worker.wait_for(lambda waiting=number + 1: worker.model.admission.waiting == waiting)
        gate.opened.set()
        assert [answer.result(20).status_code for answer in answers] == [200] * 6
    assert gate.order == ["first", "alarm", "alarm", "audit", "audit", "audit"]


class Order:
    """A gate that remembers who came in which order."""

    def __init__(self, gate: Any) -> None:
        self._gate = gate
        gate.order = []

    def predict(self, data: Any) -> Any:
        self._gate.order.append(data[0])
        return self._gate.predict(data)


def test_who_would_wait_longer_than_the_worker_allows_is_refused(serve: Callable[..., Any]) -> None:
    worker = serve(Slow(), concurrency=1, waiting=50, wait_s=0.2)
    answers = asyncio.run(ask_at_once(worker, 40))
    assert answers[200] >= 2  # those before the worker knew how long it takes, and those that fitted
    later = asyncio.run(ask_at_once(worker, 40))
    assert 2 <= later[200] <= 30  # 50 ms each, and some have gone by the time that the last ones come
    assert later[429] == 40 - later[200]


class Slow:
    """50 ms of work."""

    def predict(self, data: Any) -> Any:
        time.sleep(0.05)
        return [0]


async def ask_at_once(worker: Any, count: int) -> Counter[int]:
    async with httpx.AsyncClient(base_url=worker.url, timeout=30, trust_env=False) as client:
        replies = await asyncio.gather(*(client.post(PREDICT, json={"data": ["q"]}) for _ in range(count)))
    return Counter(reply.status_code for reply in replies)


def test_all_bodies_together_are_bounded(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, body_bytes=4096)  # the budget is four bodies
    open_uploads = [worker.connect(f"{HEAD}Content-Length: 4096", b" " * 4000) for _ in range(4)]
    try:
        worker.wait_for(lambda: len(worker.server.server_state.tasks) == 4)
        gate.opened.set()
        answers: list[httpx.Response] = []

        def refused() -> bool:
            answers.append(worker.predict(content=b'{"data": ["' + b"q" * 1000 + b'"]}'))
            return answers[-1].status_code == 429

        assert any(refused() for _ in range(200))  # the four uploads may arrive a moment later
        assert answers[-1].json()["cause"] == "overloaded"
        assert answers[-1].headers["Retry-After"] == "1"
        assert "bytes already" in answers[-1].json()["detail"]
    finally:
        for connection in open_uploads:
            connection.close()
    worker.wait_for(lambda: not worker.server.server_state.tasks)
    assert worker.predict(content=b'{"data": ["' + b"q" * 1000 + b'"]}').status_code == 200


def test_probes_answer_while_the_model_and_the_line_are_full(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=0)
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(worker.predict, json={"data": ["q"]})
        assert gate.entered.acquire(timeout=10)
        assert worker.client.get("/healthz", timeout=5).status_code == 200
        gate.opened.set()
        assert answer.result(20).status_code == 200


def test_many_clients_of_a_real_model_each_get_their_own_answer(serve: Callable[..., Any], model_path: str) -> None:
    worker = serve(create_predictor(model_path), waiting=200)

    async def ask(client: httpx.AsyncClient, width: int) -> tuple[int, Any]:
        response = await client.post(PREDICT, json={"data": [[[0, 0, 255]] * width] * 3})
        return width, response.json()["result"][0][2]

    async def ask_all() -> list[tuple[int, Any]]:
        async with httpx.AsyncClient(base_url=worker.url, timeout=60, trust_env=False) as client:
            return await asyncio.gather(*(ask(client, width) for width in range(3, 103)))

    assert asyncio.run(ask_all()) == [(width, float(width)) for width in range(3, 103)]
    assert worker.metric("sedna_cloud_requests_total", outcome="ok") == 100


def test_who_is_under_way_when_the_drain_ends_is_told(serve: Callable[..., Any], gate: Any) -> None:
    """One request in the model, one in line, one still uploading: each gets 503, none a broken connection."""
    worker = serve(gate, concurrency=1, waiting=1, drain_s=1)
    answers: list[Future[httpx.Response]] = []
    with ThreadPoolExecutor(2) as clients, worker.connect(f"{HEAD}Content-Length: 100", b"{") as uploading:
        answers = [clients.submit(worker.predict, json={"data": ["q"]}) for _ in range(2)]
        admission = worker.model.admission
        worker.wait_for(lambda: (admission.in_flight, admission.waiting) == (1, 1))
        worker.wait_for(lambda: len(worker.server.server_state.tasks) == 3)
        worker.model.drain()
        worker.server.should_exit = True
        responses = [answer.result(20) for answer in answers]
        assert uploading.makefile("rb").read().startswith(b"HTTP/1.1 503")
        gate.opened.set()
    assert [response.status_code for response in responses] == [503, 503]
    assert {response.json()["cause"] for response in responses} == {"not_ready"}
    assert {response.headers["Retry-After"] for response in responses} == {"1"}


def test_who_is_under_way_when_the_drain_begins_is_served(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=1, drain_s=20)
    with ThreadPoolExecutor(2) as clients, worker.connect(f"{HEAD}Content-Length: 15", b'{"data"') as uploading:
        answers = [clients.submit(worker.predict, json={"data": ["q"]}) for _ in range(2)]
        admission = worker.model.admission
        worker.wait_for(lambda: (admission.in_flight, admission.waiting) == (1, 1))
        worker.model.drain()
        worker.server.should_exit = True
        gate.opened.set()
        assert [answer.result(20).status_code for answer in answers] == [200, 200]
        uploading.sendall(b': ["q"]}')
        assert uploading.makefile("rb").read().startswith(b"HTTP/1.1 200")
