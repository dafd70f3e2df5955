"""What one request spent its time on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NAMES: Final = ("read", "queue", "decode", "infer", "encode")


@dataclass(slots=True)
class Stages:
    """Seconds in each stage, as far as the request came; 0 for one that it never saw.

    `read`: until its body was there; `queue`: for a slot and for a thread; `decode`: of the bytes; `infer`: the model with its
    pre- and post-processing; `encode`: of the answer.
    `bytes_read` of the body, once it is there; `model_version`: of the model that it went to.
    """

    read: float = 0.0
    queue: float = 0.0
    decode: float = 0.0
    infer: float = 0.0
    encode: float = 0.0
    bytes_read: int = 0
    model_version: str = ""

    def spent(self) -> list[tuple[str, float]]:
        """Return name and seconds of the stages that there were."""
        seconds = (self.read, self.queue, self.decode, self.infer, self.encode)
        return [stage for stage in zip(NAMES, seconds, strict=True) if stage[1]]

    def server_timing(self) -> bytes:
        """Return the value of a `Server-Timing` header, in milliseconds (W3C Server Timing)."""
        return ", ".join([f"{name};dur={seconds * 1000:.3f}" for name, seconds in self.spent()]).encode()
