"""Spans by the real OpenTelemetry SDK, exported to a collector of the test's own over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sedna_py.errors import SettingsError
from tests.workers.cloud.otlp_collector import Collector
from workers.cloud.tracing import start_tracing

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


class Echo:
    def predict(self, data: Any) -> Any:
        if data == ["bad"]:
            raise ValueError("bad")
        return data


def test_a_request_is_a_span_of_its_clients_trace_with_a_child_for_each_stage(
    serve: Callable[..., Any], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    tracing = start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, {"service.name": "helmet"})
    assert tracing is not None
    worker = serve(Echo(), observers=[tracing.observe])
    parent = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "X-Frame-Id": "cam-1/17"}
    assert worker.predict(json={"data": ["q"]}, headers=parent).status_code == 200
    assert worker.predict(json={"data": ["bad"]}).status_code == 500
    not_sampled = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-00"}
    assert worker.predict(json={"data": ["q"]}, headers=not_sampled).status_code == 200
    tracing.close()  # sends what is left
    spans = collector.spans()
    good, bad = [span for span in spans if span.name == "POST /sedna/predict"]
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    attributes = {item.key: item.value for item in good.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["sedna.frame_id"].string_value == "cam-1/17"
    children = [span for span in spans if span.parent_span_id == good.span_id]
    assert {span.name for span in children} >= {"read", "decode", "infer", "encode"}
    assert all(span.start_time_unix_nano >= good.start_time_unix_nano for span in children)
    assert all(span.end_time_unix_nano <= good.end_time_unix_nano for span in children)
    assert bad.status.code == 2
    assert bad.status.message == "prediction_failed"


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1", "OTEL_SDK_DISABLED": "true"}]
)
def test_nobody_who_did_not_ask_is_traced(environment: dict[str, str]) -> None:
    assert start_tracing(environment, {}) is None


def test_without_the_packages_the_worker_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"install sedna-py\[tracing\], or unset it"):
        start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, {})
