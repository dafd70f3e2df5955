"""A real Prometheus reads real workers: the recorded signals are those of sedna_py.autoscaling, counters are the decision log."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import yaml

from sedna_py.autoscaling.exposition import parse_snapshot
from sedna_py.autoscaling.signals import service_s, signals
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.deploy.prometheus_rules import FOLDER, alerts, dashboard_queries, recorded, write_rules
from tests.deploy.prometheus_server import PrometheusServer, Series
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import Programs, free_port, wait_ready
from tests.workers.edge.test_edge_process import THRESHOLD

pytestmark = pytest.mark.processes

WINDOW_S = 8  # in place of a minute
FIELDS = {
    "offered": names.WORKER_OFFERED,
    "done": names.WORKER_DONE,
    "dropped": names.WORKER_DROPPED,
    "present_s": names.WORKER_PRESENT_SECONDS,
    "waiting_s": names.WORKER_WAITING_SECONDS,
    "busy_s": names.WORKER_BUSY_SECONDS,
    "streams": names.WORKER_STREAMS,
    "began": names.WORKER_BEGAN,
    "hard": names.WORKER_HARD,
    "backlog_age_s": names.WORKER_BACKLOG_AGE_SECONDS,
}
TOTALS = ("offered", "done", "dropped", "present_s", "waiting_s", "busy_s", "hard")
SLOW = """
import os
import time


class Estimator:
    def load(self, model_url=""):
        pass

    def predict(self, data, **kwargs):
        time.sleep(float(os.environ["TEST_WORK_S"]))
        return [[1.0, 1.0, 6.0, 6.0, float(data.mean()) / 255, 0]]
"""


def program(name: str, tier_unavailable) -> str:
    found = shutil.which(name)
    if found is None:
        tier_unavailable("Prometheus", f"{name} is not installed: run `python -m tests.cluster packages` as root")
    return found


@pytest.fixture
def promtool(tier_unavailable):
    path = program("promtool", tier_unavailable)

    def run(*arguments: object, cwd: Path) -> str:
        done = subprocess.run([path, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_promtool_finds_nothing_wrong(promtool, tmp_path: Path):
    paths = write_rules(tmp_path)
    for path, count in zip(paths, (len(recorded()), len(alerts())), strict=True):
        assert f"SUCCESS: {count} rules found" in promtool("check", "rules", "--lint-fatal", path, cwd=tmp_path)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(without_discovery({})), encoding="utf-8")
    assert "SUCCESS: 2 rule files found" in promtool("check", "config", "prometheus.yml", cwd=tmp_path)


def without_discovery(found: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """Return the plain configuration with what Kubernetes would find: Debian's Prometheus is built without asking it."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    for job in config["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs")
        pods = found.get(job["job_name"], [])
        job["static_configs"] = [{"targets": [f"pod{n}:1"], "labels": labels} for n, labels in enumerate(pods)]
    return dict(config)


def test_pods_become_targets_by_their_labels_and_annotations(promtool, tmp_path: Path):
    def pod(name: str, worker: str, **more: str) -> dict[str, str]:
        about = {
            "namespace": "shop",
            "pod_name": name,
            "pod_ip": "10.0.0.7",
            "pod_node_name": "n",
            "pod_phase": "Running",
            "pod_container_init": "false",
            "pod_label_jointinferenceservice_sedna_io_name": "faces",
            "pod_label_jointinferenceservice_sedna_io_worker_type": worker,
            **more,
        }
        return {f"__meta_kubernetes_{label}": value for label, value in about.items()}

    port = "pod_annotation_prometheus_io_port"
    pods = [
        pod("cloud", "cloud"),
        pod("moved", "cloud", **{port: "5001"}),
        pod("edge", "edge", **{port: "9200"}),
        pod("unseen", "edge"),
        pod("pending", "cloud", pod_phase="Pending"),
        pod("unwanted", "cloud", pod_annotation_prometheus_io_scrape="false"),
        pod("initialising", "cloud", pod_container_init="true"),
    ]
    config = without_discovery({"sedna-workers": pods})
    write_rules(tmp_path)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    said = promtool("check", "service-discovery", "prometheus.yml", "sedna-workers", "--timeout=3s", cwd=tmp_path)
    targets = [found["labels"] for found in json.loads(said) if found["labels"]]
    common = {"namespace": "shop", "ji": "faces", "node": "n", "job": "sedna-workers"}
    assert {target["pod"]: (target["__address__"], target["worker"]) for target in targets} == {
        "cloud": ("10.0.0.7:5000", "cloud"),
        "moved": ("10.0.0.7:5001", "cloud"),
        "edge": ("10.0.0.7:9200", "edge"),
    }
    assert all(common.items() <= target.items() for target in targets)


