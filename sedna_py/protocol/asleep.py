"""What is said for a cloud worker that is scaled to zero: it sleeps, the request has woken it, ask again soon."""

from __future__ import annotations

import json
from typing import Any, Final

from sedna_py.protocol.causes import OffloadCause

STATUS: Final = 503
RETRY_AFTER_S: Final = 1
"""Both what is told and how long a client of ours waits: a second is little beside a cold start."""


def asleep_body(detail: str) -> dict[str, str]:
    """Return the JSON object that is the answer: `detail` and `cause` as in Sedna's dialect, `error` as in the OIP's."""
    return {"detail": detail, "error": detail, "cause": OffloadCause.CLOUD_ASLEEP.value}


def says_asleep(status: int, body: bytes | None) -> bool:
    """Tell whether an answer is that one; False for a 503 of anybody else."""
    return status == STATUS and cause_in(body) == OffloadCause.CLOUD_ASLEEP.value


def cause_in(body: bytes | None) -> str:
    """Return the `cause` in the JSON object of a refusal, an empty text where there is none."""
    try:
        document: Any = json.loads(body or b"")
    except (ValueError, RecursionError):
        return ""
    return str(document.get("cause", "")) if isinstance(document, dict) else ""
