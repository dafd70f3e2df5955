"""What every source gives: a file's bytes, and what its server says about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sedna_py.file_ops import TransferLimits
from workers.storage_initializer.errors import Interrupted, TransferError

PIECE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Incoming:
    """`digests` are hex by the name of the algorithm; `version` changes with the file; None where nobody says."""

    pieces: Iterator[bytes]
    size: int | None = None
    version: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long all downloads together may still take; `sleep` and `clock` are time's, in seconds."""

    limits: TransferLimits
    ends_at: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def begin(cls, limits: TransferLimits) -> Patience:
        """Start the time that `limits` give to all downloads."""
        return cls(limits, time.monotonic() + limits.total_seconds)

    @property
    def left_s(self) -> float:
        """Seconds that are left. Raises TransferError when there are none."""
        left = self.ends_at - self.clock()
        if left <= 0:
            raise TransferError(f"not finished within {self.limits.total_seconds:g} s; raise DOWNLOAD_TIMEOUT_S")
        return left

    @property
    def connect_s(self) -> float:
        """Seconds to reach a server now."""
        return min(self.limits.connect_seconds, self.left_s)

    @property
    def idle_s(self) -> float:
        """Seconds to wait for bytes now."""
        return min(self.limits.idle_seconds, self.left_s)

    def pause(self, seconds: float, because: Interrupted) -> None:
        """Sleep. Raises `because` where the time ends before."""
        if self.left_s <= seconds:
            raise because
        self.sleep(seconds)
