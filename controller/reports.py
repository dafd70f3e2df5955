"""Which service a worker's report belongs to.

The worker's name decides, which is its pod's, and not ownerName: upstream's library writes `sedna` there, whatever the service
is called. A report of no known pod is not counted: nothing would tell when to stop expecting more of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.protocol.worker_report import OWNER_KIND, WorkerReport

ServiceOfPod = Callable[[str, str], str | None]
"""From a namespace and the name of a pod to the name of its service, None for a pod that is not known."""


@dataclass(frozen=True, slots=True)
class RoutedReport:
    """The totals of one worker, with the service that they count for.

    `signals`: what it counts for autoscalers, if it told. As it comes their `at` is of the worker's clock; Term gives it on with
    one of this process's (report_clock).
    """

    namespace: str
    service: str
    worker: str
    inferences: int
    hard_examples: int
    signals: Snapshot | None = None


def route(report: WorkerReport, service_of_pod: ServiceOfPod) -> RoutedReport | None:
    """Return the report with its service, or None where it is not of a known service's pod."""
    service = service_of_pod(report.namespace, report.worker) if report.owner_kind == OWNER_KIND else None
    if service is None:
        return None
    return RoutedReport(
        report.namespace, service, report.worker, report.inferences, report.hard_examples, report.signals
    )
