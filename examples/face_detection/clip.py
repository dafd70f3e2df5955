"""Make the demo's default clip: one face that walks away and comes back under changing light.

Every pixel is made from the carphone clip and a seed. The face is the whole carphone picture with soft edges, scaled
and moved over a blurred background that is made from the same clip with the person taken out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sedna_py.errors import SourceError

Image = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480  # pixels
FRAMES = 360
FPS = 30.0
NEAREST, FARTHEST = 1.0, 0.2  # scale of the picture; 1 fills the canvas's height
SEED = 20240521
RECIPE = 1  # raise it when the pixels change, so that clips in caches are made again

_FEATHER = 0.25  # share of half the picture over which it fades into the background
_ROUNDNESS = 3.0  # exponent of the superellipse; 2 is an ellipse
_MARGIN = 32  # pixels by which the background and the noise may shift
_NOISE = 3.0  # standard deviation, grey levels
# The background has no face, and these keep the short-range model from seeing one in its shadows.
_BLUR = 40.0  # standard deviation, pixels
_CONTRAST = 0.5  # share of the original contrast that is left
_DIM = 0.8  # share of the original light that is left


def scale_at(index: int) -> float:
    """Return the face's scale in frame `index`: NEAREST at the ends of the clip, FARTHEST in the middle."""
    swing = 0.5 + 0.5 * math.cos(2 * math.pi * index / FRAMES)
    return FARTHEST + (NEAREST - FARTHEST) * swing


def source_index(index: int, count: int) -> int:
    """Return which of `count` pictures frame `index` shows: forth and back, so that the face never jumps."""
    phase = index % max(1, 2 * count - 2)
    return phase if phase < count else 2 * count - 2 - phase


def face_place(index: int) -> tuple[int, int]:
    """Return where the picture's centre is in frame `index`, pixels; the smaller it is, the farther it strays."""
    turn, room = 2 * math.pi * index / FRAMES, (NEAREST - scale_at(index)) / NEAREST
    return round(WIDTH * (0.5 + 0.3 * room * math.sin(3 * turn))), round(
        HEIGHT * (0.5 + 0.2 * room * math.sin(2 * turn))
    )


@dataclass(frozen=True)
class Light:
    """A change of light: grey = 255 * (contrast * value + brightness) ** gamma for a value of 0 to 1."""

    brightness: float
    contrast: float
    gamma: float

    def table(self) -> Image:
        """Return the 256 grey levels that replace 0 to 255."""
        value = np.clip(np.linspace(0, 1, 256) * self.contrast + self.brightness, 0, 1)
        return np.round(255 * value**self.gamma).astype(np.uint8)


def light_at(index: int) -> Light:
    """Return the light of frame `index`: three slow waves of different length, so that each scale meets several."""
    turn = 2 * math.pi * index / FRAMES
    return Light(0.05 * math.sin(3 * turn), 0.9 - 0.15 * math.sin(4 * turn), 1.1 + 0.3 * math.sin(5 * turn))


class Scene:
    """Renders frames from carphone pictures; the same arguments give the same pixels."""

    def __init__(self, pictures: list[Image]) -> None:
        """Take pictures of one size, with the face in the middle of the first one."""
        self._pictures = pictures
        self._background = background(pictures[0])
        self._edge = soft_edge(*pictures[0].shape[:2])
        shape = (HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN, 3)
        self._noise = np.random.default_rng(SEED).normal(0, _NOISE, shape).astype(np.float32)

    def frame(self, index: int) -> Image:
        """Return frame `index` of the clip, (HEIGHT, WIDTH, 3) BGR."""
        picture = self._pictures[source_index(index, len(self._pictures))]
        canvas = self.backdrop(index)
        _paste(canvas, picture, self._edge, scale_at(index), face_place(index))
        return self._exposed(canvas, index)

    def empty_frame(self, index: int) -> Image:
        """Return frame `index` without the face: what no detector may find anything in."""
        return self._exposed(self.backdrop(index), index)

    def backdrop(self, index: int) -> Image:
        """Return the background as it has drifted by frame `index`."""
        turn = 2 * math.pi * index / FRAMES
        return _image(_window(self._background, math.sin(turn), math.cos(2 * turn)).copy())

    def _exposed(self, canvas: Image, index: int) -> Image:
        lit = _image(cv2.LUT(canvas, light_at(index).table()))
        offset = np.random.default_rng([SEED, index]).uniform(-1, 1, 2)
        return _image(cv2.add(lit, _window(self._noise, *offset), dtype=cv2.CV_8U))


