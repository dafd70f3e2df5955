"""Pictures with something in them, for tests of what is worth a look: a street of soft colours, things on it, light and noise."""

from __future__ import annotations

import cv2
import numpy as np

CHANCE = np.random.default_rng(7)
POOL = CHANCE.standard_normal(1_000_003, np.float32)


def street(width: int = 640, height: int = 480) -> np.ndarray:
    """A still background without sharp edges; the same for the same size."""
    tiles = np.random.default_rng(3).integers(50, 190, (height // 40 + 1, width // 40 + 1, 3), np.uint8)
    return cv2.resize(tiles, (width, height), interpolation=cv2.INTER_CUBIC)


def with_thing(picture: np.ndarray, x: int, y: int, side: int, contrast: int = 70) -> np.ndarray:
    """The picture with a square thing at (x, y), that much darker or brighter than what it hides."""
    shown = picture.copy()
    hidden = shown[y : y + side, x : x + side]
    hidden[:] = np.where(hidden > 127, hidden - contrast, hidden + contrast)
    return shown


def noisy(picture: np.ndarray, deviation: float) -> np.ndarray:
    """The picture as a sensor with so many grey levels of noise gives it; another one each time."""
    # Drawn once, as that takes far longer than all else; each picture begins elsewhere in it.
    noise = np.resize(POOL[int(CHANCE.integers(len(POOL) // 2)) :], picture.size).reshape(picture.shape)
    return np.clip(picture + noise * np.float32(deviation), 0, 255).astype(np.uint8)


def in_light(picture: np.ndarray, gain: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """The picture in another light, or as another exposure gives it."""
    return np.clip(picture.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)
