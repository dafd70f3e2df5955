"""Logging: one line an event, to standard error, with who says it; URLs lose their passwords on the way out."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sedna_py.errors import SettingsError
from sedna_py.settings import redact

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """Render `2026-11-21T08:00:00.123Z INFO edge-1 message key=value`, or the same as one JSON object.

    As text a message stays on its line, whatever is in it; only a traceback follows on lines of its own.
    """

    def __init__(self, worker: str, as_json: bool) -> None:
        super().__init__()
        self._worker = worker
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text or as JSON, without passwords of URLs."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        message = redact(record.getMessage())
        trace = "\n" + redact(self.formatException(record.exc_info)) if record.exc_info else ""
        if self._as_json:
            event = {"time": moment, "level": record.levelname, "worker": self._worker, "message": message + trace}
            return json.dumps({**event, **_plain(extra), **event})  # no extra field takes the place of one of ours
        pairs = "".join(f" {key}={_one_line(redact(str(value)))}" for key, value in extra.items())
        return f"{moment} {record.levelname} {self._worker} {_one_line(message)}{pairs}{trace}"


def _one_line(text: str) -> str:
    return "\\n".join(text.splitlines())


def _plain(value: Any) -> Any:
    """Return what JSON can say of a value; the text in it is redacted piece by piece, so that its quotes stay apart."""
    if isinstance(value, Mapping):
        return {redact(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return redact(str(value))


def _is_ours_or_serious(record: logging.LogRecord) -> bool:
    """Drop the small talk of libraries that log through the root logger, which no level of their own can silence."""
    return record.name != "root" or record.levelno >= logging.WARNING


def configure_logging(*, level: str = "INFO", worker: str, as_json: bool = False) -> None:
    """Send every log line of this process to standard error in one form. Raises SettingsError for an unknown level."""
    if level.upper() not in LEVELS:
        raise SettingsError(f"LOG_LEVEL is {level!r}; write {', '.join(LEVELS[:-1])} or {LEVELS[-1]}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(worker, as_json))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    handler.addFilter(_is_ours_or_serious)
    for chatty in ("httpx", "httpcore", "uvicorn", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
