"""What replicas share their sources by: who captures, and how frames get from there to all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol, Self

from workers.edge.frames import SourceFrame

POLL_S: Final = 0.1  # how long anything here waits before it looks around again


@dataclass(frozen=True, slots=True)
class Place:
    """How far a source has been handed out: up to and including its frame `number` (from 1), which was the `index`-th (from 0) of
    round `lap` (from 0) and the `taken`-th (from 1) that was taken. What comes behind it is read again by the next capturer.
    """

    number: int = 0
    lap: int = 0
    index: int = -1
    taken: int = 0

    @classmethod
    def of(cls, frame: SourceFrame) -> Self:
        """Return the place once this frame is handed out."""
        return cls(frame.number, frame.lap, frame.index, frame.ordinal)


BEGINNING: Final = Place()


class Ended(Enum):
    """The sources have ended, and no frame of them is left for anybody."""

    ENDED = "ended"


@dataclass(slots=True)
class HandedOut:
    """What became of the frames that this process captured; these counters outlast its turns as capturer."""

    itself: int = 0
    others: int = 0
    queue: int = 0  # of Redis, where nobody knows who takes them
    unsent: int = 0  # could not be handed to anybody at the end
    lost: int = 0  # were with a replica that has died


class Queue(Protocol):
    """The capturer's frames that wait for somebody (capture.Capture). `sources` are their names."""

    sources: Sequence[str]

    def begin(self) -> None:
        """Start reading, if that has not begun: somebody wants frames."""

    def next(self, timeout_s: float) -> SourceFrame | None:
        """Return the next frame, None when there is none in time."""

    @property
    def finished(self) -> bool:
        """Whether no frame waits and none will come."""


class Lead(Protocol):
    """The right, and the duty, to capture for all. `places` is how far the sources have been handed out before, by name."""

    places: Mapping[str, Place]

    def serve(self, queue: Queue) -> None:
        """Hand frames out until there are no more; return early where the lead was lost. Raises SednaError."""

    def pass_over(self, source: str, place: Place) -> None:
        """Say that frames up to this one are not to be read again: they were counted as lost."""

    def release(self, ended: bool) -> None:
        """Give the lead back; `ended`: nothing is left of the sources, a later start begins anew."""


class Exchange(Protocol):
    """One replica's end of it. Every method returns in bounded time; troubles of a network are waited out and logged."""

    handed_out: HandedOut

    @property
    def away(self) -> bool:
        """Whether what replicas meet in cannot be reached now."""

    def try_lead(self) -> Lead | Ended | None:
        """Become the capturer if there is none; Ended where the sources that this replica has taken frames of have ended.

        Raises OSError where the place to meet in cannot be used any more.
        """

    def take(self, timeout_s: float) -> SourceFrame | Ended | None:
        """Return a frame for this replica, the end, or None when neither comes in time."""

    def finished(self, frames: int) -> None:
        """Tell how many of the frames that were taken have left this replica, all in all."""

    def leave(self, timeout_s: float) -> list[SourceFrame]:
        """Take no more; return the frames that were on their way. They leave here as the others do."""

    def close(self) -> None:
        """Say goodbye and let go."""
