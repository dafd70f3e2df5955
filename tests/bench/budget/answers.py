"""A model's answer for every frame of a clip, from the real predictors, computed once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import openvino as ov

from sedna_py.protocol.images import probe
from tests.bench.pairs import FACE
from workers.edge.sources import open_source
from workers.inference.image_codec import encode_jpeg
from workers.inference.predictor import create_predictor
from workers.inference.reduced_decode import decode_reduced

RECIPE: Final = 1  # raise it when something below changes the answers
DUSK_LIGHT: Final = 0.3  # of the light is left
DUSK_DETAIL: Final = 0.4  # of the pixels a side


@dataclass(frozen=True)
class Scene:
    """A clip, as it is or as another camera would have shown it."""

    name: str
    clip: Path
    dusk: bool = False  # three tenths of the light, two fifths of the detail

    def pictures(self) -> Iterable[Any]:
        """Yield the frames (BGR)."""
        source = open_source(str(self.clip))
        try:
            for picture in source:
                yield dusk(picture) if self.dusk else picture
        finally:
            source.close()

    @property
    def fps(self) -> float:
        """The frames of a second, by the file."""
        source = open_source(str(self.clip))
        source.close()
        return source.fps


@dataclass(frozen=True)
class Jpeg:
    """How a frame is encoded: the quality, and the longest side in pixels where it is made smaller."""

    quality: int
    longest: int | None = None

    def encode(self, picture: Any) -> bytes:
        """Return the body that travels."""
        height, width = picture.shape[:2]
        scale = 1.0 if self.longest is None else min(1.0, self.longest / max(height, width))
        if scale < 1:
            size = round(width * scale), round(height * scale)
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return encode_jpeg(picture, self.quality)


@dataclass(frozen=True)
class Answers:
    """One answer a frame, `[xmin, ymin, xmax, ymax, score, class]` a box; `sizes` are the bodies' bytes, if there are any."""

    boxes: list[list[list[float]]]
    sizes: list[int]
    width: int
    height: int


def answers(model: Mapping[str, str], scene: Scene, jpeg: Jpeg | None = None) -> Answers:
    """Return what the model says of every frame: of the raw picture, or of what a cloud worker decodes of its JPEG."""
    kept = _cache() / f"{_key(model, scene, jpeg)}.json"
    if not kept.is_file():
        told = "the raw frames" if jpeg is None else f"JPEGs of quality {jpeg.quality}"
        print(f"  asking {Path(model['MODEL_URL']).parent.name} about {told} of {scene.name} ...", flush=True)
        found = _ask(model, scene, jpeg)
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(vars(found)), encoding="utf-8")
        part.replace(kept)
    return Answers(**json.loads(kept.read_text(encoding="utf-8")))


def dusk(picture: Any) -> Any:
    """Return the picture with less light and less detail, in its own size."""
    height, width = picture.shape[:2]
    size = max(1, round(width * DUSK_DETAIL)), max(1, round(height * DUSK_DETAIL))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.convertScaleAbs(cv2.resize(small, (width, height)), alpha=DUSK_LIGHT)


def _ask(model: Mapping[str, str], scene: Scene, jpeg: Jpeg | None) -> Answers:
    predictor = create_predictor(model["MODEL_URL"], estimator=model.get("ESTIMATOR"))
    waiting: list[Future[Any]] = []
    sizes: list[int] = []
    shape = (0, 0)
    try:
        for picture in scene.pictures():
            shape = picture.shape[:2]
            given, scale = picture, 1.0
            if jpeg is not None:
                body = jpeg.encode(picture)
                header = probe(body)
                sizes.append(len(body))
                given = partial(decode_reduced, body, header, getattr(predictor, "frame_need", None))
                scale = picture.shape[1] / header.width
            waiting.append(Future())
            predictor.submit(given, partial(_note, waiting[-1], scale))
        boxes = [future.result(120) for future in waiting]
    finally:
        predictor.close()
    return Answers(boxes, sizes, shape[1], shape[0])


def _note(future: Future[Any], scale: float, answer: Any) -> None:
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result([[*(side * scale for side in row[:4]), *row[4:]] for row in answer])


def _key(model: Mapping[str, str], scene: Scene, jpeg: Jpeg | None) -> str:
    """Return a name that changes with everything that the answers depend on."""
    weights = Path(model["MODEL_URL"])
    files = [scene.clip, weights, weights.with_suffix(".bin")]
    if "ESTIMATOR" in model:
        files.append(Path(model["ESTIMATOR"].rpartition(":")[0]))
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"")
    settings = [RECIPE, model.get("ESTIMATOR", "").rpartition(":")[2], scene.dusk, jpeg and vars(jpeg)]
    digest.update(json.dumps([*settings, ov.__version__, cv2.__version__], default=str).encode())
    return digest.hexdigest()[:32]


def _cache() -> Path:
    sys.path.insert(0, str(FACE))
    from assets import default_cache

    return default_cache(os.environ) / "bench"
