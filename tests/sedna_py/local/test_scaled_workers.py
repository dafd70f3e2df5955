"""Which workers `sedna run` scales; and an edge worker whose processes divide its frames, with real workers."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sedna_py.api.child_names import Role
from sedna_py.cli import run_scaled
from sedna_py.decision_log import closing, read_records
from sedna_py.local.edge_sharing import readable, sharing, why_one
from sedna_py.local.manifests import load_manifests
from sedna_py.local.ports import free_port
from sedna_py.local.scaled_workers import scaled
from sedna_py.local.supervisor import LocalService
from sedna_py.local.worker_plan import LocalOptions, WorkerPlan, plan_workers
from tests.model_documents import LITTLE_AND_BIG
from tests.workers.edge.fakes import log_of
from tests.workers.edge.programs import pictures

FRAMES = 500
SERVICE = """
apiVersion: sedna.io/v1alpha1
kind: JointInferenceService
metadata:
  name: divided
  namespace: default
  annotations: {{autoscaling.knative.dev/window: 6s}}
spec:
  edgeWorker:
    model: {{name: little}}
    hardExampleMining: {{name: IBT, parameters: [{{key: threshold_box, value: "0.5"}}]}}
    template: {{spec: {{containers: [{{name: little, image: any, env: [
      {{name: ESTIMATOR, value: "model.py:Model"}}, {{name: SECONDS, value: "0.05"}}]}}]}}}}
    {edge}
  cloudWorker:
    model: {{name: big}}
    template: {{spec: {{containers: [{{name: big, image: any, env: [
      {{name: ESTIMATOR, value: "model.py:Model"}}, {{name: SECONDS, value: "0.001"}}]}}]}}}}
    {cloud}
"""
MODEL = """
import os, time

class Model:
    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        time.sleep(float(os.environ["SECONDS"]))
        return [[1, 1, 9, 9, 0.2 if data.mean() > 127 else 0.9, 0]]