def test_alerts_fire_when_they_should(promtool, tmp_path: Path):
    """An edge that drops a tenth and doubts everything, a cloud that is away, a controller of which nobody leads."""
    about = 'namespace="shop", ji="faces"'
    series = {
        f'sedna_drop_fps{{{about}, worker="edge", pod="e"}}': "2x40",
        f'sedna_frames_per_second{{{about}, worker="edge", pod="e"}}': "20x40",
        f'sedna_backlog_age_seconds{{{about}, worker="edge", pod="e"}}': "3x40",
        f'sedna_drop_fps{{{about}, worker="cloud", pod="c"}}': "0x40",
        f'sedna_infer_fps{{{about}, worker="cloud", pod="c"}}': "5x40",
        f'sedna_worker_hard_total{{{about}, worker="edge", pod="e"}}': "0+60x40",
        f'sedna_worker_done_total{{{about}, worker="edge", pod="e"}}': "0+60x40",
        f'sedna_edge_offload_failures_total{{{about}, worker="edge", pod="e", cause="circuit_open"}}': "0+50x40",
        'sedna_controller_leader{pod="a"}': "0x40",
        'sedna_controller_services{pod="a", phase="Failed"}': "0x40",
        'up{job="sedna/sedna-workers", namespace="shop", pod="e"}': "1x40",
    }
    firing = {
        "SednaEdgeDropsFrames",
        "SednaBacklogIsOld",
        "SednaCloudDoesNotAnswer",
        "SednaMostFramesAreHard",
        "SednaNobodyLeads",
    }
    assert firing < set(alerts())
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": "count by (alertname) (ALERTS{alertstate='firing'})",
                        "eval_time": "39m",
                        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)],
                    }
                ],
            }
        ],
    }
    write_rules(tmp_path)
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test), encoding="utf-8")
    promtool("test", "rules", "test.yml", cwd=tmp_path)


class Camera:
    """Sends pictures to an edge worker, every second one dark, at about `fps`, until it is stopped."""

    def __init__(self, port: int, fps: float) -> None:
        self.taken = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, args=(port, fps))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)

    def _send(self, port: int, fps: float) -> None:
        bodies = [cv2.imencode(".png", np.full((48, 64, 3), value, np.uint8))[1].tobytes() for value in (20, 230)]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client:
            begun = time.monotonic()
            while not self._stop.wait(max(begun + self.taken / fps - time.monotonic(), 0)):  # what is late is caught up
                headers = {"Content-Type": "image/png"}
                answer = client.post("/frames", content=bodies[self.taken % 2], headers=headers)
                assert answer.status_code == 202, answer.text
                self.taken += 1


