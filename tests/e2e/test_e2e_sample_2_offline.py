"""The edge is cut off in the middle of a run: acceptance point 3 of the issue.

SEDNA_E2E_CUT_SECONDS sets for how long; CI has a shorter one than the issue's 180 s, long enough for the node to be NotReady.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import pytest

from tests.e2e.decisions import Decisions
from tests.e2e.running_sample import RunningSample

pytestmark = pytest.mark.timeout(900)

CUT_S = float(os.environ.get("SEDNA_E2E_CUT_SECONDS", "60"))
BEFORE_S = 20.0
RATE = 10.0
NOT_READY_S = 70.0  # the node monitor's 40 s of grace, and what it takes to say so
RIGHT_AGAIN_S = 60.0
CLOUD_AGAIN_S = 10.0
SAME = 0.05


@dataclass
class Story:
    """What was seen. Times are seconds since the epoch."""

    cut: float = 0.0
    restoring: float = 0.0  # until then there was surely no link
    back: float = 0.0  # from then on there surely was one
    said_offline: dict[str, str] = field(default_factory=dict)
    phase_offline: str = ""
    running_offline: str = ""
    said_after: dict[str, str] = field(default_factory=dict)
    phase_after: str = ""
    pods_before: dict[str, int] = field(default_factory=dict)  # restarts by name
    pods_after: dict[str, int] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=Decisions)


@pytest.fixture(scope="module")
def story(sample_on_cluster: RunningSample) -> Story:
    """Live through it once."""
    running, told = sample_on_cluster, Story()
    running.serve()
    running.use_two_edge_pods(RATE)
    settled = len(running.decisions().records)
    running.wait(lambda: len(running.decisions().records) > settled + BEFORE_S * RATE, "frames before the cut", 120)
    told.pods_before = restarts(running)
    live_through_the_cut(running, told)
    running.wait(lambda: answered_by_cloud_since(running, told.restoring), "the cloud to answer again", 60)
    running.wait(lambda: running.condition("EdgeReady").get("status") == "True", "EdgeReady again", RIGHT_AGAIN_S)
    running.wait(lambda: running.service()["status"]["phase"] == "Running", "the phase Running again", RIGHT_AGAIN_S)
    told.said_after, told.phase_after = running.condition("EdgeReady"), running.service()["status"]["phase"]
    told.pods_after = restarts(running)
    told.decisions = running.decisions_without_those_under_way()
    return told


def live_through_the_cut(running: RunningSample, told: Story) -> None:
    # A Deployment that is cut off cannot be scaled: the number of its pods stays as it is until the end.
    told.cut = time.time()
    running.cluster.cut_link()
    try:
        running.wait(
            lambda: "offline" in running.condition("EdgeReady").get("message", ""), "the node named", NOT_READY_S
        )
        told.said_offline = running.condition("EdgeReady")
        told.phase_offline = running.service()["status"]["phase"]
        told.running_offline = running.condition("Running").get("status", "")
        running.wait(lambda: time.time() - told.cut >= CUT_S, "the end of the cut", CUT_S)
    finally:
        told.restoring = time.time()
        running.cluster.restore_link()
        told.back = time.time()


def answered_by_cloud_since(running: RunningSample, moment: float) -> bool:
    return running.decisions().between(moment).cloud_answers() > 0


def restarts(running: RunningSample) -> dict[str, int]:
    return {pod.name: pod.restarts for pod in running.edge_pods()}


def frames_per_second(story: Story, start: float, end: float) -> float:
    return len(story.decisions.between(start, end).records) / (end - start)


def test_the_edge_goes_on_at_the_rate_of_its_camera(story):
    assert frames_per_second(story, story.cut + 1, story.back) == pytest.approx(RATE, rel=SAME)


def test_every_frame_of_the_time_offline_has_an_answer_with_a_cause(story):
    assert story.decisions.answered_twice() == []
    assert story.decisions.unanswered() == []
    assert story.decisions.without_a_cause() == []
    offline = story.decisions.between(story.cut + 5, story.restoring)
    assert offline.cloud_answers() == 0
    assert sum(offline.causes().values()) > 0


def test_the_cloud_answers_again_within_ten_seconds_of_the_link(story):
    after = story.decisions.between(story.restoring)
    first = min(record.emitted for record in after.records if record.cloud is not None)
    assert first - story.back < CLOUD_AGAIN_S


def test_the_status_names_the_node_while_it_is_away_and_nothing_is_called_failed(story):
    assert story.said_offline["status"] == "Unknown"
    assert "edge offline since" in story.said_offline["message"]
    assert "edge1" in story.said_offline["message"]
    assert story.phase_offline == "Degraded"
    assert story.running_offline == "True"


def test_the_status_is_right_again_after_it(story):
    assert story.said_after["status"] == "True"
    assert "offline" not in story.said_after["message"]
    assert story.phase_after == "Running"


def test_the_edge_pods_are_the_same_and_were_never_restarted(story):
    assert story.pods_after == story.pods_before
