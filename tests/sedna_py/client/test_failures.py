"""The map from exceptions and statuses to causes is complete."""

from __future__ import annotations

import inspect
import json

import httpx
import pytest

from sedna_py.client.circuit_breaker import Outcome
from sedna_py.client.failures import CAUSES, failure_of_exception, failure_of_status
from sedna_py.protocol.asleep import asleep_body
from sedna_py.protocol.causes import OffloadCause


def _httpx_exceptions() -> list[type[BaseException]]:
    public = [getattr(httpx, name) for name in httpx.__all__]
    found = {cls for cls in public if inspect.isclass(cls) and issubclass(cls, BaseException)}
    waiting = list(found)
    while waiting:
        new = set(waiting.pop().__subclasses__()) - found
        found |= new
        waiting += new
    return sorted((cls for cls in found if cls.__module__.startswith("httpx")), key=lambda cls: cls.__name__)


def test_the_walk_finds_what_httpx_documents():
    assert {httpx.ConnectTimeout, httpx.InvalidURL, httpx.StreamClosed} <= set(_httpx_exceptions())
    assert len(_httpx_exceptions()) > 20


@pytest.mark.parametrize("kind", _httpx_exceptions())
def test_every_httpx_exception_has_its_own_entry(kind):
    assert kind in CAUSES


@pytest.mark.parametrize(
    ("error", "cause", "outcome"),
    [
        (httpx.ConnectError("refused"), OffloadCause.CONNECT_FAILED, Outcome.FAILURE),
        (httpx.ConnectTimeout(""), OffloadCause.CONNECT_FAILED, Outcome.FAILURE),
        (TimeoutError(), OffloadCause.DEADLINE_EXCEEDED, Outcome.FAILURE),
        (httpx.ReadTimeout(""), OffloadCause.DEADLINE_EXCEEDED, Outcome.FAILURE),
        (httpx.PoolTimeout(""), OffloadCause.QUEUE_FULL, Outcome.ABANDONED),
        (httpx.RemoteProtocolError("gone"), OffloadCause.CONNECTION_LOST, Outcome.FAILURE),
        (OSError("no route"), OffloadCause.CONNECTION_LOST, Outcome.FAILURE),
        (UnicodeError("label too long"), OffloadCause.CONNECT_FAILED, Outcome.FAILURE),
        (RuntimeError("surprise"), OffloadCause.CONNECTION_LOST, Outcome.FAILURE),
    ],
)
def test_exceptions(error, cause, outcome):
    failure = failure_of_exception(error)
    assert (failure.cause, failure.outcome) == (cause, outcome)
    assert type(error).__name__ in str(failure)


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        (204, OffloadCause.INVALID_REPLY, Outcome.FAILURE),
        (307, OffloadCause.INVALID_REPLY, Outcome.FAILURE),
        (400, OffloadCause.REJECTED, Outcome.SUCCESS),
        (404, OffloadCause.REJECTED, Outcome.SUCCESS),
        (422, OffloadCause.REJECTED, Outcome.SUCCESS),
        (429, OffloadCause.OVERLOADED, Outcome.SUCCESS),
        (500, OffloadCause.SERVER_ERROR, Outcome.FAILURE),
        (502, OffloadCause.SERVER_ERROR, Outcome.FAILURE),
        (503, OffloadCause.OVERLOADED, Outcome.FAILURE),
        (504, OffloadCause.OVERLOADED, Outcome.FAILURE),
    ],
)
def test_statuses(status, cause, outcome):
    failure = failure_of_status(status, "why")
    assert (failure.cause, failure.outcome) == (cause, outcome)
    assert str(failure) == f"the cloud answered {status}: why"


def test_a_cloud_that_sleeps_is_no_failure():
    body = json.dumps(asleep_body("it wakes")).encode()
    failure = failure_of_status(503, "it wakes", body)
    assert (failure.cause, failure.outcome) == (OffloadCause.CLOUD_ASLEEP, Outcome.ASLEEP)
    assert failure_of_status(503, "it wakes", b"{}").cause is OffloadCause.OVERLOADED