class Site:
    """An edge worker that gets more than it can do, a cloud worker, and who reads both."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        self.edge_port, self.cloud_port = free_port(), free_port()
        self.log = folder / "decisions.jsonl"
        self.programs = Programs(folder)
        (folder / "slow.py").write_text(SLOW)
        slow = {"ESTIMATOR": f"{folder}/slow.py:Estimator"}
        cloud = self.programs.cloud(self.cloud_port, TEST_WORK_S=0.03, **slow)
        edge = self.programs.edge(
            video_url="push://",
            EDGE_HTTP_PORT=self.edge_port,
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=self.cloud_port,
            DECISIONS_FILE=self.log,
            TEST_WORK_S=0.06,
            BUFFER_FRAMES=4,
            OFFLOAD_DEADLINE_MS=10_000,
            **slow,
            **THRESHOLD,
        )
        targets = {
            f"127.0.0.1:{port}": {"namespace": "shop", "ji": "faces", "worker": worker, "pod": f"faces-{worker}"}
            for port, worker in ((self.edge_port, "edge"), (self.cloud_port, "cloud"))
        }
        wait_ready(cloud, self.cloud_port)
        until(lambda: self._answers(edge), "the edge worker")
        self.prometheus = PrometheusServer(
            prometheus, folder / "prometheus", targets, write_rules(folder, f"{WINDOW_S}s")
        )
        try:
            camera = Camera(self.edge_port, fps=45)
            until(lambda: camera.taken > 150 or not camera._thread.is_alive(), "pictures to be sent")
            time.sleep(2 * WINDOW_S)  # every reading that is looked at is of a running load
            self.loaded_until = time.time()
            self.board = {query: self.prometheus.query(query) for query in dashboard_queries()}
            camera.stop()
            self.taken = camera.taken
            until(lambda: self.page(self.edge_port).offered == self.taken, "all pictures to be taken in")
            until(lambda: self._is_quiet(), "all frames to be done")
        except BaseException:
            self.end()
            raise

    def page(self, port: int) -> Snapshot:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=5).text
        return parse_snapshot(text, time.monotonic())

    def end(self) -> None:
        self.prometheus.stop()
        self.programs.end()

    def _answers(self, edge) -> bool:
        edge.running()
        try:
            return httpx.get(f"http://127.0.0.1:{self.edge_port}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _is_quiet(self) -> bool:
        now = self.page(self.edge_port)
        return now.offered == now.done + now.dropped and len(log_of(self.log)) == now.done


@pytest.fixture(scope="module")
def site(tmp_path_factory, tier_unavailable) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"), program("prometheus", tier_unavailable))
    yield made
    made.end()


def test_targets_are_up_and_the_dashboard_has_something_to_show(site: Site):
    until(lambda: [target["health"] for target in site.prometheus.targets()] == ["up", "up"], "both to be up")
    # No failure of an offload is no line of that panel.
    assert {query for query, found in site.board.items() if not found and "failures" not in query} == set()


@pytest.mark.parametrize("worker", ["edge", "cloud"])
def test_recorded_signals_are_those_of_the_same_counters(site: Site, worker: str):
    compared, recorded_so = 0, 0
    names_there = "|".join(recorded())
    for at in moments(site):
        pair = plain_pair(site, worker, at)
        if pair is None:
            continue
        compared += 1
        expected = signals(*pair)
        found = dict(value for name in recorded() for value in asked(site, name, worker, at))
        assert set(found) == set(expected)
        assert found == pytest.approx(expected, rel=1e-6)
        # A scrape that has just been made may have been stored after the rules were evaluated, so not always.
        kept = site.prometheus.query(f'{{__name__=~"{names_there}", worker="{worker}"}}', at)
        recorded_so += {one["metric"]["__name__"]: float(one["value"][1]) for one in kept} == pytest.approx(found)
    assert compared >= 1
    assert recorded_so >= 1


def test_the_expected_load_of_the_cloud_is_told_of_the_service(site: Site):
    compared = 0
    for at in moments(site):
        edge, cloud = plain_pair(site, "edge", at), plain_pair(site, "cloud", at)
        if edge is None or cloud is None:
            continue
        compared += 1
        hard = (edge[1].hard - edge[0].hard) / (edge[1].at - edge[0].at)
        expected = hard * service_s(*cloud) / cloud[1].streams
        [told] = site.prometheus.query(in_window(recorded()[names.SIGNAL_EXPECTED_CLOUD_LOAD]), at)
        assert told["metric"] == {"namespace": "shop", "ji": "faces"}
        assert float(told["value"][1]) == pytest.approx(expected, rel=1e-6)
        assert 0 < expected < 2
    assert compared >= 1
    assert site.prometheus.query(names.SIGNAL_EXPECTED_CLOUD_LOAD, moments(site)[-1])


def test_the_load_shows_as_it_is(site: Site):
    at = moments(site)[-1]
    found = {
        (one["metric"]["worker"], one["metric"]["__name__"]): float(one["value"][1])
        for one in site.prometheus.query(
            '{__name__=~"sedna_(demand|drop_fps|infer_fps|hard_share)|ei_scale_ratio"}', at
        )
    }
    assert found["edge", names.SIGNAL_DEMAND] > 1.2
    assert found["edge", names.SIGNAL_SCALE_RATIO] > 1.2
    assert found["edge", names.SIGNAL_DROP_FPS] > 3
    assert 0.3 < found["edge", names.SIGNAL_HARD_SHARE] < 0.7
    assert 0.1 < found["cloud", names.SIGNAL_DEMAND] < 1
    assert found["cloud", names.SIGNAL_SCALE_RATIO] == 1


def test_counters_and_the_decision_log_agree_exactly(site: Site):
    records = log_of(site.log)
    edge, cloud = site.page(site.edge_port), site.page(site.cloud_port)
    assert edge.offered == site.taken
    assert edge.done == len(records)
    assert edge.dropped == site.taken - len(records) > 0
    assert edge.hard == sum(record.hard and record.cause is not OffloadCause.NEAR_DUPLICATE for record in records)
    assert edge.latency[-1] == sum(record.edge is not None for record in records)
    assert cloud.done == sum(record.cloud is not None for record in records) > 0

    def stored() -> bool:
        last = read(site.prometheus.query('{__name__=~"sedna_worker_.+", worker="edge"}[3s]'), -1)
        return (last.offered, last.done, last.dropped, last.hard) == (edge.offered, edge.done, edge.dropped, edge.hard)

    until(stored, "the last counters to be scraped")


def moments(site: Site) -> list[float]:
    """Return when the rules were evaluated, during the last seconds of the load."""
    ended = site.loaded_until
    [concurrency] = site.prometheus.query(f'{names.SIGNAL_CONCURRENCY}{{worker="edge"}}[{WINDOW_S}s]', ended)
    return [float(moment) for moment, _ in concurrency["values"]]


def asked(site: Site, name: str, worker: str, at: float) -> list[tuple[str, float]]:
    """Return what a rule's expression is of that worker, evaluated for that time by now: nothing where it has no value."""
    found = site.prometheus.query(in_window(recorded()[name]), at)
    return [(name, float(one["value"][1])) for one in found if one["metric"].get("worker") == worker]


