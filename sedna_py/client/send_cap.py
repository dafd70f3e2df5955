"""A cap on what is sent in any one second: pure; the time is an argument.

A token bucket whose tokens come back one by one: what a body took is given back a second after the body had left, and not at a
steady rate. A bucket of depth b that is filled at rate r lets r + b pass in one second, so to keep under a cap it could be
neither deep enough for a large body nor fast enough to reach the cap; here the depth is the cap itself.

Why no second has more: take any second, and of the bodies that were on their way in it the one that was let go last. When it
was, each of the others still had its tokens, for it had left less than a second before, or not yet. So together they fit.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from sedna_py.hard_example_mining.budget_text import BYTES_PER_KBIT, Budget, Unit
from sedna_py.protocol.causes import OffloadCause

# The causes by which a body stays here.
NOT_LET_GO: Final = frozenset({OffloadCause.OVER_CAP, OffloadCause.LARGER_THAN_CAP})
SECOND_S: Final = 1.0
# On top of it, as bytes arrive less evenly than they leave: who measures at the other end finds the cap kept as well.
_SPREAD_S: Final = 0.05


class SendCap:
    """Lets bodies go, or not, so that no second has more of them than `cap`, in frames/s or kbit/s.

    Below one frame/s it is one frame in the time that the rate gives it. `name` is for messages. For one event loop.
    """

    def __init__(self, cap: Budget) -> None:
        self.name = str(cap)
        self._in_bytes = cap.unit is Unit.BITS
        amount = cap.amount * BYTES_PER_KBIT if self._in_bytes else cap.amount
        self._period_s = SECOND_S if self._in_bytes else max(SECOND_S, 1 / amount)
        # A little more than 1 / (1 / amount) * amount may come to, as floats go.
        self._depth = int(amount * self._period_s + 1e-9)
        self._on_the_way = 0
        self._last = 0
        self._left: deque[tuple[float, int]] = deque()  # when tokens come back, and how many
        self._left_sum = 0

    @property
    def largest(self) -> int | None:
        """The bytes of the largest body that can ever go; None where frames are counted."""
        return self._depth if self._in_bytes else None

    def take(self, size: int, now: float) -> Passage | OffloadCause:
        """Let a body of so many bytes go, whose passage must be told when it `left`; else return why it has to stay."""
        self._give_back(now)
        tokens = self._tokens(size)
        if tokens > self._depth:
            return OffloadCause.LARGER_THAN_CAP
        if self._on_the_way + self._left_sum + tokens > self._depth:
            return OffloadCause.OVER_CAP
        self._on_the_way += tokens
        self._last = tokens
        return Passage(self, tokens)

    def end(self, tokens: int, now: float, *, sent: bool) -> None:
        """Give tokens back: at once, or in a second if the body was `sent`; for the passage that has them."""
        self._on_the_way -= tokens
        if sent:
            self._left.append((now + self._period_s + _SPREAD_S, tokens))
            self._left_sum += tokens

    def full(self, now: float) -> bool:
        """Whether not even half of the last body could go; for who can spare itself the encoding."""
        self._give_back(now)
        return self._on_the_way + self._left_sum + max(self._last / 2, 1) > self._depth

    def has_spare(self, size: int, now: float) -> bool:
        """Whether a body of so many bytes can go and leave half of the cap free, or goes when nothing else did.

        For what may wait as long as it takes.
        """
        self._give_back(now)
        used = self._on_the_way + self._left_sum
        return used == 0 or used + self._tokens(size) <= self._depth / 2

    def _tokens(self, size: int) -> int:
        return size if self._in_bytes else 1

    def _give_back(self, now: float) -> None:
        while self._left and self._left[0][0] < now:
            self._left_sum -= self._left.popleft()[1]


class Passage:
    """One body on its way."""

    __slots__ = ("_cap", "_tokens")

    def __init__(self, cap: SendCap, tokens: int) -> None:
        self._cap: SendCap | None = cap
        self._tokens = tokens

    def left(self, now: float, *, sent: bool = True) -> None:
        """Note that the body has left, or that nothing of it was `sent` in the end; only the first time counts."""
        cap, self._cap = self._cap, None
        if cap is not None:
            cap.end(self._tokens, now, sent=sent)
