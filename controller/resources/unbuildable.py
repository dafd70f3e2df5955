"""Why a worker's objects cannot be made from what was written."""

from __future__ import annotations

from controller.errors import ControllerError
from controller.reasons import Reason


class Unbuildable(ControllerError):
    """A worker's objects cannot be made; str() says what to write or make instead.

    `lasting` False: it may well go by itself, so the worker does not count as failed for it.
    """

    def __init__(self, reason: Reason, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.reason = reason
        self.lasting = lasting
