"""Results to an HTTP server, by POST."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from sedna_py import __version__
from sedna_py.client.background_loop import BackgroundLoop
from sedna_py.errors import SednaError
from workers.edge.decision import FrameResult
from workers.edge.sinks.event import Publisher, as_json, event_id
from workers.edge.sinks.outbox import Courier, Outbox, SinkCause, SinkFigures
from workers.edge.sinks.webhook_request import Target, headers, judge, payload, retry_after, wait_before, wanted
from workers.settings import EdgeSettings

LOG = logging.getLogger(__name__)
CLOSE_S: Final = 1.0
MOST_READ: Final = 64 * 1024  # bytes of an answer, which nobody looks at; reading it keeps the connection usable


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """What the settings say, checked."""

    target: Target
    events: str
    batch: int
    linger_s: float
    timeout_s: float
    retries: int
    queue: int

    @classmethod
    def read(cls, settings: EdgeSettings) -> WebhookOptions:
        """Return the options. Raises SettingsError."""
        return cls(
            Target.read(settings),
            settings.webhook_events,
            settings.webhook_batch,
            settings.webhook_batch_ms / 1000,
            settings.webhook_timeout_ms / 1000,
            settings.webhook_retries,
            settings.webhook_queue,
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """One result as JSON, with what tells it from others."""

    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try met. `cause` None: the receiver has it."""

    cause: SinkCause | None
    again: bool = False
    asked_s: float = 0.0
    what: str = ""


class WebhookSink:
    """Posts results one request after the other; `write` never waits for the server.

    What a request carries is sent, tried again, or counted as lost, as one.
    """

    name = "webhook"

    def __init__(self, options: WebhookOptions, publisher: Publisher) -> None:
        self._options = options
        self._publisher = publisher
        self._said: SinkCause | None = None
        self._outbox: Outbox[Letter] = Outbox(self.name, options.queue)
        self._loop = BackgroundLoop("sink webhook loop")
        # Proxies and certificates of the environment count: the receiver may be anywhere. A redirect is no answer.
        self._client = httpx.AsyncClient(
            timeout=options.timeout_s, headers={"User-Agent": f"sedna-py/{__version__}"}, follow_redirects=False
        )
        self._courier = Courier(self._outbox, self.name, self._deliver, options.batch, options.linger_s)
        self._courier.start()

    def write(self, result: FrameResult) -> None:
        """Put the result into the queue, if it is one that is wanted."""
        record = result.record
        if not wanted(record, self._options.events):
            self._outbox.skip()
            return
        body = as_json(payload(record, self._publisher))
        self._outbox.put(Letter(event_id(record), body), len(body))

    def close(self) -> None:
        """Post what is inside, within a bound; a request under way is broken off then."""
        self._courier.finish()
        with contextlib.suppress(TimeoutError, SednaError):  # the latter if it was closed before
            self._loop.run(self._client.aclose(), CLOSE_S)
        self._loop.close()

    def figures(self) -> SinkFigures:
        """Return what became of the results."""
        return self._outbox.figures()

    def _deliver(self, letters: Sequence[Letter]) -> None:
        alone = self._options.batch == 1
        body = letters[0].body if alone else b"[" + b",".join(letter.body for letter in letters) + b"]"
        message_id = hashlib.sha256("\n".join(letter.id for letter in letters).encode()).hexdigest()[:32]
        retry = 0
        while (cause := (outcome := self._try(f"msg_{message_id}", body)).cause) is not None:
            if not outcome.again or retry == self._options.retries:
                self._outbox.lost(cause, len(letters))
                return
            if self._outbox.abandoned.wait(wait_before(retry, outcome.asked_s, random.random())):
                return
            retry += 1
        self._outbox.sent(len(letters))

    def _try(self, message_id: str, body: bytes) -> Outcome:
        outcome = self._post(message_id, body)
        if not self._outbox.abandoned.is_set():  # else it was broken off on purpose
            if outcome.cause is not None:
                self._outbox.failed(outcome.cause)
            self._tell(outcome)
        return outcome

    def _post(self, message_id: str, body: bytes) -> Outcome:
        try:
            return self._loop.run(self._request(message_id, body), self._options.timeout_s)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(SinkCause.TIMED_OUT, True, what=f"did not answer within {self._options.timeout_s:g} s")
        except httpx.TransportError as error:
            failed = isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error)
            cause = SinkCause.TLS_FAILED if failed else SinkCause.UNREACHABLE
            return Outcome(cause, True, what=f"cannot be reached: {error or type(error).__name__}")

    async def _request(self, message_id: str, body: bytes) -> Outcome:
        target = self._options.target
        made = headers(target, message_id, time.time(), body)
        async with self._client.stream("POST", target.url, content=body, headers=made) as response:
            cause, again = judge(response.status_code)
            asked_s = retry_after(response.headers, time.time()) if again else 0.0
            read = 0
            async for part in response.aiter_raw():
                read += len(part)
                if read > MOST_READ:
                    break
            return Outcome(cause, again, asked_s, f"answered {response.status_code}")

    def _tell(self, outcome: Outcome) -> None:
        """Log the first of several equal failures, and that it works again."""
        if outcome.cause is self._said:
            return
        if outcome.cause is None:
            LOG.info("sink webhook: %s takes results again", self._options.target)
        else:
            further = "trying again" if outcome.again else "its results are lost"
            LOG.warning("sink webhook: %s %s; %s", self._options.target, outcome.what, further)
        self._said = outcome.cause
