"""Whether a cloud worker may have no pod at all, and how long it must have been idle for that: pure.

The times are Knative's (knative.dev/docs/serving/autoscaling/scale-to-zero): the stable window, and on top of it how long the
last pod is kept. An annotation that cannot be read counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sedna_py.api.joint_inference_service import JointInferenceService

WINDOW: Final = "autoscaling.knative.dev/window"
RETENTION: Final = "autoscaling.knative.dev/scale-to-zero-pod-retention-period"
DEFAULT_WINDOW_S: Final = 60.0
_WINDOW_S: Final = (6.0, 3600.0)
_RETENTION_S: Final = (0.0, 3600.0)
_DURATION: Final = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)


def may_sleep(service: JointInferenceService) -> bool:
    """Tell whether the controller may take the cloud worker's last pod."""
    hpa = service.spec.cloud_worker.hpa
    return hpa is not None and hpa.fewest == 0


def idle_window_s(annotations: Mapping[str, str] | None) -> float:
    """Return the seconds without a request after which the last pod goes."""
    written = annotations or {}
    window = _seconds(written.get(WINDOW), _WINDOW_S)
    return (DEFAULT_WINDOW_S if window is None else window) + (_seconds(written.get(RETENTION), _RETENTION_S) or 0.0)


def _seconds(text: str | None, bounds: tuple[float, float]) -> float | None:
    match = _DURATION.fullmatch(text.strip()) if text and text.strip() else None
    if match is None:
        return 0.0 if text is not None and text.strip() == "0" and bounds[0] == 0 else None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    found = float(hours * 3600 + minutes * 60 + seconds)
    return found if bounds[0] <= found <= bounds[1] else None
