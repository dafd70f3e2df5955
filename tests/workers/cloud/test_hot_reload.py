"""A new model while requests come: none fails, and each is answered by one whole model, the one whose version it is told."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from sedna_py.protocol.open_inference.pictures import encode_picture_request
from sedna_py.protocol.open_inference.response import decode_response
from tests.workers.inference.tiny_models import MODEL_INFO, save_colour_detector
from workers.cloud.model_source import ModelAtUrl
from workers.inference.engine import EngineOptions
from workers.inference.predictor import create_predictor
from workers.models.version_folder import Candidate, ModelPlace

RED = np.zeros((24, 30, 3), np.uint8)
RED[..., 2] = 255  # BGR
PERIOD_S = 0.1


def put_version(folder: Path, version: int) -> None:
    """Write a model whose score for red is 1 / version, whole at once as `mv` does."""
    making = folder.parent / f"making-{version}"
    save_colour_detector(
        making, model_info={**MODEL_INFO, "scale_values": 255.0 * version, "confidence_threshold": 0.05}
    )
    making.rename(folder / str(version))


def source(folder: Path) -> ModelAtUrl:
    def load(candidate: Candidate | None) -> Any:
        assert candidate is not None
        return create_predictor(str(candidate.path), options=EngineOptions(streams=1))

    return ModelAtUrl(ModelPlace(str(folder)), load, hot=True, period_s=PERIOD_S)


def ask(client: httpx.Client) -> tuple[str, float]:
    """Return the version that answered, and what 1 / score says that it was."""
    body, headers = encode_picture_request(bytes(cv2.imencode(".png", RED)[1]))
    response = client.post("/v2/models/model/infer", content=body, headers=headers)
    assert response.status_code == 200, response.text
    said = response.headers.get("Inference-Header-Content-Length")
    answer = decode_response(response.content, None if said is None else int(said))
    rows = answer.output("detections")
    assert rows is not None
    return answer.model_version, float(1 / rows.array()[0, 4])


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_models_change_under_load_without_an_error(serve: Callable[..., Any], tmp_path: Path) -> None:
    put_version(tmp_path, 1)
    worker = serve(source(tmp_path))
    wanted = 5
    answers: list[tuple[str, float]] = []
    done = False

    def load_on() -> None:
        with httpx.Client(base_url=worker.url, timeout=30, trust_env=False) as client:
            while not done:
                answers.append(ask(client))

    with ThreadPoolExecutor(4) as clients:
        under_load = [clients.submit(load_on) for _ in range(4)]
        try:
            for version in range(2, wanted + 1):
                put_version(tmp_path, version)
                worker.wait_for(lambda v=version: worker.model.version == str(v), 30)
            answered = len(answers)
            worker.wait_for(lambda: len(answers) > answered + 20, 30)
        finally:
            done = True
        for client in under_load:
            client.result(30)
    assert {version for version, _ in answers} == {str(version) for version in range(1, wanted + 1)}
    assert all(abs(int(version) - whose) < 0.05 for version, whose in answers)
    assert worker.metric("sedna_cloud_model_loads_total", outcome="loaded") == wanted
    assert worker.metric("sedna_cloud_model", version=str(wanted)) == 1
    assert worker.metric("sedna_cloud_model", version="1") == 0
    assert {path.name for path in tmp_path.iterdir()} == {str(version) for version in range(1, wanted + 1)}


def test_a_broken_model_is_refused_and_the_old_one_goes_on(serve: Callable[..., Any], tmp_path: Path) -> None:
    put_version(tmp_path, 1)
    worker = serve(source(tmp_path))
    broken = tmp_path / ".broken"
    shutil.copytree(tmp_path / "1", broken)
    os.truncate(broken / "model.bin", 3)
    broken.rename(tmp_path / "2")
    until(lambda: worker.metric("sedna_cloud_model_loads_total", outcome="refused") == 1)
    assert worker.model.version == "1"
    assert ask(worker.client)[0] == "1"
    assert worker.client.get("/v2/models/model/versions/2/ready").status_code == 404
    assert worker.client.get("/readyz").status_code == 200


def test_removing_the_highest_version_takes_it_back(serve: Callable[..., Any], tmp_path: Path) -> None:
    put_version(tmp_path, 1)
    put_version(tmp_path, 2)
    worker = serve(source(tmp_path))
    assert ask(worker.client)[0] == "2"
    shutil.rmtree(tmp_path / "2")
    worker.wait_for(lambda: worker.model.version == "1", 30)
    version, whose = ask(worker.client)
    assert (version, round(whose)) == ("1", 1)
