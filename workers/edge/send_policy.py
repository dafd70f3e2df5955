"""What is worth sending, beside what the filter doubts: pure, but for the pictures that it is handed.

Two rules, both off by default, both asked after the filter:

- The silent miss. A filter judges boxes, so of a frame without any it can say nothing. Of such frames, where the picture moved, a
  share is hard all the same. Which ones is no chance: a share is carried over from frame to frame until it makes a whole one
  (error diffusion; Floyd and Steinberg, 1976), so that two of them are never next to each other.
- The near duplicate. A hard frame that shows the same (workers.edge.same_picture) as the last one of its source that the cloud
  answered keeps the edge's answer, until that one is `duplicate_interval_s` old. What was sent in vain counts for nothing.

The cloud's former answer is not given out again: it was about another picture, and a record that says `cloud` would be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sedna_py.hard_example_mining import Decision
from sedna_py.local.box_matching import detections
from workers.edge.decision import above
from workers.edge.frames import SourceFrame
from workers.edge.same_picture import View, is_same, same_boxes, view_of

MOST_BOXES: Final = 50  # with more of them the frame is sent: the bound on the work


@dataclass(frozen=True, slots=True)
class SendOptions:
    """`silent_miss_share`: of frames without a box in moving pictures, 0 for none. `duplicate_interval_s`: 0 for none.

    `display_threshold`: boxes under it are none. `motion_threshold`: the share of changed cells that makes another picture.
    """

    silent_miss_share: float = 0.0
    duplicate_interval_s: float = 0.0
    display_threshold: float = 0.0
    motion_threshold: float = 0.0006


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision as it stands now. `sampled`: hard by the silent miss; `duplicate`: hard, and not worth sending."""

    decision: Decision
    sampled: bool = False
    duplicate: bool = False
    view: View | None = None  # to be handed back if the cloud answers


class SendPolicy:
    """Asked about the frames of any number of sources. Not for several threads at once."""

    def __init__(self, options: SendOptions) -> None:
        self._options = options
        self._carried: dict[str, float] = {}
        self._answered: dict[str, tuple[float, View]] = {}

    def choose(self, decision: Decision, boxes: Sequence[Any], frame: SourceFrame) -> Choice:
        """Decide about a frame that the filter has decided about; `boxes` is the little model's whole answer."""
        found, sampled = detections(boxes), False
        if found is None:  # another kind of result
            return Choice(decision)
        if not decision.hard and self._is_silent(boxes, frame):
            share = self._options.silent_miss_share
            decision, sampled = Decision(True, f"silent miss: no box in a moving picture, {share:.4g} of them"), True
        if not decision.hard or not self._options.duplicate_interval_s or len(found) > MOST_BOXES:
            return Choice(decision, sampled)
        last = self._last(frame)
        if (
            last is not None
            and same_boxes(found, last.boxes)
            and is_same(last, frame.picture, self._options.motion_threshold)
        ):
            return Choice(decision, sampled, duplicate=True)
        return Choice(decision, sampled, view=view_of(frame.picture, found))

    def answered(self, frame: SourceFrame, view: View) -> None:
        """Note that the cloud answered this frame."""
        last = self._answered.get(frame.source)
        if last is None or last[0] <= frame.captured:
            self._answered[frame.source] = (frame.captured, view)

    def _is_silent(self, boxes: Sequence[Any], frame: SourceFrame) -> bool:
        share = self._options.silent_miss_share
        if not share or frame.moved is False or above(boxes, self._options.display_threshold):
            return False
        carried = self._carried.get(frame.source, 0.0) + share
        sampled = carried >= 1 - 1e-9  # as ten tenths are not quite one
        self._carried[frame.source] = carried - sampled
        return sampled

    def _last(self, frame: SourceFrame) -> View | None:
        captured, view = self._answered.get(frame.source, (-math.inf, None))
        return view if abs(frame.captured - captured) < self._options.duplicate_interval_s else None
