"""A worker's counters out of its page for Prometheus. Anybody may answer there, so nothing of it is believed unseen."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Final, TypeVar

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody
from sedna_py.metrics import names

_Key = TypeVar("_Key", str, float)
MAX_PAGE_CHARACTERS: Final = 1024 * 1024  # a worker's has 20 thousand
MOST: Final = 1e15  # of any value: what is above it has not been counted
_PREFIX: Final = "sedna_worker_"
# Anything after the value but a timestamp makes the line none of ours.
_LINE: Final = re.compile(r'(\w{1,100})(?:\{le="([^"]{1,24})"\})? (\S{1,40})(?: -?\d{1,20})?')
_BUCKET: Final = f"{names.WORKER_LATENCY_SECONDS}_bucket"
_NEEDED: Final = {
    "began": names.WORKER_BEGAN,
    "offered": names.WORKER_OFFERED,
    "done": names.WORKER_DONE,
    "dropped": names.WORKER_DROPPED,
    "present_s": names.WORKER_PRESENT_SECONDS,
    "waiting_s": names.WORKER_WAITING_SECONDS,
    "busy_s": names.WORKER_BUSY_SECONDS,
    "streams": names.WORKER_STREAMS,
}
_OPTIONAL: Final = {"hard": names.WORKER_HARD, "backlog_age_s": names.WORKER_BACKLOG_AGE_SECONDS}
_KNOWN: Final = frozenset((*_NEEDED.values(), *_OPTIONAL.values()))
_BOUNDS_S: Final = (*(float(bound) for bound in names.STAGE_BUCKETS_S), math.inf)


def parse_snapshot(text: str, at: float) -> Snapshot:
    """Return the counters that a worker's /metrics page tells; `at` is when it was asked for, by the reader's clock.

    Raises MalformedBody in one line: a page that is too long, a counter that is missing, there twice, or no number between 0
    and MOST, and a histogram with other buckets than ours.
    """
    if len(text) > MAX_PAGE_CHARACTERS:
        raise MalformedBody(f"the page has more than {MAX_PAGE_CHARACTERS} characters; a worker's has some thousands")
    values: dict[str, float] = {}
    buckets: dict[float, float] = {}
    for text_line in text.split("\n"):
        # Most lines are not ours, and a pattern would look at each of their characters.
        line = _LINE.fullmatch(text_line) if text_line.startswith(_PREFIX) else None
        if line is None:
            continue
        name, bound, value = line.groups()
        if bound is None and name in _KNOWN:
            _keep(values, name, name, value)
        elif bound is not None and name == _BUCKET:
            _keep(buckets, _number(bound, "le", most=math.inf), _BUCKET, value)
    missing = [name for name in _NEEDED.values() if name not in values]
    if missing:
        raise MalformedBody(f"the page has no {missing[0]}; a worker of this version has it once its model is loaded")
    return Snapshot(
        at=at,
        latency=_latency(buckets),
        **{field: values[name] for field, name in _NEEDED.items()},
        **{field: values[name] for field, name in _OPTIONAL.items() if name in values},
    )


def check_latency(cumulative: tuple[float, ...]) -> tuple[float, ...]:
    """Return the histogram if it is one: empty, or a number for each bucket, none smaller than the one before.

    Raises MalformedBody.
    """
    if cumulative and len(cumulative) != len(_BOUNDS_S):
        raise MalformedBody(f"the latency has {len(cumulative)} buckets; there are {len(_BOUNDS_S)}")
    if any(now < before for before, now in pairwise(cumulative)):
        raise MalformedBody(
            "a bucket of the latency has fewer requests than the one below it; each holds those below, too"
        )
    return cumulative


def _latency(buckets: dict[float, float]) -> tuple[float, ...]:
    if buckets and tuple(sorted(buckets)) != _BOUNDS_S:
        raise MalformedBody(f"{_BUCKET} has other bounds than a worker's: {_BOUNDS_S[:-1]} and +Inf")
    return check_latency(tuple(buckets[bound] for bound in sorted(buckets)))


def _keep(kept: dict[_Key, float], key: _Key, name: str, value: str) -> None:
    if key in kept:
        raise MalformedBody(f"the page has {name} twice; it is one worker's, with one value each")
    kept[key] = _number(value, name)


def _number(text: str, name: str, most: float = MOST) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise MalformedBody(f"{name} is {text!r}; a worker counts from 0 to {MOST:g}")
    return number
