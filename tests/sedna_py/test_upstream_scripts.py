"""Scripts in upstream's style, unmodified, as two real processes: the edge answers, the cloud is asked for what is hard."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "data" / "upstream_scripts"
PATIENCE_S = 60

pytestmark = pytest.mark.processes


@contextmanager
def running(folder, environment, log):
    """Run a folder's infer.py until the end of the block; what it prints goes to `log`."""
    command = [sys.executable, "-m", "sedna_py.script_runner", "infer.py"]
    # As in the images: the script's folder is the current one, and nothing but the given variables is set.
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env={**kept, **environment}, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def wait_until(condition, what, *logs):
    """Poll: what these processes do can be seen from outside only."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail(f"{what} did not happen in {PATIENCE_S} s\n" + "\n".join(log.read_text()[-3000:] for log in logs))


def answers(url):
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def numbers(folder):
    return {int(file.stem) for file in folder.glob("*.json")}


@pytest.fixture
def files(tmp_path):
    """The models, and twenty frames in BGR: of those that the script looks at, one is lit well and one badly, in red."""
    np.save(tmp_path / "little.npy", np.array(60))
    np.save(tmp_path / "big.npy", np.array(30))
    video = np.zeros((20, 24, 32, 3), np.uint8)
    video[:10, 5:15, 8:20] = (204, 204, 255)
    video[10:, 5:15, 8:20] = (40, 40, 102)
    np.save(tmp_path / "video.npy", video)
    return tmp_path


def cloud_variables(files, port):
    return {
        "NAMESPACE": "default",
        "SERVICE_NAME": "helmet",
        "WORKER_NAME": "cloudworker-abcde",
        "MODEL_URL": str(files / "big.npy"),
        "BIG_MODEL_BIND_PORT": str(port),
        "BIG_MODEL_BIND_IP": "127.0.0.1",
    }


def edge_variables(files, port):
    parameters = [{"key": "threshold_img", "value": "0.9"}, {"key": "threshold_box", "value": "0.9"}]
    return {
        "NAMESPACE": "default",
        "SERVICE_NAME": "helmet",
        "WORKER_NAME": "edgeworker-abcde",
        "MODEL_URL": str(files / "little.npy"),
        "BIG_MODEL_IP": "127.0.0.1",
        "BIG_MODEL_PORT": str(port),
        "HEM_NAME": "IBT",
        "HEM_PARAMETERS": json.dumps(parameters),
        "video_url": str(files / "video.npy"),
        "reopen_seconds": "0.05",
        "all_examples_inference_output": str(files / "all"),
        "hard_example_cloud_inference_output": str(files / "hard_cloud"),
        "hard_example_edge_inference_output": str(files / "hard_edge"),
    }


def test_edge_and_cloud(files):
    port = free_port()
    cloud_log, edge_log = files / "cloud.log", files / "edge.log"
    everything, hard_cloud, hard_edge = (files / name for name in ("all", "hard_cloud", "hard_edge"))

    def seen(folder, number):
        return json.loads((folder / f"{number}.json").read_text())

    with running(SCRIPTS / "helmet_cloud", cloud_variables(files, port), cloud_log) as cloud:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the cloud's readiness", cloud_log)
        with running(SCRIPTS / "helmet_edge", edge_variables(files, port), edge_log) as edge:
            wait_until(lambda: 21 in numbers(everything), "frame 21", edge_log, cloud_log)
            assert seen(everything, 1) == [[8, 5, 19, 14, 1.0, 2]]
            assert seen(everything, 11) == seen(hard_cloud, 11) == [[8, 5, 19, 14, 0.97, 1]]
            assert seen(hard_edge, 11) == [[8, 5, 19, 14, 0.4, 2]]
            assert 1 not in numbers(hard_edge)

            cloud.send_signal(signal.SIGTERM)
            assert cloud.wait(30) == 0, cloud_log.read_text()
            newest = max(numbers(everything))
            # Twenty frames a round and one of them hard: the third one from here has begun after the cloud was gone.
            wait_until(lambda: newest + 60 in numbers(everything), "going on alone", edge_log)
            alone = max(numbers(hard_edge))
            assert alone not in numbers(hard_cloud)
            assert (alone - 11) % 20 == 0

            edge.send_signal(signal.SIGTERM)
            assert edge.wait(30) == 128 + signal.SIGTERM, edge_log.read_text()


def test_a_cloud_without_its_model_says_so_in_one_line(files):
    log = files / "cloud.log"
    variables = {**cloud_variables(files, free_port()), "MODEL_URL": "/no/such", "MODEL_PATH": "/no/such.pb"}
    with running(SCRIPTS / "helmet_cloud", variables, log) as cloud:
        assert cloud.wait(PATIENCE_S) == 1
    assert log.read_text() == "ModelError: /no/such.pb miss\n"
