"""What a Deployment itself says is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from controller.reasons import Reason
from controller.status.cause import Cause
from controller.status.live import LiveObject, block, condition, number, text
from controller.status.wording import one_line

# The name that the refused pod would have had is another one at every attempt.
_REFUSED_POD: Final = re.compile(r'^pods "[^"]*" is forbidden: ')


def wanted_pods(deployment: LiveObject) -> int:
    """Return how many pods the Deployment shall have; 1 where it does not say."""
    return max(0, number(deployment, "spec", "replicas", default=1))


def creation_cause(deployment: LiveObject) -> Cause | None:
    """Return why no pods can be made, None where they can."""
    failure = condition(deployment, "ReplicaFailure")
    if failure.get("status") != "True":
        return None
    said = one_line(_REFUSED_POD.sub("", text(failure, "message"))) or one_line(text(failure, "reason"))
    name = one_line(text(deployment, "metadata", "name"))
    if "exceeded quota" in said:
        return Cause(Reason.QUOTA_EXCEEDED, f"no pod can be made for Deployment {name}: {said}")
    return Cause(Reason.POD_CREATION_FAILED, f"no pod can be made for Deployment {name}: {said}")


def rollout_causes(deployment: LiveObject) -> Iterator[Cause]:
    """Yield what keeps the newest template from being rolled out."""
    name = one_line(text(deployment, "metadata", "name"))
    progressing = condition(deployment, "Progressing")
    if is_overdue(deployment):
        said = one_line(text(progressing, "message").rstrip("."))
        yield Cause(Reason.ROLLOUT_STUCK, f"Deployment {name} does not get on{f': {said}' if said else ''}")
    behind = number(deployment, "status", "updatedReplicas") < wanted_pods(deployment)
    if behind and block(deployment, "spec").get("paused") is True:
        yield Cause(
            Reason.ROLLOUT_STUCK,
            f"Deployment {name} is paused; kubectl rollout resume deployment/{name} lets it go on",
            lasting=False,
        )


def is_overdue(deployment: LiveObject) -> bool:
    """Tell whether the Deployment passed its progressDeadlineSeconds."""
    return text(condition(deployment, "Progressing"), "reason") == "ProgressDeadlineExceeded"
