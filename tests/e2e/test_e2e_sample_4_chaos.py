"""Pods are killed at random, one every few seconds, on each side in turn: acceptance point 4 of the issue.

At the edge never the last one that answers: with nobody there, the silence would be as long as this machine takes to start a pod
whose limit is half a core, while four others start beside it. So what is measured is how soon the other one goes on alone.
SEDNA_E2E_CHAOS_SECONDS sets for how long on each side; the issue's figure is 180 s, CI has less.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field

import pytest

from tests.e2e import helmet_sample as sample
from tests.e2e.decisions import Decisions
from tests.e2e.pods import Pod, pods
from tests.e2e.running_sample import RunningSample

pytestmark = pytest.mark.timeout(1500)

CHAOS_S = float(os.environ.get("SEDNA_E2E_CHAOS_SECONDS", "30"))
EVERY_S = 5.0
STARTS_S = 60.0
RATE = 15.0
GAP_S = 5.0
QUIET_S = 45.0  # both pods see every picture of the clip twice and more
SEED = 5
CONTROLLER = ("sedna", "app.kubernetes.io/name=sedna-controller")
SIDES = {
    "cloud": (sample.NAMESPACE, sample.CLOUD_PODS),
    "edge": (sample.NAMESPACE, sample.EDGE_PODS),
    "controller": CONTROLLER,
}


@dataclass
class Story:
    """What was seen; `spans` are seconds since the epoch, by the side whose pods were killed then."""

    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    killed: dict[str, int] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=Decisions)
    phase: str = ""


@pytest.fixture(scope="module")
def story(sample_on_cluster: RunningSample) -> Story:
    """Live through it once."""
    running, told = sample_on_cluster, Story()
    running.serve()
    running.use_two_edge_pods(RATE)
    begun = time.time()
    chance = random.Random(SEED)
    clip_over = QUIET_S * RATE + len(running.decisions().records)
    running.wait(lambda: len(running.decisions().records) > clip_over, "the whole clip in quiet times", 120)
    for side, (namespace, labels) in SIDES.items():
        start = time.time()
        told.killed[side] = kill_now_and_then(running, namespace, labels, chance)
        told.spans[side] = (start, time.time())
    everything_is_well(running)
    told.phase = running.service()["status"]["phase"]
    told.decisions = running.decisions().between(begun)
    return told


def kill_now_and_then(running: RunningSample, namespace: str, labels: str, chance: random.Random) -> int:
    """Kill one pod at random every EVERY_S, with no grace; return how many."""
    killed, started = 0, time.monotonic()
    due = started
    while due - started < CHAOS_S:
        running.wait(lambda at=due: time.monotonic() >= at, "the next kill", EVERY_S + 60)
        if labels == sample.EDGE_PODS:
            running.wait(lambda: len(those_that_answer(running)) > 1, "another edge pod to answer", STARTS_S)
            there = those_that_answer(running)
        else:
            there = pods(running.cluster.plane, namespace, labels)
        if there:
            victim = chance.choice(there)
            words = ("delete", "pod", victim.name, "-n", namespace, "--grace-period=0", "--force", "--wait=false")
            running.cluster.plane.kubectl(*words)
            killed += 1
        due = max(due + EVERY_S, time.monotonic())
    return killed


def those_that_answer(running: RunningSample) -> list[Pod]:
    """Return the edge pods that have answered a frame, of those that are not going."""
    writers = running.decisions().writers
    return [pod for pod in running.edge_pods() if writers[f"decisions-{pod.name}"]]


def everything_is_well(running: RunningSample) -> None:
    for deployment in (sample.CLOUD_DEPLOYMENT, sample.EDGE_DEPLOYMENT):
        running.wait(lambda name=deployment: running.is_available(name), f"{deployment} to be Available again", 120)
    running.wait(lambda: running.service()["status"]["phase"] == "Running", "the phase Running again", 90)
    seen = running.decisions().cloud_answers()
    running.wait(lambda: running.decisions().cloud_answers() > seen, "another answer of the cloud", 30)


def test_pods_of_every_side_were_killed(story):
    # At the edge each has to wait for the last one's successor.
    wanted = dict.fromkeys(SIDES, CHAOS_S // EVERY_S - 1) | {"edge": 2}
    assert all(story.killed[side] >= count for side, count in wanted.items()), story.killed


def test_no_frame_has_two_answers_and_every_fallback_has_a_cause(story):
    assert story.decisions.answered_twice() == []
    assert story.decisions.without_a_cause() == []


def test_no_answer_is_wrong(story):
    """A picture of the clip that the edge saw has the cloud's answer that it had in quieter times."""
    quiet = story.decisions.between(0, story.spans["cloud"][0])
    known = {(rounded(record.edge), rounded(record.cloud)) for record in quiet.records if record.cloud is not None}
    seen_by_edge = {rounded(record.edge) for record in quiet.records}
    later = story.decisions.between(story.spans["cloud"][0]).records
    assert len(later) > CHAOS_S
    assert [record.frame for record in later if rounded(record.edge) not in seen_by_edge] == []
    asked = [record for record in later if record.cloud is not None]
    assert [record.frame for record in asked if (rounded(record.edge), rounded(record.cloud)) not in known] == []


def rounded(boxes: list[list[float]] | None) -> tuple[tuple[int, ...], ...]:
    """Return the boxes in whole pixels, for comparison."""
    return tuple(tuple(round(value) for value in box) for box in boxes or ())


@pytest.mark.parametrize("side", SIDES)
def test_the_edge_is_never_silent_for_longer_than_five_seconds(story, side):
    start, end = story.spans[side]
    assert story.decisions.between(start, end).longest_gap_s() <= GAP_S


def test_all_is_well_after_it_without_anybodys_help(story):
    assert story.phase == "Running"
