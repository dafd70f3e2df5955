"""Why a hard frame was not answered by the cloud: one closed list for logs, metrics and reports."""

from __future__ import annotations

from enum import StrEnum


class OffloadCause(StrEnum):
    """Exactly one per hard frame that kept the edge's answer."""

    NO_CLOUD = "no_cloud"  # the edge was given no cloud address
    QUEUE_FULL = (
        "queue_full"  # as many frames were on their way already as the edge allows, or as the cloud answers in time
    )
    CIRCUIT_OPEN = "circuit_open"  # the cloud failed just now; not asked again until the next probe
    CLOUD_ASLEEP = "cloud_asleep"  # it is scaled to zero, and wakes now; not asked again for a second at most
    CONNECT_FAILED = "connect_failed"  # refused, no route, no such name
    CONNECTION_LOST = "connection_lost"  # broken off after it was made
    DEADLINE_EXCEEDED = "deadline_exceeded"  # no answer in time
    OVERLOADED = "overloaded"  # 429, 503, 504: the cloud said that it cannot now
    REJECTED = "rejected"  # any other 4xx: the cloud will never take this request
    SERVER_ERROR = "server_error"  # any other 5xx
    INVALID_REPLY = (
        "invalid_reply"  # 200 with a body that is not a result, or with one about a reduced frame and no boxes
    )
    OVER_CAP = "over_cap"  # as much was sent in this second already as the parameter `cap` allows
    LARGER_THAN_CAP = (
        "larger_than_cap"  # this one frame is more than `cap` allows in a second: no later one will take it
    )
    ENCODE_FAILED = "encode_failed"  # the frame could not be encoded
    NEAR_DUPLICATE = "near_duplicate"  # it shows the same as the last one of its source that the cloud answered
    SHUTDOWN = "shutdown"  # the edge is going away
