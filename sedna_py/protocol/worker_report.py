"""What a worker reports: `POST {LC_SERVER}/sedna/workers/{WORKER_NAME}/info` and its answer, contract section 5.3.

The counts are totals since the worker began, so the newest report of a worker replaces all earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody
from sedna_py.protocol.reported_signals import read_signals

OWNER_KIND: Final = "jointinferenceservice"
MAX_REPORT_BYTES: Final = 16 * 1024  # a usual one has 400
ROUTE: Final = "/sedna/workers/{name}/info"  # upstream's prefix is fixed, whatever JOB_NAME says
# Marks a report that a cloud worker passed on: one whose LC_SERVER is a cloud worker would else send it round for ever.
RELAYED: Final = "Sedna-Relayed"
_MOST: Final = 2**53  # beyond it JSON readers disagree about whole numbers

_Name = Annotated[str, Field(min_length=1, max_length=253)]
_Count = Annotated[int, Field(ge=0, le=_MOST)]


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The totals of one worker. `owner` is the service's name if our worker wrote it; upstream's says `sedna`.

    `signals` are there if it told them (reported_signals); their `at` is of the worker's clock. Where they cannot be used,
    `problem` says why: the counts hold all the same.
    """

    worker: str
    namespace: str
    owner: str
    owner_kind: str
    inferences: int
    hard_examples: int
    signals: Snapshot | None = None
    problem: str = ""


class _OwnerInfo(BaseModel):
    inference_number: _Count = Field(alias="inferenceNumber")
    hard_example_number: _Count = Field(alias="hardExampleNumber")
    signals: Any = None


class _Body(BaseModel):
    name: _Name
    namespace: _Name
    owner_name: str = Field("", alias="ownerName", max_length=253)
    owner_kind: str = Field("", alias="ownerKind", max_length=253)
    owner_info: _OwnerInfo | None = Field(None, alias="ownerInfo")


def parse_report(name: str, body: bytes) -> WorkerReport:
    """Return the report that was posted for the worker `name`.

    Raises MalformedBody: no JSON, another shape, another name than in the path. A report for another kind of owner
    needs no counts.
    """
    try:
        read = _Body.model_validate_json(body)
    except ValidationError as error:
        raise MalformedBody(f"the report cannot be used: {_first_problem(error)}") from None
    if read.name != name:
        raise MalformedBody("the report's name is not the one in the path; write WORKER_NAME in both")
    if read.owner_info is None and read.owner_kind == OWNER_KIND:
        raise MalformedBody("the report cannot be used: ownerInfo: Field required")
    counts = read.owner_info or _OwnerInfo(inferenceNumber=0, hardExampleNumber=0)
    signals, problem = _signals(counts.signals)
    return WorkerReport(
        worker=read.name,
        namespace=read.namespace,
        owner=read.owner_name,
        owner_kind=read.owner_kind,
        inferences=counts.inference_number,
        hard_examples=counts.hard_example_number,
        signals=signals,
        problem=problem,
    )


def report_path(name: str) -> str:
    """Return the path to which the worker `name` reports."""
    return ROUTE.format(name=quote(name, safe=""))


def answer_body(status: int, message: str = "OK") -> dict[str, object]:
    """Return the JSON object that answers a report."""
    return {"Status": status, "Message": message}


def _signals(told: object) -> tuple[Snapshot | None, str]:
    try:
        return (None if told is None else read_signals(told)), ""
    except MalformedBody as error:
        return None, f"the counts are taken, the signals are not: {error}"


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else problem["msg"]
