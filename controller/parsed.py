"""Documents of the API server as typed resources; each version of a document is parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sedna_py.api.annotations import read_annotations
from sedna_py.api.finding import Finding
from sedna_py.api.findings import check_service, parse_document
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.model import Model

MOST_REMEMBERED: Final = 10_000
"""Documents of a kind; only of services does anybody say when they are gone."""

R = TypeVar("R", JointInferenceService, Model)


@dataclass(frozen=True)
class Parsed(Generic[R]):
    """A resource, None where the document cannot be used, and what there is to say about it."""

    resource: R | None
    findings: tuple[Finding, ...]

    @property
    def problem(self) -> str:
        """What is wrong, as one line."""
        return "; ".join(str(finding) for finding in self.findings if finding.level == "error")


class Parser(Generic[R]):
    """Parses documents of one kind; remembers the result for the version of each object that was asked for last."""

    def __init__(self, kind: type[R]) -> None:
        self._kind: type[R] = kind
        self._parsed: dict[str, tuple[object, Parsed[R]]] = {}

    def parse(self, document: Mapping[str, Any]) -> Parsed[R]:
        """Return what the document says; never raises."""
        metadata = document["metadata"]
        version = (metadata.get("generation") or metadata.get("resourceVersion"), read_annotations(metadata))
        known = self._parsed.get(metadata["uid"])
        if known is None or known[0] != version:
            if len(self._parsed) >= MOST_REMEMBERED:
                self._parsed.clear()
            # The status is ours or upstream's; nothing in it may keep a service from being served.
            without_status = {key: value for key, value in document.items() if key != "status"}
            resource, findings = parse_document(without_status)
            assert resource is None or isinstance(resource, self._kind)  # noqa: S101 - the watch is of this kind
            known = self._parsed[metadata["uid"]] = (version, Parsed(resource, tuple(findings)))
        return known[1]

    def forget(self, uid: str) -> None:
        """Forget an object that is gone."""
        self._parsed.pop(uid, None)


def service_findings(parsed: Parsed[JointInferenceService]) -> tuple[Finding, ...]:
    """Return everything there is to say about a service by itself.

    What only makes a worker fail is a warning here: upstream takes such a service, and the worker says the rest.
    """
    if parsed.resource is None:
        return parsed.findings
    checked = check_service(parsed.resource)
    as_warnings = (Finding("warning", finding.path, finding.message) for finding in checked)
    return (*parsed.findings, *as_warnings)
