"""The controller is killed at random moments of a storm; what is there in the end is what is wanted, always."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.integration.replica import Replica, replica, seconds_until
from tests.integration.service_on_cluster import Cluster, install_crds
from tests.integration.storm import Scene, Storm, differences_that_stay

CRASHES = 20
SEEDS = [int(seed) for seed in os.environ.get("SEDNA_STORM_SEEDS", "1").split(",")]


@pytest.fixture
def scene(control_plane: ControlPlane, namespace: str) -> Iterator[Scene]:
    install_crds(control_plane)
    cluster = Cluster.of(control_plane)
    yield Scene(cluster, namespace)
    cluster.http.close()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(300)  # of twenty starts, each of which may take its time on a busy machine
def test_a_controller_killed_twenty_times_in_a_storm_leaves_what_is_wanted(control_plane, scene, seed, tmp_path):
    dice = random.Random(seed)
    storm = Storm(scene, dice)
    storm.begin(services=5)
    settings = {"LEADER_ELECTION": "false", "WATCH_NAMESPACES": scene.namespace}
    with replica("controller", tmp_path, control_plane.kubeconfig, settings) as controller:
        for _ in range(CRASHES):
            controller.start()
            go_on_until_the_crash(storm, controller, dice)
            controller.crash()
            storm.blow(dice.randrange(3))  # nobody watches
        controller.start()
        storm.calm_down()
        left = differences_that_stay(scene)
        assert not controller.has_ended()
        said = controller.log_tail()
    assert not left, "\n".join([f"seed {seed}, {len(storm.done)} changes:", *storm.done[-40:], *left, said])
    assert "Traceback" not in controller.log(), controller.log()


def go_on_until_the_crash(storm: Storm, controller: Replica, dice: random.Random) -> None:
    """Let the storm blow until the moment has come: mostly in the middle of work, now and then during the start."""
    if dice.random() < 0.2:
        storm.blow(dice.randint(1, 4))
        time.sleep(dice.uniform(0.0, 1.0))
        return
    before = controller.times_served()
    seconds_until(lambda: controller.times_served() > before, "a controller that serves")
    storm.blow(dice.randint(1, 12))
    time.sleep(dice.uniform(0.0, 0.2))
