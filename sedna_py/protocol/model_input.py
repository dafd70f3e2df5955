"""What the cloud says of its model's input, so that the edge need not send more of a picture than that.

`X-Sedna-Input: 640x640; letterbox` beside an answer: the model takes pictures of 640 x 640 pixels, and one of another shape keeps
its aspect ratio in it. Without the word it is stretched to fill the input. A worker that does not know says nothing, and gets
every picture in full.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LETTERBOX: Final = "letterbox"
_MAX_CHARS: Final = 100
_SIDE: Final = r"([1-9][0-9]{0,4})"
_WRITTEN: Final = re.compile(rf"{_SIDE}x{_SIDE}\s*(?:;\s*([a-z-]+)\s*)?")


@dataclass(frozen=True, slots=True)
class ModelInput:
    """The model's input in pixels; `letterbox`: the picture keeps its aspect ratio in it, else it is stretched to fill it."""

    width: int
    height: int
    letterbox: bool

    def render(self) -> str:
        """Return the value of the header."""
        return f"{self.width}x{self.height}" + (f"; {_LETTERBOX}" if self.letterbox else "")

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Return the size (width, height) at which the model sees a picture of this one; never larger than it."""
        if not self.letterbox:
            return min(width, self.width), min(height, self.height)
        scale = min(self.width / width, self.height / height, 1.0)
        return max(round(width * scale), 1), max(round(height * scale), 1)


def parse_model_input(header: str | None) -> ModelInput | None:
    """Read the header; None where there is none, or one that is written in another way: then nothing is known."""
    text = (header or "").strip().lower()
    match = _WRITTEN.fullmatch(text) if len(text) <= _MAX_CHARS else None
    if match is None or match[3] not in (None, _LETTERBOX):
        return None
    return ModelInput(int(match[1]), int(match[2]), match[3] is not None)
