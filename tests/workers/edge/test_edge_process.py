"""`python -m workers.edge` as a process: how it starts, refuses to start, serves and ends."""

from __future__ import annotations

import signal
import socket

import cv2
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sedna_py.decision_log import DecisionRecord
from sedna_py.decision_log import Path as AnswerPath
from sedna_py.metrics import names
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.programs import START_S, free_port, pictures, wait_log, wait_ready

pytestmark = pytest.mark.processes
DARK, BRIGHT = 20, 230
THRESHOLD = {"HEM_NAME": "Threshold", "HEM_PARAMETERS": '[{"key": "threshold", "value": "0.5"}]'}


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False)


@pytest.mark.parametrize("estimator", ["hooks.py:Brightness", "upstream.py:Estimator"])
def test_it_ends_with_status_0_at_the_end_of_its_source(programs, tmp_path, estimator):
    values = [DARK, BRIGHT, 100, 200, DARK] * 8
    log, folders = tmp_path / "d.jsonl", {name: tmp_path / name for name in ("all", "cloud", "edge")}
    edge = programs.edge(
        ESTIMATOR=f"{tmp_path}/{estimator}",
        video_url=pictures(tmp_path / "in", values),
        DECISIONS_FILE=log,
        ANNOTATED_VIDEO=tmp_path / "out.avi",
        all_examples_inference_output=folders["all"],
        hard_example_cloud_inference_output=folders["cloud"],
        hard_example_edge_inference_output=folders["edge"],
        **THRESHOLD,
    )
    assert edge.wait() == 0, edge.log
    records = sorted(log_of(log), key=lambda record: record.frame)
    assert [r.frame for r in records] == list(range(1, 41))
    assert [r.hard for r in records] == [value < 127 for value in values]
    assert [r.edge[0][4] for r in records] == pytest.approx([v / 255 for v in values], abs=1e-3)
    assert {r.cause for r in records} == {None, OffloadCause.NO_CLOUD}
    hard = {f"{r.frame}.jpeg" for r in records if r.hard}
    assert {path.name for path in folders["all"].iterdir()} == {f"{n}.jpeg" for n in range(1, 41)}
    assert {path.name for path in folders["edge"].iterdir()} == hard
    assert list(folders["cloud"].iterdir()) == []
    capture = cv2.VideoCapture(str(tmp_path / "out.avi"))
    shown = []
    while (frame := capture.read())[0]:
        shown.append(round(float(frame[1][50:80, 30:100].mean())))
    assert shown == pytest.approx(values, abs=4)
    assert "done: 40 frames, 24 of them hard" in edge.log
    assert "Traceback" not in edge.log


def test_hard_frames_are_answered_by_a_real_cloud(programs, tmp_path):
    port, log = free_port(), tmp_path / "d.jsonl"
    cloud = programs.cloud(port)
    wait_ready(cloud, port)
    edge = programs.edge(
        video_url=pictures(tmp_path / "in", [DARK, BRIGHT] * 30),
        BIG_MODEL_IP="127.0.0.1",
        BIG_MODEL_PORT=port,
        DECISIONS_FILE=log,
        OFFLOAD_WHEN_FULL="wait",
        OFFLOAD_DEADLINE_MS=20_000,
        **THRESHOLD,
    )
    assert edge.wait() == 0, edge.log
    records = sorted(log_of(log), key=lambda record: record.frame)
    assert [r.path for r in records] == [AnswerPath.CLOUD, AnswerPath.EDGE] * 30
    assert all(r.cloud[0][4] == pytest.approx(DARK / 255, abs=0.01) for r in records if r.hard)
    assert all(r.bytes_sent > 100 and r.latency_ms.cloud > 0 for r in records if r.hard)


def test_pods_are_asked_directly_and_an_end_in_mid_run_loses_nothing(programs, tmp_path):
    """Two replicas with one HTTP port and one folder; `localhost` stands for a headless Service, its address refuses."""
    cloud_port, port = free_port(), free_port()
    wait_ready(programs.cloud(cloud_port), cloud_port)
    edges = [
        programs.edge(
            WORKER_NAME=name,
            video_url=pictures(tmp_path / "in", [DARK, BRIGHT] * 10),
            SOURCE_REPEAT=0,
            SOURCE_PACE=100,
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=free_port(),
            BIG_MODEL_PODS=f"localhost:{cloud_port}",
            DECISIONS_FILE=tmp_path / "{worker}.jsonl",
            EDGE_HTTP_PORT=port,
            **THRESHOLD,
        )
        for name in ("edge-1", "edge-2")
    ]

    def answers(records: list[DecisionRecord]) -> bool:
        return sum(record.path is AnswerPath.CLOUD for record in records) > 20

    for edge, name in zip(edges, ("edge-1", "edge-2"), strict=True):
        wait_log(edge, tmp_path / f"{name}.jsonl", answers, "answers of the pod")
    got = samples(get(port, "/metrics").text)
    assert got[(names.EDGE_CLOUD_ROUTE, ("pods",))] == 1
    assert got[(names.EDGE_CLOUD_ATTEMPTS, ("ok", "pods"))] > 20
    for edge, name in zip(edges, ("edge-1", "edge-2"), strict=True):
        assert edge.terminate() == 0, edge.log
        numbers = sorted(record.frame for record in log_of(tmp_path / f"{name}.jsonl"))
        assert numbers == list(range(1, len(numbers) + 1))
    assert sum(f"EDGE_HTTP_PORT {port} is taken, serving on" in edge.log for edge in edges) == 1


