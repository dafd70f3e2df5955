"""Every error the controller raises on purpose.

ControllerError
├── ClusterError             the API server did not do what was asked; `code`, `reason`, `message` are its answer
│   ├── Refused                  400, 422: the object is not valid; asking again will not help
│   ├── Forbidden                401, 403: RBAC, an admission rule or a quota
│   ├── Conflict                 409: somebody else's object, or not the one we knew
│   ├── NotFound                 404
│   └── Unavailable              429, 5xx, a time-out or no connection: ask again later
│       └── LeadershipLost           not asked at all: the lease has run out, another replica may lead
├── NoPortLeft               nobody can stand in for one more cloud worker that sleeps (zero.activator)
├── NotServed                the metrics API cannot be served now, and why (metrics_api.registration)
├── Refusal                  what a caller of the metrics API is told, with its status (metrics_api.answers)
├── Unbuildable              what is written cannot be made into a worker's objects (resources.unbuildable)
└── NameTaken                an object of a child's name exists and is not this service's
"""

from __future__ import annotations


class ControllerError(Exception):
    """Base of all; str() is one line for people."""


class ClusterError(ControllerError):
    """The API server did not do what was asked."""

    def __init__(self, message: str, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


class Refused(ClusterError):
    """The object is not valid; asking again will not help."""


class Forbidden(ClusterError):
    """RBAC, an admission rule or a quota."""


class Conflict(ClusterError):
    """Somebody else's object, or not the one we knew."""


class NotFound(ClusterError):
    """There is no such object."""


class Unavailable(ClusterError):
    """Overloaded, broken, too slow or not reachable: ask again later."""


class LeadershipLost(Unavailable):
    """Not asked at all: the lease has run out, another replica may lead."""


class NameTaken(ControllerError):
    """An object of a child's name exists and is not this service's."""