def background(picture: Image) -> Image:
    """Return the picture without its person, blurred, dimmed and large enough to drift: _MARGIN pixels on each side."""
    height, width = picture.shape[:2]
    person = np.zeros((height, width), np.uint8)
    for middle, half in ((0.4, 0.42), (1.0, 0.5)):  # head, shoulders; wide enough for all that the person does
        axes = round(width * half * (0.65 if middle < 1 else 1)), round(height * half)
        cv2.ellipse(person, (round(width * 0.47), round(height * middle)), axes, 0, 0, 360, 255, -1)
    empty = cv2.inpaint(picture, person, 5, cv2.INPAINT_TELEA)
    large = cv2.resize(empty, (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN), interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(large, (0, 0), _BLUR).astype(np.float32)
    flat = blurred.mean(axis=(0, 1))
    return _image(np.round((flat + (blurred - flat) * _CONTRAST) * _DIM))


def soft_edge(height: int, width: int) -> NDArray[np.float32]:
    """Return the picture's opacity (height, width): 1 inside a rounded rectangle (a superellipse), 0 at its edge."""
    y, x = (np.abs(np.linspace(-1, 1, n)) ** _ROUNDNESS for n in (height, width))
    ramp = np.clip((1 - np.add.outer(y, x) ** (1 / _ROUNDNESS)) / _FEATHER, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def make_walk_clip(carphone: Path, out: Path) -> None:
    """Write the clip to `out`, which appears only when it is whole.

    Raises SourceError if `carphone` cannot be read or OpenCV cannot write the clip.
    """
    scene = Scene(read_pictures(carphone))
    part = out.with_name(f".part-{out.name}")
    try:
        _write(part, scene.frame)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def read_pictures(clip: Path) -> list[Image]:
    """Return all frames of a short clip."""
    capture = cv2.VideoCapture(str(clip))
    try:
        pictures: list[Image] = []
        while (step := capture.read())[0]:
            pictures.append(_image(step[1]))
    finally:
        capture.release()
    if not pictures:
        raise SourceError(f"OpenCV reads no frame from {str(clip)!r}; delete the file so that it is fetched again")
    return pictures


def _write(path: Path, frame: Callable[[int], Image]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    try:
        if not writer.isOpened():
            raise SourceError(
                f"OpenCV cannot write {str(path)!r} as MPEG-4; check that the directory can be written to"
            )
        for index in range(FRAMES):
            writer.write(frame(index))
    finally:
        writer.release()


def _paste(canvas: Image, picture: Image, edge: NDArray[np.float32], scale: float, centre: tuple[int, int]) -> None:
    height = round(HEIGHT * scale)
    width = round(height * picture.shape[1] / picture.shape[0])
    way = cv2.INTER_CUBIC if height > picture.shape[0] else cv2.INTER_AREA
    small, alpha = (cv2.resize(image, (width, height), interpolation=way) for image in (picture, edge))
    left, top = centre[0] - width // 2, centre[1] - height // 2
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + width), min(HEIGHT, top + height)
    part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    opacity = np.clip(alpha[part], 0, 1)[:, :, None]
    under = canvas[y0:y1, x0:x1]
    canvas[y0:y1, x0:x1] = np.round(under + opacity * (small[part].astype(np.float32) - under)).astype(np.uint8)


def _window(large: NDArray[Any], x: float, y: float) -> NDArray[Any]:
    left, top = round(_MARGIN * (1 + x)), round(_MARGIN * (1 + y))
    return large[top : top + HEIGHT, left : left + WIDTH]


def _image(array: Any) -> Image:
    return np.asarray(array, np.uint8)
