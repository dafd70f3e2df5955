"""What a correction that comes late says about the frames after it: pure, without a tracker; the time is an argument.

The video of `EMIT=edge-first` does not wait for the cloud: when its answer to frame N is there, later frames have been drawn or
are about to be. So its word is carried to them by overlap alone, as IoU association does from frame to frame (Bochinski et al.,
High-Speed Tracking-by-Detection Without Using Image Information, 2017), but always with frame N and never in a chain: what has
moved away from where it was in frame N is the edge's business again.

Of the edge's boxes and the cloud's in frame N, those that overlap by SAME_PLACE at least are pairs, the largest overlap first.
Then

- a box of the edge in a later frame that overlaps the edge's box of a pair is replaced by the pair's other box, the cloud's,
  moved as far as the edge's own box has moved since;
- a box that overlaps one which the cloud denied (the edge saw it in frame N, the cloud did not) is left out;
- a box that only the cloud saw is drawn where it was for KEEP_S, or until the edge has one there, which then gets its class,
  size and score for the rest of that time.

A pair and a denial hold as long as there is something to overlap in the edge's answers, gaps of KEEP_S left aside. A correction
of a newer frame replaces all of this, as it speaks of the whole picture; one of an older frame is of no use any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sedna_py.local.box_matching import LEAST_OVERLAP, Detection, detections, overlap

SAME_PLACE: Final = LEAST_OVERLAP  # intersection over union
KEEP_S: Final = 0.5  # seconds of capture time: a few frames of a video


@dataclass(slots=True)
class _Word:
    """The cloud's word about one place: `here` the edge's box, `there` the cloud's; both the cloud's where only that saw it."""

    here: Detection
    there: Detection | None  # None: there is nothing
    seen: float  # the capture time at which it last had something to say
    alone: bool = False  # only the cloud saw it


@dataclass(slots=True)
class _State:
    """Of one source: the newest frame that was corrected, and what was said about it."""

    captured: float = float("-inf")
    words: list[_Word] = field(default_factory=list)


class Overlay:
    """Keeps the newest correction of each source. Times are those of capture, in seconds of one clock."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def correct(self, source: str, captured: float, edge: Sequence[Any], cloud: Sequence[Any]) -> None:
        """Take note of what the cloud made of the edge's answer to the frame that was captured then.

        Both as they are shown; results that are not boxes are left alone.
        """
        state = self._states.setdefault(source, _State())
        ours, theirs = detections(edge), detections(cloud)
        if captured < state.captured or ours is None or theirs is None:
            return
        pairs = _pairs(ours, theirs)
        state.captured = captured
        state.words = [_Word(box, theirs[pairs[i]] if i in pairs else None, captured) for i, box in enumerate(ours)]
        met = set(pairs.values())
        state.words += [_Word(box, box, captured, alone=True) for i, box in enumerate(theirs) if i not in met]

    def apply(self, source: str, captured: float, boxes: Sequence[Any]) -> list[Any]:
        """Return the edge's boxes of a frame as the newest correction has them; frames of a source come in their order."""
        state, ours = self._states.get(source), detections(boxes)
        if state is None or ours is None or captured < state.captured:
            return list(boxes)
        state.words = [word for word in state.words if captured - word.seen <= KEEP_S]
        pairs = _pairs(ours, [word.here for word in state.words])
        shown: list[Any] = []
        for index, box in enumerate(ours):
            if index not in pairs:
                shown.append(boxes[index])
                continue
            word = state.words[pairs[index]]
            if not word.alone:
                word.seen = captured
            if word.there is not None:
                shown.append(_moved(word.there, word.here, box))
        met = set(pairs.values())
        shown += [list(word.here) for i, word in enumerate(state.words) if word.alone and i not in met]
        return shown


def _pairs(ones: Sequence[Detection], others: Sequence[Detection]) -> dict[int, int]:
    """Return index of one -> index of the other for the boxes that are in the same place, each once, best overlap first."""
    found = [(overlap(one, other), i, j) for i, one in enumerate(ones) for j, other in enumerate(others)]
    pairs: dict[int, int] = {}
    for shared, i, j in sorted(found, key=lambda pair: -pair[0]):
        if shared < SAME_PLACE:
            break
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


def _moved(box: Detection, start: Detection, now: Detection) -> list[Any]:
    """Return the box, moved as far as the centre has moved from `start` to `now`."""
    across = (now.xmin + now.xmax - start.xmin - start.xmax) / 2
    down = (now.ymin + now.ymax - start.ymin - start.ymax) / 2
    return [box.xmin + across, box.ymin + down, box.xmax + across, box.ymax + down, box.score, box.label]
