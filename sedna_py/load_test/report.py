"""What a load test found, as a table for people and as JSON for programs: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sedna_py.load_test.processes import ServerUse
from sedna_py.load_test.samples import Latency

_WIDTH: Final = 20
_UNITS: Final = ("B", "kB", "MB", "GB")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The figures of the `seconds` that were counted; latencies are milliseconds.

    sent = answers well + refused + failed + unfinished; the last only where the test was interrupted.
    """

    title: str
    seconds: float
    interrupted: bool
    sent: int
    not_sent: int  # due, but every connection that was allowed was busy
    unfinished: int
    ok: int
    refused: Mapping[str, int]  # cause -> requests answered with 429 or 503
    failures: Mapping[str, int]  # cause -> requests
    answers_per_s: float  # well, in the time that was counted
    accepted_ms: Latency | None
    refused_ms: Latency | None
    lateness_ms: Latency | None  # of the load test itself, in an open loop
    sent_bytes_per_s: float
    received_bytes_per_s: float
    connections_opened: int  # warm-up included
    client_cpu_s: float
    server: ServerUse | None
    notes: tuple[str, ...]


def as_json(report: LoadReport) -> dict[str, Any]:
    """Return the report as plain values; what could not be computed is null."""
    return asdict(report)


def render(report: LoadReport) -> str:
    """Return a table of lines, each with a name and its figures."""
    lines = [report.title]
    lines += [f"{name:<{_WIDTH}}{value}".rstrip() for name, value in _rows(report)]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def _rows(report: LoadReport) -> Iterator[tuple[str, str]]:
    yield "counted", f"{report.seconds:.1f} s{', then interrupted' if report.interrupted else ''}"
    yield "sent", str(report.sent)
    yield "answered well", f"{report.ok}, {report.answers_per_s:.1f}/s"
    if report.accepted_ms is not None:
        yield "  latency", _latency(report.accepted_ms)
    yield "refused", str(sum(report.refused.values()))
    yield from _causes(report.refused)
    if report.refused_ms is not None:
        yield "  latency", _latency(report.refused_ms)
    yield "failed", str(sum(report.failures.values()))
    yield from _causes(report.failures)
    if report.not_sent:
        yield "not sent", f"{report.not_sent} (as many connections as allowed were busy)"
    if report.unfinished:
        yield "unfinished", str(report.unfinished)
    yield "bytes", f"sent {_size(report.sent_bytes_per_s)}/s, received {_size(report.received_bytes_per_s)}/s"
    yield "connections opened", str(report.connections_opened)
    yield "the test itself", f"{report.client_cpu_s:.2f} CPU s"
    if report.lateness_ms is not None:
        yield "  late by", _latency(report.lateness_ms)
    if report.server is not None:
        yield from _server(report.server)


def _causes(causes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for cause, count in causes.items():
        yield "", f"{count} {cause}"


def _server(server: ServerUse) -> Iterator[tuple[str, str]]:
    if server.cpu_s is None:
        yield "server", "gone before the end"
        return
    each = "" if server.answers_per_cpu_s is None else f", {server.answers_per_cpu_s:.1f} answers per CPU s"
    yield "server", f"{server.cpu_s:.2f} CPU s{each}"
    if server.rss_begin is not None and server.rss_end is not None:
        pss = "" if server.pss_end is None else f", PSS {_size(server.pss_end)}"
        yield "  memory", f"RSS {_size(server.rss_begin)} -> {_size(server.rss_end)}{pss}"


def _latency(figures: Latency) -> str:
    return f"p50 {figures.p50:.1f} ms, p95 {figures.p95:.1f} ms, p99 {figures.p99:.1f} ms, max {figures.max:.1f} ms"


def _size(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"
