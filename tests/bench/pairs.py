"""The model pairs that are measured: the demo's, and the development pair where it is there."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = ("face", "helmet")
FACE = ROOT / "examples" / "face_detection"
# Beside the checkout, or beside the folder that several worktrees are in.
SHARED = next((up / "shared" for up in ROOT.parents if (up / "shared").is_dir()), ROOT.parent / "shared")


@dataclass(frozen=True)
class Pair:
    """Models and clip of one service; `little` and `big` are environments that name a model and its code."""

    name: str
    clip: Path
    little: dict[str, str]
    big: dict[str, str]
    rounds: int  # how often the clip is played in one measurement


def face_pair() -> Pair:
    """Return the demo's pair; fetches it if it is not in the cache."""
    sys.path.insert(0, str(FACE))
    from assets import default_cache, prepare

    assets = prepare(default_cache(os.environ), print)
    code = FACE / "estimator.py"
    return Pair(
        "face",
        assets.walk,
        {"MODEL_URL": str(assets.short_range), "ESTIMATOR": f"{code}:ShortRange", "DETECTION_THRESHOLD": "0.1"},
        {"MODEL_URL": str(assets.full_range), "ESTIMATOR": f"{code}:FullRange", "DETECTION_THRESHOLD": "0.4"},
        rounds=6,
    )


def helmet_pair() -> Pair | None:
    """Return the development pair, None where it is not there."""
    models, clip = SHARED / "models" / "helmet", SHARED / "data" / "bikes.mp4"
    if not clip.is_file() or not models.is_dir():
        return None
    little, big = (str(models / name / "model.xml") for name in ("little", "big"))
    return Pair("helmet", clip, {"MODEL_URL": little}, {"MODEL_URL": big}, rounds=1)