def test_a_model_that_fails_on_a_frame_does_not_end_it(programs, tmp_path):
    log = tmp_path / "d.jsonl"
    edge = programs.edge(
        ESTIMATOR=f"{tmp_path}/upstream.py:Estimator",
        video_url=pictures(tmp_path / "in", [BRIGHT, 7, BRIGHT]),
        DECISIONS_FILE=log,
    )
    assert edge.wait() == 0, edge.log
    assert [r.path for r in sorted(log_of(log), key=lambda r: r.frame)] == ["edge", "fallback", "edge"]
    assert edge.log.count("the little model failed on frame 2") == 1


def test_the_counters_equal_the_decision_log(programs, tmp_path):
    """The last frame is held in the model, so that the worker can be asked when all others have left."""
    cloud_port, port, log = free_port(), free_port(), tmp_path / "d.jsonl"
    wait_ready(programs.cloud(cloud_port), cloud_port)
    count = 200
    edge = programs.edge(
        video_url=pictures(tmp_path / "in", [*[DARK, BRIGHT, DARK, 7] * (count // 4), 99]),
        ESTIMATOR=f"{tmp_path}/upstream.py:Estimator",
        TEST_GO_ON=tmp_path / "go_on",
        BIG_MODEL_IP="127.0.0.1",
        BIG_MODEL_PORT=cloud_port,
        OFFLOAD_IN_FLIGHT=1,
        OFFLOAD_WAITING=0,
        DECISIONS_FILE=log,
        EDGE_HTTP_PORT=port,
        **THRESHOLD,
    )
    records = wait_log(edge, log, lambda records: len(records) == count, "all frames but the last")
    expected = counters(records)

    def counted() -> bool:
        got = samples(get(port, "/metrics").text)
        return sum(got.get((names.EDGE_FRAMES, (path.value,)), 0) for path in AnswerPath) == count

    until(counted, "the last one to be counted, which is done after it was written")
    got = samples(get(port, "/metrics").text)
    assert {key: got.get(key, 0) for key in expected} == pytest.approx(expected)
    assert got[(names.EDGE_FRAMES_LOST, ("model_failed",))] == count // 4
    assert {OffloadCause.QUEUE_FULL, None} <= {r.cause for r in records if r.hard}
    (tmp_path / "go_on").touch()
    assert edge.wait() == 0, edge.log
    assert len(log_of(log)) == count + 1


def counters(records: list[DecisionRecord]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return what the metrics must say after these frames."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for path in AnswerPath:
        found[(names.EDGE_FRAMES, (path.value,))] = sum(r.path is path for r in records)
    for cause in OffloadCause:
        found[(names.EDGE_OFFLOAD_FAILURES, (cause.value,))] = sum(r.cause is cause for r in records)
    found[(names.EDGE_BYTES_SENT, ())] = sum(r.bytes_sent for r in records)
    for stage in ("wait", "edge", "encode", "cloud", "total"):
        times = [getattr(r.latency_ms, stage) for r in records if getattr(r.latency_ms, stage) is not None]
        found[(f"{names.EDGE_STAGE_SECONDS}_count", (stage,))] = len(times)
        found[(f"{names.EDGE_STAGE_SECONDS}_sum", (stage,))] = sum(times) / 1000
    return found


def test_while_the_model_is_loading_it_is_alive_but_not_ready(programs, tmp_path):
    port = free_port()
    edge = programs.edge(
        ESTIMATOR=f"{tmp_path}/upstream.py:Estimator",
        TEST_LOADED=tmp_path / "loaded",
        video_url=pictures(tmp_path / "in", [BRIGHT]),
        SOURCE_REPEAT=0,
        SOURCE_PACE=20,
        EDGE_HTTP_PORT=port,
    )

    def answer() -> httpx.Response | None:
        edge.running()
        try:
            return get(port, "/readyz")
        except httpx.TransportError:
            return None

    first = until(answer, "the port", START_S)
    assert (first.status_code, first.json()) == (
        503,
        {"detail": "the model is being loaded", "cause": "not_ready"},
    )
    assert get(port, "/healthz").status_code == 200
    assert samples(get(port, "/metrics").text)[(names.EDGE_FRAMES_WAITING, ())] == 0
    (tmp_path / "loaded").touch()
    wait_ready(edge, port)
    assert edge.terminate() == 0, edge.log


def test_sigterm_ends_it_with_status_0_and_every_frame_inside_written(programs, tmp_path):
    log, port = tmp_path / "d.jsonl", free_port()
    with socket.create_server(("127.0.0.1", port)):  # a cloud that takes requests and never answers
        edge = programs.edge(
            video_url=pictures(tmp_path / "in", [DARK, BRIGHT]),
            SOURCE_REPEAT=0,
            SOURCE_PACE=100,
            DECISIONS_FILE=log,
            BIG_MODEL_IP="127.0.0.1",
            BIG_MODEL_PORT=port,
            OFFLOAD_DEADLINE_MS=1500,
            **THRESHOLD,
        )
        wait_log(edge, log, lambda records: len(records) > 50, "some frames")
        assert edge.terminate() == 0, edge.log
    frames = sorted(record.frame for record in log_of(log))
    # Frames with the cloud had an older number than those written already: none of them may be missing.
    assert frames == list(range(1, len(frames) + 1))
    assert f"done: {len(frames)} frames" in edge.log
    assert "Traceback" not in edge.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_is_loading(programs, tmp_path, number):
    port = free_port()
    edge = programs.edge(
        ESTIMATOR=f"{tmp_path}/upstream.py:Estimator",
        TEST_LOADED=tmp_path / "loaded",
        video_url=pictures(tmp_path / "in", [BRIGHT]),
        SOURCE_REPEAT=0,
        EDGE_HTTP_PORT=port,
    )

    def listening() -> bool:
        edge.running()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listening, "the port", START_S)
    edge.process.send_signal(number)
    until(lambda: "shutting down" in get(port, "/readyz").text, "the signal to be heeded")
    (tmp_path / "loaded").touch()
    assert edge.wait() == 0, edge.log
    assert "done: 0 frames" in edge.log


def broken_settings(tmp_path):
    folder = str(pictures(tmp_path / "in", [BRIGHT]))
    (tmp_path / "text.mp4").write_text("no video\n" * 20)
    return {
        "no model": ({"MODEL_URL": ""}, "MODEL_URL is not set; write the path of the model file"),
        "bad value": ({"JPEG_QUALITY": "high"}, "JPEG_QUALITY is 'high'"),
        "filter": ({"HEM_NAME": "Nope"}, "unknown filter 'Nope'; write one of"),
        "parameter": (
            {"HEM_NAME": "Threshold", "HEM_PARAMETERS": '[{"key": "threshold", "value": "1.5"}]'},
            "threshold",
        ),
        "missing video": ({"video_url": f"{tmp_path}/none.mp4"}, "no video at"),
        "text as video": ({"video_url": f"{tmp_path}/text.mp4"}, "is not a video that OpenCV can read"),
        "camera": ({"video_url": "99,rtsp://admin:s3cret@h/x"}, "camera 99 cannot be opened"),
        "scheme": ({"video_url": "gopher://admin:s3cret@h/x"}, "gopher://***@h/x': unknown scheme 'gopher'"),
        "sink": ({"DECISIONS_FILE": "/dev/null/x"}, "DECISIONS_FILE is '/dev/null/x', which cannot be written"),
        "video sink": ({"ANNOTATED_VIDEO": "/dev/null/x.mp4"}, "ANNOTATED_VIDEO is '/dev/null/x.mp4', which cannot"),
        "cloud": ({"BIG_MODEL_IP": "http://cloud"}, "BIG_MODEL_IP is 'http://cloud'; write a host name"),
        "local controller": ({"LC_SERVER": "here"}, "LC_SERVER is 'here'; write http://host:port"),
        "model file": ({"MODEL_URL": "/no/model.xml"}, "no model at '/no/model.xml'"),
        "estimator": ({"ESTIMATOR": "/no/such.py:Thing"}, "no file '/no/such.py'"),
        "pods": (
            {"BIG_MODEL_IP": "cloud", "BIG_MODEL_PODS": "http://p"},
            "BIG_MODEL_PODS is 'http://p'; write the name",
        ),
        "placeholder": ({"DECISIONS_FILE": "/tmp/{pod}.jsonl"}, "unknown placeholder {pod}; write {worker} or none"),
    }, {"video_url": folder}


@pytest.mark.parametrize(
    "case",
    [
        "no model", "bad value", "filter", "parameter", "missing video", "text as video", "camera", "scheme", "sink",
        "video sink", "cloud", "local controller", "model file", "estimator", "pods", "placeholder",
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_status_1(programs, tmp_path, case):
    cases, good = broken_settings(tmp_path)
    wrong, message = cases[case]
    edge = programs.edge(**{**good, **wrong})
    assert edge.wait() == 1, edge.log
    ours = [line for line in edge.log.splitlines() if " edge-1 " in line]
    assert len(ours) == 1, edge.log
    assert " CRITICAL edge-1 " in ours[0]
    assert message in ours[0]
    assert "Traceback" not in edge.log
    assert "s3cret" not in edge.log


def test_a_corrupt_picture_ends_it_with_status_1_after_those_before_it(programs, tmp_path):
    log = tmp_path / "d.jsonl"
    (pictures(tmp_path / "in", [BRIGHT] * 5) / "00003.png").write_bytes(b"not a picture")
    edge = programs.edge(video_url=tmp_path / "in", DECISIONS_FILE=log)
    assert edge.wait() == 1
    assert sorted(record.frame for record in log_of(log)) == [1, 2, 3]
    assert "00003.png' is not a picture" in edge.log
    assert "Traceback" not in edge.log
