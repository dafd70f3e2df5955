"""What is to be done about a cloud worker that may have no pod: pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

UNSEEN: Final = "it stays awake, as its counters cannot be read"


class Write(StrEnum):
    """What is to be written on the Deployment."""

    SLEEP = "sleep"  # take the last pod
    WAKE = "wake"  # bring one back
    NOTE_SLEEP = "note_sleep"  # somebody else has scaled it to 0
    NOTE_AWAKE = "note_awake"  # it serves again


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the worker.

    `replicas` None: there is no Deployment, or it is going. `settled`: exactly one pod is asked for, and it is there, of the
    newest template and ready. `wanted` is what the autoscaler asks for, None where it says nothing. `demand` tells who has asked
    for the worker since it went to sleep, an empty text where nobody has. `seen`: all its pods have said lately what they count.
    """

    may_sleep: bool
    replicas: int | None
    ready: int
    settled: bool
    wanted: int | None
    noted_asleep: bool
    noted_woken: bool
    idle_s: float
    window_s: float
    demand: str = ""
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """`stands_in`: the controller answers in the worker's place. `why` is for people."""

    stands_in: bool
    write: Write | None
    why: str


def decide(view: View) -> Decision:
    """Return what is to be done now."""
    if view.replicas is None:
        return Decision(stands_in=False, write=None, why="there is no Deployment")
    return _without_pods(view) if view.replicas == 0 else _with_pods(view)


def _without_pods(view: View) -> Decision:
    if not view.may_sleep:
        if view.noted_asleep:
            return Decision(stands_in=True, write=Write.WAKE, why="it may not sleep any more")
        return Decision(stands_in=False, write=None, why="somebody has scaled it to 0")
    if view.demand:
        return Decision(stands_in=True, write=Write.WAKE, why=view.demand)
    return Decision(stands_in=True, write=None if view.noted_asleep else Write.NOTE_SLEEP, why="it is asleep")


def _with_pods(view: View) -> Decision:
    if not view.ready:
        woken = view.noted_woken or view.noted_asleep
        return Decision(stands_in=woken, write=None, why="it wakes" if woken else "it starts")
    if view.noted_asleep or view.noted_woken:
        return Decision(stands_in=False, write=Write.NOTE_AWAKE, why="it serves again")
    if not view.may_sleep:
        return Decision(stands_in=False, write=None, why="it may not sleep")
    reason = _awake_because(view)
    if reason:
        return Decision(stands_in=False, write=None, why=reason)
    return Decision(stands_in=True, write=Write.SLEEP, why=f"no request for {view.idle_s:.0f} s")


def _awake_because(view: View) -> str:
    if view.demand:
        return view.demand
    if view.replicas != 1 or not view.settled:
        return "it has more than one pod, or they change"
    if not view.seen:
        return UNSEEN
    if view.wanted is None or view.wanted > 1:
        return "its autoscaler does not ask for the least"
    return "" if view.idle_s >= view.window_s else "it has been asked just now"
