"""One blocking HTTP request with a bound on the time and on the attempts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import httpx

from sedna_py.errors import SednaError
from sedna_py.settings import redact

_log = logging.getLogger(__name__)

_RETRIED_CLIENT_ERRORS = frozenset({408, 425, 429})  # the 4xx that may go away by themselves


class RequestFailed(SednaError):
    """No attempt was answered with 200."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long: `total_s` covers all attempts and the pauses between them."""

    attempts: int = 5
    pause_s: float = 3.0
    total_s: float = 300.0
    connect_s: float = 5.0


def request_once_or_more(method: str, url: str, *, policy: RetryPolicy, **kwargs: Any) -> httpx.Response:
    """Return the response with status 200; `kwargs` are httpx's. Raises RequestFailed saying what the last attempt met."""
    deadline = time.monotonic() + policy.total_s
    for attempt in range(1, policy.attempts + 1):
        answer = _attempt(method, url, min(deadline - time.monotonic(), policy.total_s), policy.connect_s, kwargs)
        if isinstance(answer, httpx.Response):
            return answer
        _log.warning("%s %s: %s (attempt %d of %d)", method, redact(url), answer.problem, attempt, policy.attempts)
        if attempt == policy.attempts or not answer.retry or time.monotonic() + policy.pause_s >= deadline:
            raise RequestFailed(f"{method} {redact(url)} failed: {answer.problem}")
        time.sleep(policy.pause_s)
    raise RequestFailed(f"{method} {redact(url)} was not tried; allow at least one attempt")


@dataclass(frozen=True, slots=True)
class _Failure:
    problem: str
    retry: bool


def _attempt(
    method: str, url: str, timeout_s: float, connect_s: float, kwargs: dict[str, Any]
) -> httpx.Response | _Failure:
    timeout = httpx.Timeout(max(timeout_s, 0.001), connect=max(min(connect_s, timeout_s), 0.001))
    try:
        response = httpx.request(method, url, timeout=timeout, **kwargs)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        return _Failure(f"{error}; write http://host:port/path", retry=False)
    except httpx.HTTPError as error:
        return _Failure(f"{type(error).__name__}: {error}".rstrip(": "), retry=True)
    if response.status_code == 200:
        return response
    lasting = 400 <= response.status_code < 500 and response.status_code not in _RETRIED_CLIENT_ERRORS
    return _Failure(f"status {response.status_code} {response.text[:200]}".rstrip(), retry=not lasting)
