"""`python -m workers`: which worker an environment means."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sedna_py.api.child_names import Role
from sedna_py.api.v1alpha1 import JointInferenceService, Model
from sedna_py.api.worker_environment import cloud_environment, edge_environment
from sedna_py.errors import SettingsError
from workers.__main__ import chosen_role


@pytest.mark.parametrize(
    ("environment", "role"),
    [
        ({"BIG_MODEL_IP": "svc-cloud.shop"}, Role.EDGE),
        ({"HEM_NAME": "IBT"}, Role.EDGE),
        ({"BIG_MODEL_BIND_PORT": "5000"}, Role.CLOUD),
        ({"HEM_NAME": "IBT", "BIG_MODEL_BIND_PORT": "5000"}, Role.EDGE),
        ({"HEM_NAME": "", "BIG_MODEL_IP": "", "BIG_MODEL_BIND_PORT": "5000"}, Role.CLOUD),
    ],
)
def test_the_variables_of_one_side_choose_it(environment, role):
    assert chosen_role(environment) is role


@pytest.mark.parametrize("environment", [{}, {"BIG_MODEL_PORT": "5000", "MODEL_URL": "/m"}, {"HEM_NAME": ""}])
def test_an_environment_of_neither_side_says_what_to_set(environment):
    with pytest.raises(SettingsError, match=r"BIG_MODEL_IP nor HEM_NAME \(edge\) nor BIG_MODEL_BIND_PORT \(cloud\)"):
        chosen_role(environment)


def test_the_variables_of_the_controller_choose_its_worker(service, model):
    common = {"worker_name": "w"}
    edge = edge_environment(
        service, model, big_model_ip="10.0.0.1", big_model_port=5000, lc_server="http://10.0.0.1:5000", **common
    )
    assert chosen_role(edge) is Role.EDGE
    assert chosen_role(cloud_environment(service, model, port=5000, **common)) is Role.CLOUD


@pytest.fixture
def model() -> Model:
    return Model.model_validate({"metadata": {"name": "m"}, "spec": {"url": "/m/y.xml", "format": "openvino"}})


@pytest.fixture
def service() -> JointInferenceService:
    worker = {"model": {"name": "m"}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    return JointInferenceService.model_validate(
        {
            "metadata": {"name": "svc", "namespace": "shop"},
            "spec": {"edgeWorker": worker | {"hardExampleMining": {"name": "IBT"}}, "cloudWorker": worker},
        }
    )


@pytest.mark.processes
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "edge or cloud?"),
        ({"HEM_NAME": "IBT"}, "edge MODEL_URL is not set"),
        ({"BIG_MODEL_BIND_PORT": "5000"}, "cloud MODEL_URL is not set"),
    ],
)
def test_the_program_runs_that_worker_or_says_why_not(environment, says):
    command = [sys.executable, "-m", "workers"]
    environment = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
