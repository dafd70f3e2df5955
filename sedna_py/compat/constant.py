"""The constants of `sedna.common.constant`."""

from __future__ import annotations

from enum import Enum
from typing import Final

UPSTREAM_VERSION: Final = "0.4.1"  # the release of upstream's library whose behaviour these import paths promise


class K8sResourceKind(Enum):
    """Who a worker works for."""

    DEFAULT = "default"
    JOINT_INFERENCE_SERVICE = "jointinferenceservice"


class K8sResourceKindStatus(Enum):
    """What `report_task_info` reports."""

    COMPLETED = "completed"
    FAILED = "failed"
    RUNNING = "running"
