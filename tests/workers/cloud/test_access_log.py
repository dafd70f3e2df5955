"""Which requests get a line, and what it says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from sedna_py.protocol.headers import RequestHeaders
from workers.cloud.access_log import AccessLog, line
from workers.cloud.handled import Handled
from workers.cloud.stages import Stages

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def handled(outcome: str = "ok", about: RequestHeaders | None = None) -> Handled:
    stages = Stages(read=0.001, queue=0.0, decode=0.002, infer=0.01, bytes_read=51_000)
    return Handled("/sedna/predict", 200, outcome, about or RequestHeaders(), stages, 1000.0, 1000.0132, (51_000, 99))


def test_the_line() -> None:
    about = RequestHeaders(frame_id="cam-1/17", traceparent=TRACE)
    assert line(handled(about=about)) == (
        "POST /sedna/predict 200 ok, 13.2 ms (read 1.0, decode 2.0, infer 10.0), 51000 -> 99 bytes, "
        "frame cam-1/17, trace 4bf92f3577b34da6a3ce929d0e0e4736"
    )


@pytest.mark.parametrize(("share", "lines"), [(0, 0), (0.1, 5), (1, 50)])
def test_a_share_of_the_requests_has_a_line(caplog: pytest.LogCaptureFixture, share: float, lines: int) -> None:
    log = AccessLog(share)
    with caplog.at_level(logging.INFO, "workers.access"):
        for _ in range(50):
            log(handled())
    assert len(caplog.records) == lines


def test_failures_are_counted_on_their_own_so_that_the_first_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog(0.01)
    with caplog.at_level(logging.INFO, "workers.access"):
        for number in range(90):
            log(handled("overloaded" if number >= 50 else "ok"))
    assert [record.getMessage().split(",")[0].split()[-1] for record in caplog.records] == ["ok", "overloaded"]


def test_requests_of_a_worker_are_logged(serve: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    class Echo:
        def predict(self, data: Any) -> Any:
            return data

    worker = serve(Echo(), observers=[AccessLog(1)])
    with caplog.at_level(logging.INFO, "workers.access"):
        worker.predict(json={"data": ["q"]}, headers={"X-Frame-Id": "seven"})
        worker.predict(content=b"{")
        worker.wait_for(lambda: len(caplog.records) == 2)  # a line is written after the reply
    good, bad = (record.getMessage() for record in caplog.records)
    assert good.startswith("POST /sedna/predict 200 ok, ")
    assert good.endswith("14 -> 16 bytes, frame seven")
    assert bad.startswith("POST /sedna/predict 422 malformed_body, ")
