"""Triton's and KServe's own clients, as they are, against a worker: they run in a Python of their own, see foreign_python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.environments import NoEnvironment
from tests.workers.foreign_python import CLEAN, INSTALL_S, foreign_python

pytestmark = [pytest.mark.processes, pytest.mark.timeout(INSTALL_S + 120)]

PROGRAM = Path(__file__).with_name("open_inference_clients.py")
RED, GREEN, BLUE = 0, 1, 2


@pytest.fixture(scope="module")
def got(worker: Any, tier_unavailable: Callable[[str, str], NoReturn]) -> Any:
    """What both clients got from the worker with the colour detector, under version 1 of `model`."""
    try:
        python = foreign_python("clients")
    except NoEnvironment as error:
        tier_unavailable("Open Inference client", str(error))
    command = [str(python), str(PROGRAM), worker.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, env=CLEAN, check=False)
    assert ended.returncode == 0, ended.stderr
    worker.wait_until_idle()
    return json.loads(ended.stdout)


def box(colour: int) -> Any:
    """Return the row for a picture of that colour."""
    return pytest.approx([10.0 * colour, 0, 10.0 * colour + 10, 24, 0.941, colour], abs=1e-3)


def test_tritons_client_learns_what_the_server_and_its_model_are(got: Any) -> None:
    found = got["triton"]
    assert [found[name] for name in ("live", "ready", "model_ready", "version_ready")] == [True] * 4
    assert [found[name] for name in ("other_ready", "other_version_ready")] == [False] * 2
    assert (found["server"]["name"], found["server"]["extensions"]) == ("sedna-py", ["binary_tensor_data"])
    assert found["model"]["versions"] == ["1"]
    assert found["model"]["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert found["index"] == [{"name": "model", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize(
    ("case", "colours"),
    [
        ("encoded", [BLUE]),
        ("many_encoded", [BLUE, RED, GREEN]),
        ("array_binary", [GREEN]),
        ("arrays_binary", [GREEN, BLUE]),
        ("arrays_json", [GREEN, RED]),
        ("version", [GREEN]),
        ("with_a_timeout", [GREEN]),
        ("compressed_reply", [GREEN]),
    ],
)
def test_tritons_client_gets_each_pictures_row(got: Any, case: str, colours: list[int]) -> None:
    found = got["triton"][case]
    assert found["detections"] == [box(colour) for colour in colours]
    assert found["counts"] == [1] * len(colours)
    assert found["version"] == "1"
    assert found["id"] == ("one" if case == "encoded" else None)


def test_tritons_client_gets_the_outputs_that_it_names_and_no_others(got: Any) -> None:
    found = got["triton"]
    texts = found["only_result"].pop("result")
    assert [json.loads(text) for text in texts] == [[box(RED)], [box(BLUE)]]
    assert found["only_result"] == {"id": None, "version": "1"}
    assert found["only_counts"] == {"counts": [1, 1], "id": None, "version": "1"}


@pytest.mark.parametrize(
    ("case", "status", "message"),
    [
        ("no_model", "404", "there is no model 'other'; this server has 'model'"),
        ("no_version", "404", "'model' has no version '7'; it is version '1'"),
        ("no_output", "400", "there is no output 'masks'; ask for detections, counts, result, or name none"),
        ("no_input", "400", "the inputs are 'sound'; send 'image' as BYTES"),
        ("no_picture", "400", "the body is not an image; send JPEG or PNG"),
        ("compressed", "415", "Content-Encoding 'gzip' is not supported; send the body as it is"),
        ("no_metadata", "404", "there is no model 'other'"),
        # What this server does not have: the client must be able to read even that.
        ("config", "404", "there is no '/v2/models/model/config' here"),
        ("statistics", "404", "there is no '/v2/models/model/stats' here"),
        ("load", "404", "there is no '/v2/repository/models/model/load' here"),
    ],
)
def test_tritons_client_raises_our_own_words(got: Any, case: str, status: str, message: str) -> None:
    refused = got["triton"][case]
    assert refused["status"] == status
    assert refused["message"].startswith(message)


def test_kserves_client_learns_whether_the_server_and_its_model_are_ready(got: Any) -> None:
    found = got["kserve"]
    assert [found[name] for name in ("live", "ready", "model_ready", "other_ready")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("case", "colours"),
    [
        ("encoded", [BLUE]),
        ("arrays_binary", [GREEN, BLUE]),
        ("arrays_json", [GREEN, RED]),
        ("binary_outputs", [GREEN, BLUE]),
    ],
)
def test_kserves_client_gets_each_pictures_row(got: Any, case: str, colours: list[int]) -> None:
    found = got["kserve"][case]
    assert found["detections"] == [box(colour) for colour in colours]
    assert found["counts"] == [1] * len(colours)
    assert found["id"] == "two" if case == "encoded" else found["id"]


def test_kserves_client_raises_our_own_words(got: Any) -> None:
    found = got["kserve"]
    assert found["no_model"].startswith("HTTPStatusError: there is no model 'other'; this server has 'model', '404")
    assert found["no_input"].startswith("HTTPStatusError: the inputs are 'sound'; send 'image' as BYTES")
