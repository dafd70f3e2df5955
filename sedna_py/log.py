"""Logging: one line an event, to standard error, with who says it; URLs lose their passwords on the way out."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from sedna_py.settings import redact

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """Render `2026-11-21T08:00:00.123Z INFO edge-1 message key=value`, or the same as one JSON object."""

    def __init__(self, worker: str, as_json: bool) -> None:
        super().__init__()
        self._worker = worker
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; a traceback follows only at level DEBUG or for an unexpected exception."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        message = redact(record.getMessage())
        if record.exc_info:
            message += "\n" + redact(self.formatException(record.exc_info))
        if self._as_json:
            event = {"time": moment, "level": record.levelname, "worker": self._worker, "message": message, **extra}
            return redact(json.dumps(event, default=str))
        pairs = "".join(f" {key}={redact(str(value))}" for key, value in extra.items())
        return f"{moment} {record.levelname} {self._worker} {message}{pairs}"


def _is_ours_or_serious(record: logging.LogRecord) -> bool:
    """Drop the small talk of libraries that log through the root logger, which no level of their own can silence."""
    return record.name != "root" or record.levelno >= logging.WARNING


def configure_logging(*, level: str = "INFO", worker: str, as_json: bool = False) -> None:
    """Send every log line of this process to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(worker, as_json))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    handler.addFilter(_is_ours_or_serious)
    for chatty in ("httpx", "httpcore", "uvicorn", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
