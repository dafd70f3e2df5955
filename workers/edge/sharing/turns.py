"""Who gets the next frame: the replica that asks for one and has had none for the longest. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Taker:
    """A replica as the capturer knows it; `sent` and `finished` count its frames."""

    token: str
    credit: int = 0
    sent: int = 0
    finished: int = 0
    served: int = -1  # when it was, among all frames

    @property
    def holds(self) -> int:
        """How many frames it was sent and has not finished."""
        return max(self.sent - self.finished, 0)


@dataclass(slots=True)
class Turns:
    """The takers of one capturer. While all of them ask, each gets every n-th frame; a slow one asks, and gets, less."""

    takers: dict[str, Taker] = field(default_factory=dict)
    _frames: int = 0

    def asked(self, token: str) -> Taker:
        """Return the taker with this token, made where it is new: it comes before those that have been served."""
        return self.takers.setdefault(token, Taker(token))

    def next(self) -> Taker | None:
        """Return whose turn it is; None while nobody asks."""
        asking = [taker for taker in self.takers.values() if taker.credit > 0]
        return min(asking, key=lambda taker: taker.served) if asking else None

    def gave(self, taker: Taker) -> None:
        """Count a frame that this taker was sent."""
        taker.credit -= 1
        taker.sent += 1
        taker.served = self._frames
        self._frames += 1

    def forget(self, token: str) -> int:
        """Forget a taker that has gone; return how many frames it held."""
        taker = self.takers.pop(token, None)
        return taker.holds if taker is not None else 0
