"""What signals are made of, in a worker's report: `ownerInfo.signals`, ours and optional; upstream's receivers ignore it.

An edge worker that nobody can scrape tells the same counters there as on its page for Prometheus. They are totals as all of a
report's, so a lost report loses nothing.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sedna_py.autoscaling.exposition import MOST, check_latency
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody

SIGNALS_PATH: Final = "/signals"
"""Where a cloud worker tells the same object to the controller, which reads hundreds of workers every two seconds: the page for
Prometheus takes a worker a millisecond to write, and has no time of the reading by the worker's clock."""

_Amount = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False, strict=True)]
_WHERE: Final = "ownerInfo.signals"


class _Signals(BaseModel):
    """A Snapshot's fields as JSON: presentS, waitingS, ..."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")

    at: _Amount
    began: _Amount
    offered: _Amount
    done: _Amount
    dropped: _Amount
    present_s: _Amount
    waiting_s: _Amount
    busy_s: _Amount
    streams: _Amount
    latency: tuple[_Amount, ...] = ()
    hard: _Amount | None = None
    backlog_age_s: _Amount | None = None


_FIELDS: Final = tuple(field.name for field in fields(Snapshot))


def write_signals(snapshot: Snapshot) -> dict[str, object]:
    """Return the JSON object; its `at` is of the worker's clock, so that time spent on the way makes no rate wrong."""
    return {to_camel(name): value for name, value in asdict(snapshot).items() if value is not None}


def read_signals(value: object) -> Snapshot:
    """Return the counters that a report tells. Raises MalformedBody in one line, as exposition.parse_snapshot does."""
    try:
        read = _Signals.model_validate(value)
    except ValidationError as error:
        raise _malformed(error, _WHERE) from None
    return _snapshot(read)


def parse_signals(body: bytes) -> Snapshot:
    """Return the counters in the JSON text that SIGNALS_PATH answers with. Raises MalformedBody in one line."""
    try:
        read = _Signals.model_validate_json(body)
    except ValidationError as error:
        raise _malformed(error, "signals") from None
    return _snapshot(read)


def _snapshot(read: _Signals) -> Snapshot:
    check_latency(read.latency)
    return Snapshot(**{name: getattr(read, name) for name in _FIELDS})


def _malformed(error: ValidationError, where: str) -> MalformedBody:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join((where, *map(str, problem["loc"])))
    return MalformedBody(f"{place}: {problem['msg']}")