def in_window(expression: str) -> str:
    return expression.replace("[1m]", f"[{WINDOW_S}s]")


def plain_pair(site: Site, worker: str, at: float) -> tuple[Snapshot, Snapshot] | None:
    """Return the first and the last scrape of the window that ends then, None where one is missing at its ends.

    Prometheus takes what was counted between the two on to the ends of the window, at the same rate; but where a counter would
    have been below zero at the beginning only as far as to zero. The second reading has that much less of such a counter.
    """
    raw = site.prometheus.query(f'{{__name__=~"sedna_worker_.+", worker="{worker}"}}[{WINDOW_S}s]', at)
    first, last = read(raw, 0), read(raw, -1)
    usual = 1.1 * (last.at - first.at) / (len(raw[0]["values"]) - 1)
    before_s = first.at - (at - WINDOW_S)
    if before_s >= usual or at - last.at >= usual:
        return None

    def counted(before: float, now: float) -> float:
        gained, span_s = now - before, last.at - first.at
        if not gained:
            return now
        missing_s = max(before_s - span_s * before / gained, 0.0)
        return before + gained * (WINDOW_S - missing_s) / WINDOW_S

    totals = {
        name: counted(getattr(first, name), getattr(last, name)) for name in TOTALS if getattr(last, name) is not None
    }
    latency = tuple(counted(*pair) for pair in zip(first.latency, last.latency, strict=True))
    return first, replace(last, latency=latency, **totals)


def read(raw: list[Series], place: int) -> Snapshot:
    """Return what Prometheus has stored, of one scrape, as a reading."""
    alone: dict[str, list[object]] = {}
    buckets: dict[float, float] = {}
    for one in raw:
        value = one["values"][place]
        if one["metric"]["__name__"] == f"{names.WORKER_LATENCY_SECONDS}_bucket":
            bound = one["metric"]["le"]
            buckets[math.inf if bound == "+Inf" else float(bound)] = float(value[1])
        else:
            alone[one["metric"]["__name__"]] = value
    values = {field: float(alone[name][1]) for field, name in FIELDS.items() if name in alone}
    latency = tuple(buckets[bound] for bound in sorted(buckets))
    return Snapshot(at=float(alone[names.WORKER_DONE][0]), latency=latency, **values)