"""
HPA = "hpa: {maxReplicas: 2, scaleMetric: demand, scaleTarget: 0.8}"
WARNED = "hpa: {maxReplicas: 2, scaleMetric: demand, earlyWarning: 0.7}"


class Said(list[str]):
    def __call__(self, who: str, line: str) -> None:
        self.append(f"{who}: {line}")


def plans_of(folder: Path, edge: str, cloud: str, **variables: str) -> tuple[Any, dict[Role, WorkerPlan]]:
    (folder / "model.py").write_text(MODEL)
    (folder / "service.yaml").write_text(LITTLE_AND_BIG + SERVICE.format(edge=edge, cloud=cloud))
    manifests = load_manifests([folder / "service.yaml"])
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder / "tmp")}
    options = LocalOptions(folder, free_port(), folder, inherited, {Role.EDGE: variables})
    return manifests.services[0], plan_workers(
        manifests.services[0], manifests.models_for(manifests.services[0]), options
    )


@pytest.mark.parametrize(
    ("edge", "cloud", "new"),
    [
        ("", "", set()),
        ("", HPA, {"BIG_MODEL_PODS"}),
        (HPA, "", {"SHARED_DIR", "EDGE_HTTP_PORT"}),
        (HPA, HPA, {"BIG_MODEL_PODS", "SHARED_DIR", "EDGE_HTTP_PORT"}),
        ("", WARNED, {"BIG_MODEL_PODS", "EDGE_HTTP_PORT"}),
    ],
)
def test_the_edge_is_told_what_scaling_needs(tmp_path: Path, edge: str, cloud: str, new: set[str]) -> None:
    service, plans = plans_of(tmp_path, edge, cloud, video_url="/clip.mp4")
    changed, scaling = scaled(service, plans, tmp_path, Said())
    assert changed[Role.EDGE].environment.keys() - plans[Role.EDGE].environment.keys() == new
    assert changed[Role.CLOUD] == plans[Role.CLOUD]
    assert (scaling is not None) == bool(edge or cloud)


def test_an_edge_that_cannot_be_divided_stays_one_process_and_says_why(tmp_path: Path) -> None:
    service, plans = plans_of(tmp_path, HPA, "", video_url="push://")
    said = Said()
    assert scaled(service, plans, tmp_path, said) == (plans, None)
    assert said == ["edge: it stays one process: pictures that are sent to it (push://) come to one process"]


OFF = {"sedna.io/shared-streams": "disabled"}


@pytest.mark.parametrize(
    ("variables", "annotations", "reason"),
    [
        ({"video_url": "/clip.mp4"}, None, None),
        ({"video_url": "a=rtsp://x/1, b=push://gate"}, {}, "come to one process"),
        ({"video_url": '["rtsp://x/1", ""]'}, {}, "is empty"),
        ({"ANNOTATED_VIDEO": "/out.mp4"}, {}, "is one file"),
        ({"ANNOTATED_VIDEO": "/out-{worker}.mp4"}, {}, None),
        ({"SHARED_DIR": ""}, {}, "would not share"),
        ({}, OFF, "would not share"),
        ({"SHARED_DIR": "/shared"}, OFF, None),
        ({"SHARED_DIR": "", "FRAME_QUEUE": "redis://x"}, OFF, None),
    ],
)
def test_why_an_edge_worker_is_one_process(
    variables: dict[str, str], annotations: dict[str, str] | None, reason: str | None
) -> None:
    plan = WorkerPlan(Role.EDGE, ("python",), variables, Path("/"))
    found = why_one(plan, annotations, lambda _: False)
    assert (found is None) == (reason is None)
    assert (reason or "") in (found or "")


def test_what_the_service_says_itself_stays(tmp_path: Path) -> None:
    own = WorkerPlan(Role.EDGE, ("python",), {"SHARED_DIR": "/mine", "EDGE_HTTP_PORT": "8080"}, tmp_path)
    assert sharing(readable(own), tmp_path) == own
    unset = WorkerPlan(Role.EDGE, ("python",), {"EDGE_HTTP_PORT": "0"}, tmp_path)
    assert readable(unset, lambda: 4711).environment["EDGE_HTTP_PORT"] == "4711"
    queue = WorkerPlan(Role.EDGE, ("python",), {"FRAME_QUEUE": "redis://x"}, tmp_path)
    assert "SHARED_DIR" not in sharing(queue, tmp_path).environment


@pytest.mark.processes
def test_two_edge_processes_divide_the_frames_and_all_are_gone_afterwards(tmp_path: Path, started: Any) -> None:
    """A model of 50 ms that never gets to rest; every second frame is hard. Each frame is answered once, by one of them."""
    pictures(tmp_path / "clip", [0, 255] * (FRAMES // 2))
    log = tmp_path / "{worker}.decisions.jsonl"
    service, plans = plans_of(tmp_path, HPA, "", video_url=str(tmp_path / "clip"), DECISIONS_FILE=str(log))
    said = Said()
    changed, scaling = scaled(service, plans, tmp_path, said, sync_s=1.0)
    assert scaling is not None
    local = LocalService(changed, said, end_others=lambda: scaling.end(Role.EDGE))

    asyncio.run(asyncio.wait_for(run_scaled(local, scaling), 100))

    by_worker = [closing(log_of(path)) for path in tmp_path.glob("*.decisions.jsonl")]
    records = [record for one in by_worker for record in one]
    assert sorted(record.frame for record in records) == list(range(1, FRAMES + 1))
    assert len({record.run for record in records}) == 1
    assert "edge: 1 -> 2 replicas: a metric is above its target" in said
    shares = [
        int(line.split("done: ")[1].split()[0]) for line in said if line.startswith("edge: ") and "done: " in line
    ]
    assert len(shares) == 2
    assert sum(shares) == FRAMES
    assert len(by_worker) == 2
    # They divide what came since the second one was there, however long its start took.
    begun = max(min(record.frame for record in one) for one in by_worker)
    since = [sum(record.frame >= begun for record in one) for one in by_worker]
    assert min(since) > sum(since) / 4
    assert started.are_gone()


@pytest.mark.processes
def test_stopped_in_the_middle_both_edge_processes_end_before_the_cloud(tmp_path: Path, started: Any) -> None:
    """Neither goes on reading what the other one has left, and what they had is answered."""
    pictures(tmp_path / "clip", [255] * 40)
    log = tmp_path / "decisions.jsonl"
    variables = {"video_url": str(tmp_path / "clip"), "DECISIONS_FILE": str(log), "SOURCE_REPEAT": "0"}
    variables["OFFLOAD_DEADLINE_MS"] = "30000"  # no frame is late because the machine is busy
    service, plans = plans_of(tmp_path, HPA, "", **variables)
    said = Said()
    changed, scaling = scaled(service, plans, tmp_path, said, sync_s=1.0)
    assert scaling is not None
    local = LocalService(changed, said, end_others=lambda: scaling.end(Role.EDGE))

    async def body() -> None:
        running = asyncio.create_task(run_scaled(local, scaling))
        async with asyncio.timeout(60):
            while len([line for line in said if "processing clip" in line]) != 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(body(), 100))
    records = list(read_records(log.read_text().splitlines(keepends=True)))
    assert len({record.frame for record in records}) == len(records) > 0
    assert len([line for line in said if line.startswith("edge: ") and "done: " in line]) == 2
    assert {record.cause for record in records} <= {None, "shutdown", "queue_full"}
    assert started.are_gone()
