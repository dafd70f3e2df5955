"""What a webhook's requests are made of, and what an answer means: pure.

Requests follow Standard Webhooks 1.0 (https://www.standardwebhooks.com): its headers, signature and form of payload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from sedna_py.decision_log import DecisionRecord
from sedna_py.errors import SettingsError
from sedna_py.settings import redact
from workers.edge.sinks.event import Publisher, event
from workers.edge.sinks.outbox import SinkCause
from workers.edge.sinks.throttle import is_correction
from workers.sink_settings import SinkSettings

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the scheme's own mark
KEY_BYTES: Final = range(24, 65)
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
LONGEST_RETRY_AFTER_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post and what to sign with. `str` of it is safe to log: paths of webhooks are often secrets themselves."""

    url: httpx.URL
    key: bytes | None = field(default=None, repr=False)

    def __str__(self) -> str:
        port = f":{self.url.port}" if self.url.port else ""
        return f"{self.url.scheme}://{self.url.host}{port}"

    @classmethod
    def read(cls, settings: SinkSettings) -> Target:
        """Return what WEBHOOK_URL and WEBHOOK_SECRET say. Raises SettingsError without what is secret in them."""
        wrong = f"WEBHOOK_URL is {redact(settings.webhook_url)!r}; write http://host/path or https://host/path"
        try:
            url = httpx.URL(settings.webhook_url)
        except (httpx.InvalidURL, ValueError):  # its own message would show what it takes for a port
            raise SettingsError(wrong) from None
        if url.scheme not in ("http", "https") or not url.host or not 0 < (1 if url.port is None else url.port) < 65536:
            raise SettingsError(wrong)
        secret = settings.webhook_secret
        return cls(url, None if secret is None else signing_key(secret.get_secret_value()))


def signing_key(secret: str) -> bytes:
    """Return the bytes that a secret stands for. Raises SettingsError, without the secret, for one that stands for none."""
    wanted = (
        f"write {SECRET_PREFIX} and the base64 of {KEY_BYTES[0]} to {KEY_BYTES[-1]} random bytes,"
        f" as echo {SECRET_PREFIX}$(openssl rand -base64 32) makes it"
    )
    if not secret.startswith(SECRET_PREFIX):
        raise SettingsError(f"WEBHOOK_SECRET does not begin with {SECRET_PREFIX}; {wanted}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"WEBHOOK_SECRET is no base64 after {SECRET_PREFIX}; {wanted}") from None
    if len(key) not in KEY_BYTES:
        raise SettingsError(f"WEBHOOK_SECRET has {len(key)} bytes; {wanted}")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a request: HMAC-SHA256 over id, seconds and body, in the scheme's first version."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def headers(target: Target, message_id: str, now: float, body: bytes) -> dict[str, str]:
    """Return the headers of one try at `now` (seconds since the epoch); the id is the same in each try."""
    timestamp = int(now)
    made = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "Idempotency-Key": message_id,
    }
    if target.key is not None:
        made["webhook-signature"] = sign(target.key, message_id, timestamp, body)
    return made


def wanted(record: DecisionRecord, events: str) -> bool:
    """Return whether a record is one of `events` (WEBHOOK_EVENTS)."""
    match events:
        case "hard":
            return record.hard
        case "corrections":
            return is_correction(record)
        case "detections":  # and an answer that takes back what was seen at first
            return bool(record.result) or (is_correction(record) and bool(record.edge))
        case _:
            return True


def payload(record: DecisionRecord, publisher: Publisher) -> dict[str, Any]:
    """Return the scheme's form of an event: its type, when the frame was captured, and the result."""
    return {
        "type": f"sedna.result.{record.emit.value}",
        "timestamp": datetime.fromtimestamp(record.captured, UTC).isoformat(timespec="milliseconds"),
        "data": event(record, publisher),
    }


def judge(status: int) -> tuple[SinkCause | None, bool]:
    """Return what a status says: no cause if the receiver has it, else the cause and whether another try may help."""
    if 200 <= status < 300:
        return None, False
    if status in (429, 503):
        return SinkCause.OVERLOADED, True
    if status >= 500:
        return SinkCause.SERVER_ERROR, True
    return SinkCause.REJECTED, False


def wait_before(retry: int, asked_s: float, chance: float) -> float:
    """Return the seconds before a retry (0 for the first): doubled each time, less a random part of up to a half.

    `asked_s` is what the receiver asked for; `chance` is a number from 0 to 1.
    """
    backoff = min(FIRST_WAIT_S * 2.0 ** min(retry, 16), LONGEST_WAIT_S)
    return max(backoff * (1 - chance / 2), min(asked_s, LONGEST_RETRY_AFTER_S))


def retry_after(fields: Mapping[str, str], now: float) -> float:
    """Return the seconds that a Retry-After asks for, in either of its forms; 0 without one."""
    text = fields.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except ValueError:
            return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
