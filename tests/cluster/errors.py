"""What can go wrong here, in one line for people each."""

from __future__ import annotations


class ClusterError(Exception):
    """Base of what this package raises."""


class TierUnavailableError(ClusterError):
    """This machine cannot run a control plane; the text says why and what would help."""


class BuildError(ClusterError):
    """A program could not be built."""


class StartError(ClusterError):
    """A control plane did not become ready; the text ends with the last lines of the log."""


class KubectlError(ClusterError):
    """kubectl answered with an error; `stderr` is all that it said."""

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: {stderr.strip()}")
        self.stderr = stderr
