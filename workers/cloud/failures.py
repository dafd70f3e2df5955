"""The one table from what went wrong to what a client is told: status, cause, detail, when to try again."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from starlette.requests import ClientDisconnect

from sedna_py.errors import BodyTooLarge, MalformedBody, ProtocolError, UnsupportedMediaType
from workers.cloud.admission import Refused
from workers.cloud.big_model import NotReady, PredictionFailed, UnknownModel

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """`cause` is from a closed list (docs/metrics.md); `detail` is a text, or upstream's list for a malformed body."""

    status: int
    cause: str
    detail: object
    retry_after_s: int | None = None

    @property
    def text(self) -> str:
        """The detail as one line."""
        return self.detail if isinstance(self.detail, str) else "; ".join(str(part) for part in _parts(self.detail))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that belong to it."""
        return [] if self.retry_after_s is None else [(b"retry-after", str(self.retry_after_s).encode())]


def failure_of(error: Exception) -> Failure:
    """Return what an exception means; one that nobody expected is logged."""
    match error:
        case UnsupportedMediaType():
            return Failure(415, "unsupported_media_type", str(error))
        case BodyTooLarge():
            return Failure(413, "body_too_large", str(error))
        case MalformedBody():
            return Failure(422, "malformed_body", getattr(error, "detail", None) or str(error))
        case UnknownModel():
            return Failure(404, "unknown_model", str(error))
        case ProtocolError():
            return Failure(400, "bad_request", str(error))
        case Refused():
            return Failure(429, "overloaded", str(error), error.retry_after_s)
        case NotReady():
            return Failure(503, "not_ready", str(error), 1)
        case TimeoutError():
            return Failure(504, "deadline_exceeded", "no result before the request's deadline")
        case ClientDisconnect():
            return Failure(400, "client_disconnected", "the client went away")
        case PredictionFailed():
            LOG.warning("a prediction failed: %s", error)
            return Failure(500, "prediction_failed", str(error))
        case _:
            LOG.error("a request failed", exc_info=error)
            return Failure(500, "internal", type(error).__name__)


def _parts(detail: object) -> list[object]:
    if isinstance(detail, list):
        return [item.get("msg", item) if isinstance(item, dict) else item for item in detail]
    return [detail]
