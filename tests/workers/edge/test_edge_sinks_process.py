"""A whole worker that publishes: its broker comes late, it is killed, it comes again, it is told to end."""

from __future__ import annotations

from contextlib import ExitStack, closing

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sedna_py.metrics import names
from tests.cluster.system import find_tool
from tests.workers.edge.fakes import log_of, until
from tests.workers.edge.mosquitto import PASSWORD, USER, Subscriber, brokers
from tests.workers.edge.programs import START_S, free_port, pictures
from tests.workers.edge.receiver import Receiver

pytestmark = pytest.mark.processes
STATUS = "sedna/default/edge/workers/edge-1/status"


def figures(port: int) -> dict[tuple[str, ...], float]:
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False).text
    except httpx.TransportError:
        return {}
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_worker_that_publishes(programs, tmp_path, started, tier_unavailable):
    if find_tool("mosquitto") is None:
        tier_unavailable("MQTT", "mosquitto is not installed: run `python -m tests.cluster packages` as root")
    port = free_port()
    with brokers(tmp_path) as make, closing(Receiver(lambda _: 200)) as receiver, ExitStack() as clients:
        broker = make()
        environment = {
            "video_url": pictures(tmp_path / "in", [20, 230]),
            "SOURCE_REPEAT": 0,
            "SOURCE_PACE": 50,
            "HEM_NAME": "Threshold",
            "HEM_PARAMETERS": '[{"key": "threshold", "value": "0.5"}]',
            "EDGE_HTTP_PORT": port,
            "MQTT_URL": f"mqtt://{USER}@127.0.0.1:{broker.port}",
            "MQTT_PASSWORD": PASSWORD,
            "MQTT_INTERVAL_MS": 0,
            "WEBHOOK_URL": receiver.url,
            "WEBHOOK_EVENTS": "hard",
            "WEBHOOK_BATCH": 20,
            "WEBHOOK_BATCH_MS": 100,
        }
        edge = programs.edge(**environment, DECISIONS_FILE=tmp_path / "1.jsonl")
        until(lambda: figures(port).get((names.EDGE_SINK_FAILURES, "unreachable", "mqtt")), "a try", START_S)
        assert figures(port)[names.EDGE_SINK_CONNECTED, "mqtt"] == 0
        broker.start()
        subscriber = clients.enter_context(closing(Subscriber(broker.port)))
        until(lambda: len(subscriber.of("/result")) > 20, "results")
        assert subscriber.last(STATUS) == b"online"
        assert subscriber.json_of("/result")[0]["counts"] == {"thing": 1}
        seen = figures(port)
        assert seen[names.EDGE_SINK_CONNECTED, "mqtt"] == 1
        assert seen[names.EDGE_SINK_SENT, "mqtt"] > 20
        assert seen[names.EDGE_SINK_SKIPPED, "webhook"] > 10
        edge.kill()
        until(lambda: subscriber.last(STATUS) == b"offline", "its last will")
        assert edge.log.count("cannot be reached") == 1
        assert PASSWORD not in edge.log
        assert "t0ken" not in edge.log

        edge = programs.edge(**environment, DECISIONS_FILE=tmp_path / "2.jsonl")
        until(lambda: subscriber.last(STATUS) == b"online", "its return", START_S)
        until(lambda: len(log_of(tmp_path / "2.jsonl")) > 20, "some frames")
        assert edge.terminate() == 0, edge.log
        until(lambda: subscriber.last(STATUS) == b"offline", "its end")
        records = log_of(tmp_path / "2.jsonl")
        run = records[0].run
        until(lambda: len(of_run(subscriber.json_of("/result"), run)) >= len(records), "the last result")
        posted = [one["data"] for body in receiver.bodies for one in body]
    assert sorted(of_run(subscriber.json_of("/result"), run)) == sorted(r.frame for r in records)
    assert sorted(of_run(posted, run)) == sorted(r.frame for r in records if r.hard)
    assert "Traceback" not in edge.log


def of_run(events, run):
    return [event["frame"] for event in events if event["run"] == run]
