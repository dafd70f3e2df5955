"""From settings to parts, each with its one-line error."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import pytest

from sedna_py.client.route import Route
from sedna_py.errors import EstimatorError, FilterError, SednaError, SettingsError
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.fakes import FakeSource, make_frame, make_result, picture, until
from workers.edge.frames import BufferPolicy
from workers.edge.parts import buffer_policy, build_offloader, load_filter, own_path, prepare_sinks, video_fps
from workers.edge.sinks.json_lines import JsonLinesSink
from workers.edge.sinks.upstream_folders import UpstreamFoldersSink
from workers.edge.sinks.video import VideoSink
from workers.settings import EdgeSettings


def settings(**environment: str) -> EdgeSettings:
    return EdgeSettings.from_environment({"MODEL_URL": "model.xml", "video_url": "clip.mp4", **environment})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("FRAME_STRIDE", "0", "1 for every frame"),
        ("SOURCE_PACE", "fast", "frames/s at which a file is played"),
        ("SOURCE_PACE", "inf", "frames/s at which a file is played"),
        ("BUFFER_FRAMES", "0", "1 to 1024"),
        ("BUFFER_POLICY", "drop", "auto (files wait"),
        ("MINING_MODE", "both", "inference-then-mining or mining-then-inference"),
        ("DISPLAY_THRESHOLD", "1.5", "a number from 0 to 1"),
        ("DISPLAY_THRESHOLD", "nan", "a number from 0 to 1"),
        ("BIG_MODEL_PORT", "70000", "a port from 1 to 65535"),
        ("OFFLOAD_DEADLINE_MS", "-1", "milliseconds until"),
        ("OFFLOAD_IN_FLIGHT", "0", "requests to the cloud at once"),
        ("OFFLOAD_WHEN_FULL", "never", "edge-answer"),
        ("JPEG_QUALITY", "101", "a JPEG quality"),
        ("EDGE_HTTP_PORT", "http", "a port for /healthz"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(name, value, wanted):
    with pytest.raises(SettingsError) as raised:
        settings(**{name: value})
    message = str(raised.value)
    assert message.lower().startswith(f"{name} is {value!r}:".lower())
    assert wanted in message
    assert "\n" not in message


def test_missing_variables_are_all_named():
    with pytest.raises(SettingsError, match=r"MODEL_URL is not set; write .*; video_url is not set; write"):
        EdgeSettings.from_environment({"SERVICE_NAME": "x"})


@pytest.mark.parametrize(
    ("environment", "error", "message"),
    [
        ({"HEM_NAME": "Nope"}, FilterError, "unknown filter 'Nope'; write one of"),
        (
            {"HEM_NAME": "Threshold", "HEM_PARAMETERS": '[{"key": "threshold", "value": "1.5"}]'},
            FilterError,
            "threshold",
        ),
        ({"HEM_MODULE": "no.such.module"}, EstimatorError, "cannot import 'no.such.module'"),
        ({"HEM_MODULE": "/no/filter.py"}, EstimatorError, "no file '/no/filter.py'"),
    ],
)
def test_filters_that_cannot_be_made(environment, error, message):
    with pytest.raises(error, match=message):
        load_filter(settings(**environment))


def test_filters_by_name_and_module(tmp_path):
    assert load_filter(settings()) is None
    assert load_filter(settings(HEM_NAME="CloudOnly"))(None).hard
    module = tmp_path / "mine.py"
    module.write_text(
        "from sedna_py import ClassFactory, ClassType\n"
        "@ClassFactory.register(ClassType.HEM, alias='EdgePartsTestFilter')\n"
        "class Mine:\n"
        "    def __init__(self, **kwargs): pass\n"
        "    def __call__(self, result=None): return True\n"
    )
    assert load_filter(settings(HEM_MODULE=str(module), HEM_NAME="EdgePartsTestFilter"))(None).hard


def test_a_filters_file_may_lie_beside_the_model(tmp_path):
    (tmp_path / "beside_the_model.py").write_text("raise SystemError('found')\n")
    with pytest.raises(EstimatorError, match="found"):
        load_filter(settings(HEM_MODULE="beside_the_model.py", MODEL_URL=str(tmp_path / "model.xml")))


@pytest.mark.parametrize(
    ("value", "live", "policy"),
    [
        ("", False, BufferPolicy.WAIT),
        ("", True, BufferPolicy.DROP_OLDEST),
        ("auto", True, BufferPolicy.DROP_OLDEST),
        ("wait", True, BufferPolicy.WAIT),
        ("drop-oldest", False, BufferPolicy.DROP_OLDEST),
    ],
)
def test_buffer_policy(value, live, policy):
    assert buffer_policy(settings(BUFFER_POLICY=value), FakeSource(live=live)) is policy


@pytest.mark.parametrize(
    ("environment", "fps", "live", "expected"),
    [
        ({}, 0.0, False, 0.0),
        ({}, 25.0, False, 25.0),
        ({"FRAME_STRIDE": "5"}, 25.0, False, 5.0),
        ({"SOURCE_PACE": "10"}, 25.0, False, 10.0),
        ({"SOURCE_PACE": "10", "FRAME_STRIDE": "2"}, 25.0, False, 5.0),
        ({"SOURCE_PACE": "10"}, 25.0, True, 25.0),  # a live source has its own pace
    ],
)
def test_how_fast_the_annotated_video_plays(environment, fps, live, expected):
    source = FakeSource(live=live)
    source.fps = fps
    assert video_fps(settings(**environment), source) == expected


def test_no_cloud_no_offloader():
    assert build_offloader(settings()) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_offloader_asks_the_address_of_the_settings(host):
    offloader = build_offloader(settings(BIG_MODEL_IP=host, BIG_MODEL_PORT="9"))
    answers = []
    try:
        offloader.submit(make_frame(), answers.append)
        until(lambda: answers, "an answer")
    finally:
        offloader.close()
    assert answers[0].cause is OffloadCause.CONNECT_FAILED
    assert answers[0].bytes_sent == 0


@pytest.mark.parametrize("host", ["a b", "http://cloud", "host/path", "[::1", "host:5000", "u@h"])
def test_a_cloud_address_that_cannot_be(host):
    with pytest.raises(SettingsError, match=r"^BIG_MODEL_IP is .*; write a host name or an IP address"):
        build_offloader(settings(BIG_MODEL_IP=host))


@pytest.mark.parametrize("value", ["a b", "http://pods:5000", "pods:none"])
def test_pods_that_cannot_be(value):
    with pytest.raises(
        SettingsError, match=r"^BIG_MODEL_PODS is .*; write the name of a headless Service as host:port"
    ):
        build_offloader(settings(BIG_MODEL_IP="cloud", BIG_MODEL_PODS=value))


def test_pods_without_an_address_behind_them():
    with pytest.raises(SettingsError, match=r"BIG_MODEL_PODS is set without BIG_MODEL_IP; write"):
        build_offloader(settings(BIG_MODEL_PODS="pods.ns:5000"))


def test_pods_are_looked_up_before_the_first_frame(monkeypatch):
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: asked.append((host, port)) or [])
    offloader = build_offloader(settings(BIG_MODEL_IP="127.0.0.1", BIG_MODEL_PODS="pods.ns"))
    try:
        until(lambda: asked, "a lookup")
        assert offloader.figures().route is Route.SERVICE
    finally:
        offloader.close()
    assert asked[0] == ("pods.ns", 5000)


@pytest.mark.parametrize(
    ("path", "worker", "expected"),
    [
        (None, "w", None),
        ("/data/d.jsonl", "", "/data/d.jsonl"),
        ("/data/{worker}.jsonl", "helmet-edge-7c9-x2", "/data/helmet-edge-7c9-x2.jsonl"),
        ("/{worker}/{worker}.avi", "a/../b", "/a_.._b/a_.._b.avi"),
    ],
)
def test_each_replica_may_have_a_path_of_its_own(path, worker, expected):
    assert own_path(path, "DECISIONS_FILE", worker) == expected


@pytest.mark.parametrize(
    ("path", "worker", "message"),
    [
        ("/d/{pod}.jsonl", "w", r"unknown placeholder \{pod\}; write \{worker\} or none"),
        ("/d/{}.jsonl", "w", r"unknown placeholder \{\}"),
        ("/d/{worker}.jsonl", "", r"WORKER_NAME is not set"),
    ],
)
@pytest.mark.parametrize("name", ["DECISIONS_FILE", "ANNOTATED_VIDEO", "all_examples_inference_output"])
def test_placeholders_that_cannot_be_filled(name, path, worker, message):
    with pytest.raises(SettingsError, match=f"^{name} is .*{message}"):
        prepare_sinks(settings(**{name: path, "WORKER_NAME": worker}), [FakeSource()])


def test_every_sink_that_is_set_is_made(tmp_path):
    made = prepare_sinks(
        settings(
            DECISIONS_FILE=str(tmp_path / "d.jsonl"),
            ANNOTATED_VIDEO=str(tmp_path / "v" / "out.avi"),
            all_examples_inference_output=str(tmp_path / "all"),
            hard_example_edge_inference_output=str(tmp_path / "edge"),
            DISPLAY_THRESHOLD="0.3",
        ),
        [FakeSource()],
    )
    sinks = [make(["helmet"]) for make in made]
    assert [sink.name for sink in sinks] == [JsonLinesSink.name, UpstreamFoldersSink.name, VideoSink.name]
    for sink in sinks:
        sink.write(make_result(1, shown=picture(1, (64, 64, 3))))
        sink.close()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert found == ["all/1.jpeg", "d.jsonl", "v/out.avi"]
    assert cv2.imread(str(tmp_path / "all" / "1.jpeg")) is not None


def test_nothing_set_nothing_made():
    assert prepare_sinks(settings(), [FakeSource()]) == []


@pytest.mark.parametrize(
    "name",
    [
        "DECISIONS_FILE",
        "ANNOTATED_VIDEO",
        "all_examples_inference_output",
        "hard_example_cloud_inference_output",
        "hard_example_edge_inference_output",
    ],
)
@pytest.mark.parametrize("place", ["/dev/null/below/out.mp4", "/proc/none/out.mp4"])
def test_a_path_that_cannot_be_written_is_named_with_its_variable(name, place):
    with pytest.raises(SettingsError, match=f"^{name} is '{place}', which cannot be written: .*; write a path"):
        prepare_sinks(settings(**{name: place}), [FakeSource()])


def test_a_full_disk_is_not_taken_for_a_missing_right(monkeypatch):
    def refuse(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("workers.edge.parts.JsonLinesSink", refuse)
    with pytest.raises(SettingsError) as raised:
        prepare_sinks(settings(DECISIONS_FILE="/out/d.jsonl"), [FakeSource()])
    assert str(raised.value) == (
        "DECISIONS_FILE is '/out/d.jsonl', which cannot be written: No space left on device; make room there"
    )


def test_a_video_of_another_kind():
    with pytest.raises(SednaError, match=r"ANNOTATED_VIDEO is 'out\.gif'; write a path that ends in \.mp4 or \.avi"):
        prepare_sinks(settings(ANNOTATED_VIDEO="out.gif"), [FakeSource()])
