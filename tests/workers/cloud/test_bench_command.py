"""`sedna bench` from its command line against the worker: both protocols, pictures and texts, and an input of another name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sedna_py.cli import app
from tests.workers.inference.tiny_models import save_colour_detector
from workers.inference.image_codec import encode_jpeg
from workers.inference.predictor import create_predictor

SHORT = ["--connections", "2", "--seconds", "0.2", "--warm-up", "0", "--json"]


class Words:
    """Returns what it is asked."""

    def load(self, model_url: str = "") -> None:
        """Nothing to load."""

    def predict(self, data: Any, **kwargs: Any) -> Any:
        return [data]


def bench(*arguments: str) -> tuple[int, dict[str, Any]]:
    ended = CliRunner().invoke(app, ["bench", *arguments, *SHORT])
    return ended.exit_code, json.loads(ended.stdout)


@pytest.mark.parametrize("target", [[], ["--target", "oip", "--model", "model"]])
def test_pictures_are_answered_through_both_protocols(
    serve: Callable[..., Any], tmp_path: Path, target: list[str]
) -> None:
    worker = serve(create_predictor(str(save_colour_detector(tmp_path / "model"))))
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(encode_jpeg(np.full((24, 32, 3), 200, np.uint8), 90))
    status, report = bench(worker.url, "--image", str(picture), *target)
    assert status == 0
    assert report["ok"] > 0
    assert report["failures"] == {}


def test_a_text_goes_to_the_input_that_the_worker_has_for_it_or_to_the_one_that_is_named(
    serve: Callable[..., Any],
) -> None:
    worker = serve(Words())
    asked = [worker.url, "--target", "oip", "--model", "model", "--data", '"grey"']
    status, report = bench(*asked)
    assert (status, report["failures"]) == (0, {})
    status, report = bench(*asked, "--tensor", "another")
    assert status == 1
    assert list(report["failures"]) == ["http 400"]
