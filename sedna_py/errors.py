"""Every error the library raises on purpose.

SednaError
├── ManifestError            a YAML document that cannot be used; carries the findings, one line each
├── SettingsError            an environment variable with an unusable value
├── FilterError              a hard-example-mining filter that does not exist or has an unusable parameter
├── EstimatorError           a user's estimator that cannot be imported, loaded or called
├── ModelError               a model file that is missing or is not a model
├── SourceError              a frame source that cannot be opened or read
├── FileError                a file that cannot be fetched, stored or read (file_ops); also an OSError
├── ProtocolError            bytes that are not what their Content-Type promises
│   ├── UnsupportedMediaType     a Content-Type that nobody here speaks
│   ├── MalformedBody            not JSON, not an image, or JSON of another shape
│   │   └── InvalidPredictRequest    with the list that upstream's clients find in a 422 (protocol.sedna_json)
│   └── BodyTooLarge             more bytes, or more pixels, than the limit
├── CloudUnavailable         the cloud gave no usable answer; `cause` says why
│   └── CloudFailure             the same inside the client, with what the circuit breaker makes of it (client.failures)
└── WorkerFailed             a local worker process that cannot be kept running (local.supervisor)

The messages are for people: one line that says what is wrong and what to write or do instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sedna_py.protocol.causes import OffloadCause


class SednaError(Exception):
    """Base of all: catch this to show a one-line message instead of a traceback."""


class ManifestError(SednaError):
    """A YAML document cannot be used; `problems` has one line per finding."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SettingsError(SednaError):
    """An environment variable has an unusable value."""


class FilterError(SednaError, ValueError):
    """A filter does not exist or has an unusable parameter (a ValueError, as upstream's scripts expect)."""


class EstimatorError(SednaError):
    """A user's estimator cannot be imported, loaded or called."""


class ModelError(SednaError, FileExistsError):
    """A model file is missing or is not a model (a FileExistsError, which is what upstream raises for it)."""


class SourceError(SednaError):
    """A frame source cannot be opened or read."""


class ProtocolError(SednaError, ValueError):
    """Bytes are not what their Content-Type promises."""


class UnsupportedMediaType(ProtocolError):
    """A Content-Type that nobody here speaks."""


class MalformedBody(ProtocolError):
    """Not JSON, not an image, or JSON of another shape."""


class BodyTooLarge(ProtocolError):
    """More bytes, or more pixels, than the limit."""


class CloudUnavailable(SednaError):
    """The cloud gave no usable answer; `cause` is from the closed list of causes."""

    def __init__(self, cause: OffloadCause, message: str) -> None:
        super().__init__(message)
        self.cause = cause
