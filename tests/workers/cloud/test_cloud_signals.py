"""What a running cloud worker counts for autoscalers, read from its page as they read it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sedna_py.autoscaling.exposition import parse_snapshot
from sedna_py.autoscaling.signals import signals
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.protocol.reported_signals import SIGNALS_PATH, parse_signals

QUESTION = {"data": ["q"]}


def look(worker: Any) -> Snapshot:
    at = time.monotonic()
    return parse_snapshot(worker.client.get("/metrics").text, at)


def test_a_worker_without_a_model_can_be_read(serve: Callable[..., Any]) -> None:
    worker = serve()
    assert worker.predict(json=QUESTION).status_code == 503
    read = look(worker)
    assert (read.offered, read.done, read.dropped, read.streams, read.hard) == (0, 0, 0, 0, None)


def test_what_is_served_refused_and_given_up_is_told_apart(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=2)
    admission = worker.model.admission
    first = look(worker)
    assert abs(first.began - time.time()) < 60
    assert first.streams == 1

    def ask(**headers: str) -> Future[httpx.Response]:
        return clients.submit(worker.predict, json=QUESTION, headers=headers)

    with ThreadPoolExecutor(3) as clients:
        inside = ask()
        worker.wait_for(lambda: admission.in_flight == 1)
        waits = ask()
        worker.wait_for(lambda: admission.waiting == 1)
        assert ask(**{"X-Deadline-Ms": "200"}).result(20).status_code == 504
        more = ask()
        worker.wait_for(lambda: admission.waiting == 2)
        refused = worker.predict(json=QUESTION)
        assert refused.status_code == 429
        assert worker.predict(content=b"x", headers={"Content-Type": "text/plain"}).status_code in (415, 429)
        full = look(worker)
        gate.opened.set()
        assert [answer.result(20).status_code for answer in (inside, waits, more)] == [200] * 3
    worker.wait_until_idle()
    last = look(worker)
    assert full.offered - full.done - full.dropped == 3
    assert full.dropped >= 2  # out of time in line, and no place
    assert (last.done, last.offered - last.dropped) == (3, 3)
    assert last.dropped == full.dropped
    assert last.present_s > last.waiting_s > 0.2
    assert last.present_s - last.waiting_s == pytest.approx(last.busy_s)
    found = signals(first, last)
    assert found[names.SIGNAL_DROP_FPS] == pytest.approx(last.dropped / (last.at - first.at))
    assert found[names.SIGNAL_DEMAND] * (last.at - first.at) > last.busy_s - first.busy_s  # those that waited count
    # The three that were answered, and the one whose time was over: refusals at once tell of no latency.
    assert last.latency[-1] == 4


def test_the_page_for_the_controller_tells_the_same_with_the_workers_own_time(
    serve: Callable[..., Any], gate: Any
) -> None:
    worker = serve(gate)
    gate.opened.set()
    assert worker.predict(json=QUESTION).status_code == 200
    worker.wait_until_idle()
    before = time.monotonic()
    answer = worker.client.get(SIGNALS_PATH)
    assert answer.headers["content-type"] == "application/json"
    told = parse_signals(answer.content)
    assert before <= told.at <= time.monotonic()
    assert told.done == 1
    assert replace(told, at=0.0) == replace(look(worker), at=0.0)


def test_a_question_that_is_wrong_is_no_sign_of_load(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate)
    gate.opened.set()
    assert worker.predict(content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert worker.predict(content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    read = look(worker)
    assert read.dropped == 0
    assert read.offered == read.done
    assert read.latency[-1] == 0


def test_a_client_that_leaves_the_line_waited_in_vain(serve: Callable[..., Any], gate: Any) -> None:
    worker = serve(gate, concurrency=1, waiting=2)
    admission = worker.model.admission
    body = b'{"data": ["q"]}'
    head = f"POST /sedna/predict HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}"
    for number in range(2):
        connection = worker.connect(head, body)
        worker.wait_for(lambda number=number: admission.in_flight + admission.waiting == number + 1)
        if number:
            connection.close()
        else:
            kept = connection
    worker.wait_for(lambda: admission.waiting == 0)
    gate.opened.set()
    worker.wait_until_idle()
    kept.close()
    read = look(worker)
    assert (read.offered, read.done, read.dropped) == (2, 1, 1)
