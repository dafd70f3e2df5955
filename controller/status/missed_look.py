"""An autoscaler that missed one look at its metric has not lost it: until the next look what was said before stays.

Else a value that came a second too late would degrade the service, with an event, and mend it 15 s later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from controller.reasons import Reason
from controller.status.clock import Clock
from controller.status.live import LiveObject, condition, moment, number, text
from controller.status.scaling_state import ScalingState

ONE_LOOK_S: Final = 20.0
"""Longer than from one look to the next, which are 15 s apart unless the cluster says otherwise."""

_WELL: Final = {str(reason): reason for reason in (Reason.SCALING, Reason.AT_LIMIT)}


def steadied(
    found: ScalingState, before: LiveObject, generation: int, hpa: LiveObject | None, clock: Clock
) -> ScalingState:
    """Return what is to be said; `before` is the condition as it is written now, `generation` that of the service."""
    active = condition(hpa, "ScalingActive")
    well = _WELL.get(text(before, "reason"))
    if found.reason is not Reason.METRIC_UNAVAILABLE or active.get("status") != "False" or well is None:
        return found
    if number(before, "observedGeneration") != generation:
        return found  # it was said of another metric
    since = moment(active, "lastTransitionTime")
    if since is None or clock.passed(since, ONE_LOOK_S):
        return found
    return replace(found, status="True", reason=well, message=text(before, "message"))
