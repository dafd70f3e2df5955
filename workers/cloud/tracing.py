"""Spans of the requests, for OpenTelemetry: optional, by the `tracing` extra and OpenTelemetry's own variables.

Spans are made after the request, from times that were taken anyway; sampling, queue and export are the SDK's, in its own thread
with its own bounds, configured by OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_BSP_MAX_QUEUE_SIZE and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sedna_py.errors import SettingsError
from workers.cloud.handled import Handled, Observer

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
DISABLED: Final = "OTEL_SDK_DISABLED"
_NS: Final = 1_000_000_000
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where requests are told of, and how the last spans get out."""

    observe: Observer
    close: Callable[[], None]


def start_tracing(environment: Mapping[str, str], resource: Mapping[str, str]) -> Tracing | None:
    """Return the tracing that the environment asks for, None for none.

    Raises SettingsError where it asks for some and the packages are not there.
    """
    if not any(environment.get(name) for name in ENDPOINTS) or environment.get(DISABLED, "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{ENDPOINTS[1]} is set, but {error.name} is not installed; install sedna-py[tracing], or unset it"
        ) from error
    provider = TracerProvider(resource=Resource.create(dict(resource)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(Spans(provider.get_tracer("sedna_py")), provider.shutdown)


class Spans:
    """Makes the spans of one request: one for the server, and a child for each stage."""

    def __init__(self, tracer: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def __call__(self, handled: Handled) -> None:
        """Tell of one request; its client's span is the parent where it named one."""
        trace = self._trace
        parent = (
            self._propagator.extract({"traceparent": handled.about.traceparent}) if handled.about.traceparent else None
        )
        begun = int(handled.begun * _NS)
        span = self._tracer.start_span(
            f"POST {handled.path}",
            context=parent,
            kind=trace.SpanKind.SERVER,
            start_time=begun,
            attributes=_attributes(handled),
        )
        if span.is_recording():
            if handled.status >= _SERVER_ERROR:
                span.set_status(trace.StatusCode.ERROR, handled.outcome)
            inside = trace.set_span_in_context(span)
            for name, seconds in handled.stages.spent():
                ended = begun + int(seconds * _NS)
                self._tracer.start_span(name, context=inside, start_time=begun).end(ended)
                begun = ended
        span.end(int(handled.ended * _NS))


def _attributes(handled: Handled) -> dict[str, str | int]:
    """Return OpenTelemetry's names for HTTP, and ours for what it has none for."""
    found: dict[str, str | int] = {
        "http.request.method": "POST",
        "url.path": handled.path,
        "http.response.status_code": handled.status,
        "http.request.body.size": handled.sizes[0],
        "sedna.outcome": handled.outcome,
    }
    if handled.about.frame_id:
        found["sedna.frame_id"] = handled.about.frame_id
    return found
