"""Which service a worker's report belongs to.

The worker's name decides, not ownerName: upstream's library writes `sedna` there, whatever the service is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sedna_py.api.child_names import Role, deployment_name
from sedna_py.protocol.worker_report import OWNER_KIND, WorkerReport

# A Deployment's pod is called <deployment>-<hash of its template>-<five random characters>.
_EDGE_POD: Final = re.compile(f"(.+){re.escape(deployment_name('', Role.EDGE))}-[a-z0-9]+-[a-z0-9]{{5}}")


@dataclass(frozen=True, slots=True)
class RoutedReport:
    """The totals of one worker, with the service that they count for."""

    namespace: str
    service: str
    worker: str
    inferences: int
    hard_examples: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What is known of the cluster, as functions of a namespace and a name."""

    service_of_pod: Callable[[str, str], str | None]
    has_service: Callable[[str, str], bool]


def route(report: WorkerReport, directory: Directory) -> RoutedReport | None:
    """Return the report with its service, or None where no known service can be told from it."""
    service = _service(report, directory) if report.owner_kind == OWNER_KIND else None
    if service is None:
        return None
    return RoutedReport(report.namespace, service, report.worker, report.inferences, report.hard_examples)


def _service(report: WorkerReport, directory: Directory) -> str | None:
    known = directory.service_of_pod(report.namespace, report.worker)
    if known is not None:
        return known
    found = _EDGE_POD.fullmatch(report.worker)
    # The owner is asked last: for a name that all replicas share, and for a pod's name that was cut for its length.
    for service in (found[1] if found else "", report.owner):
        if service and directory.has_service(report.namespace, service):
            return service
    return None
