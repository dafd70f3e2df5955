"""One line for a part of the requests: enough to see what comes, too little to be a load."""

from __future__ import annotations

import logging

from workers.cloud.handled import Handled

LOG = logging.getLogger("workers.access")


class AccessLog:
    """Logs every n-th request of those that went well and of those that did not, the first of either among them.

    Counting instead of chance: what is logged does not depend on luck. `share` is the part of the requests, 0 for none.
    """

    def __init__(self, share: float) -> None:
        self._every = round(1 / share) if share else 0
        self._seen = {True: 0, False: 0}

    def __call__(self, handled: Handled) -> None:
        """Take note of one request."""
        if not self._every:
            return
        well = handled.outcome == "ok"
        if self._seen[well] % self._every == 0:
            LOG.info("%s", line(handled))
        self._seen[well] += 1


def line(handled: Handled) -> str:
    """Return the line; ids have been cut and cleaned where they were read."""
    stages = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in handled.stages.spent())
    about = handled.about
    ids = [f"frame {about.frame_id}"] if about.frame_id else []
    ids += [f"trace {about.traceparent.split('-')[1]}"] if about.traceparent else []
    return ", ".join(
        [
            f"POST {handled.path} {handled.status} {handled.outcome}",
            f"{(handled.ended - handled.begun) * 1000:.1f} ms" + (f" ({stages})" if stages else ""),
            f"{handled.sizes[0]} -> {handled.sizes[1]} bytes",
            *ids,
        ]
    )
