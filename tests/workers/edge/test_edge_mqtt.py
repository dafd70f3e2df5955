"""The MQTT sink against a real mosquitto: what arrives, what stays, and an exact account whatever happens to the broker."""

from __future__ import annotations

import json
import threading

import cv2
import numpy as np
import pytest

from sedna_py.decision_log import Emit
from sedna_py.hard_example_mining import Decision
from sedna_py.protocol.causes import OffloadCause
from tests.cluster.system import find_tool
from tests.workers.edge.fakes import until
from tests.workers.edge.mosquitto import PASSWORD, USER, Subscriber, brokers
from tests.workers.edge.sink_fakes import CAR, LABELS, PERSON, answer, balanced, settings
from workers.edge.decision import CloudAnswer
from workers.edge.sinks import mqtt_broker, outbox
from workers.edge.sinks.remote import prepare_remote_sinks

HARD = Decision(True, "hard", 0.1)
BASE = "plant/factory/helmets"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Reconnects within the time of a test."""
    monkeypatch.setattr(mqtt_broker, "RETRY_S", (0.05, 0.2))
    monkeypatch.setattr(outbox, "FLUSH_S", 1.0)


@pytest.fixture
def make_broker(tmp_path, tier_unavailable, started):
    if find_tool("mosquitto") is None:
        tier_unavailable("MQTT", "mosquitto is not installed: run `python -m tests.cluster packages` as root")
    with brokers(tmp_path) as make:
        yield make


@pytest.fixture
def broker(make_broker):
    made = make_broker()
    made.start()
    return made


@pytest.fixture
def subscriber(broker):
    made = Subscriber(broker.port)
    yield made
    made.close()


@pytest.fixture
def make_sink(no_thread_is_left):
    """Make sinks that are closed with the test."""
    made = []

    def make(port: int, *, password: str = PASSWORD, scheme: str = "mqtt", **environment: object):
        url = f"{scheme}://{USER}@127.0.0.1:{port}/plant"
        given = settings(**{"MQTT_URL": url, "MQTT_PASSWORD": password, "MQTT_INTERVAL_MS": 0, **environment})
        [factory] = prepare_remote_sinks(given)
        made.append(factory(LABELS))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


def frames(messages):
    return [json.loads(message.payload)["frame"] for message in messages]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_results_arrive_and_what_describes_them_stays(broker, subscriber, make_sink, protocol):
    sink = make_sink(broker.port, MQTT_PROTOCOL=protocol)
    asked = CloudAnswer([PERSON, CAR], None)
    sink.write(answer(1))
    sink.write(answer(2, decision=HARD, answer=asked, source="yard/1"))
    sink.write(answer(3, emit=Emit.FIRST, decision=HARD))
    sink.write(answer(3, emit=Emit.CORRECTION, decision=HARD, answer=CloudAnswer(None, OffloadCause.CONNECT_FAILED)))
    sink.write(answer(1, emit=Emit.LATE, decision=HARD, answer=asked))
    until(lambda: len(subscriber.of("/correction")) == 2, "the last one")
    cam = subscriber.json_of("/cam/result")
    assert [(one["frame"], one["emit"], one["objects"], one["hard_share"]) for one in cam] == [
        (1, "final", 1, 0.0),
        (3, "first", 1, 0.5),
    ]
    assert [(one["frame"], one["emit"], one["cloud_online"]) for one in subscriber.json_of("/cam/correction")] == [
        (3, "correction", False),
        (1, "late", True),
    ]
    [yard] = [message for message in subscriber.of("/result") if "/yard_1-" in message.topic]
    assert json.loads(yard.payload)["counts"] == {"person": 1, "car": 1}
    assert not any(message.retain for message in subscriber.of("/result"))

    # Whoever comes later finds the status, the description and the devices, and no result.
    late = Subscriber(broker.port, "late")
    until(lambda: len(late.of("/config")) == 2 and late.of("/status") and late.of("/description"), "what is retained")
    assert late.last("/workers/edge-1/status") == b"online"
    [told] = late.json_of("/workers/edge-1/description")
    assert told["model"] == "helmets.xml"
    assert told["labels"] == LABELS
    assert told["sources"]["cam"] == f"{BASE}/cam/result"
    assert {config["state_topic"] for config in late.json_of("/config")} == set(told["sources"].values())
    assert all(
        message.topic.startswith("homeassistant/device/sedna_factory_helmets_") for message in late.of("/config")
    )
    assert late.of("/result") == []

    sink.close()
    figures = balanced(sink.figures())
    assert (figures.sent, figures.lost, figures.failures) == (5, {}, {})
    until(lambda: late.last("/status") == b"offline", "its end")
    until(lambda: late.last("/description") == b"", "the description to be taken back")
    late.close()


def test_the_broker_may_come_later_and_names_no_discovery_where_that_is_off(make_broker, make_sink):
    broker = make_broker()
    sink = make_sink(broker.port, MQTT_DISCOVERY_PREFIX="off", MQTT_QUEUE=5)
    for number in range(1, 21):
        sink.write(answer(number))
    until(lambda: sink.figures().failures.get("unreachable", 0) >= 2, "two tries")
    assert sink.figures().connected is False
    broker.start()
    until(lambda: sink.figures().waiting == 0, "the results to be sent")
    figures = balanced(sink.figures())
    assert figures.connected
    assert figures.put == 20
    assert figures.sent in (5, 6)  # the one that the courier holds is in no queue
    late = Subscriber(broker.port)
    until(lambda: late.last("/status") == b"online", "the status")
    until(lambda: late.of("/description"), "the description")
    assert late.of("/config") == []
    late.close()


def test_a_broker_that_is_restarted_under_way_costs_what_is_counted_and_nothing_else(broker, subscriber, make_sink):
    sink, go_on = make_sink(broker.port, MQTT_QUEUE=40), threading.Event()
    written = [0]

    def write() -> None:
        while not go_on.wait(0.001) or written[0] < 300:
            written[0] += 1
            sink.write(answer(written[0]))

    writing = threading.Thread(target=write)
    writing.start()
    until(lambda: len(subscriber.of("/result")) > 50, "some results")
    broker.stop()
    until(lambda: sink.figures().lost.get("queue_full", 0) > 100, "the queue to be full")
    broker.start()
    before = len(subscriber.of("/result"))
    until(lambda: len(subscriber.of("/result")) > before + 100, "results after it")
    go_on.set()
    writing.join(10)
    sink.close()
    figures = balanced(sink.figures())
    assert figures.put == written[0]
    assert set(figures.lost) == {"queue_full"}
    assert figures.failures["connection_lost"] == 1
    until(lambda: len(set(frames(subscriber.of("/result")))) >= figures.sent, "all that was confirmed")
    assert len(set(frames(subscriber.of("/result")))) == figures.sent


def test_a_wrong_password_is_said_once_and_tried_again(broker, make_sink, caplog):
    caplog.set_level("INFO")
    sink = make_sink(broker.port, password="wr0ng/pass")
    sink.write(answer(1))
    until(lambda: sink.figures().failures.get("login_refused", 0) >= 3, "three tries")
    assert balanced(sink.figures()).waiting == 1
    assert caplog.text.count("refuses the login") == 1
    assert f"mqtt://127.0.0.1:{broker.port} refuses the login: " in caplog.text
    assert "correct the user in MQTT_URL and MQTT_PASSWORD" in caplog.text
    broker.allow(USER, "wr0ng/pass")
    broker.reload()
    until(lambda: sink.figures().sent == 1, "the result")
    assert "sink mqtt: connected to" in caplog.text
    assert "wr0ng" not in caplog.text
    broker.allow(USER, PASSWORD)


def test_what_the_broker_does_not_take_is_counted_as_rejected(make_broker, make_sink, caplog):
    broker = make_broker()
    broker.permit(f"user {USER}\ntopic readwrite plant/+/+/workers/#\n")
    broker.start()
    sink = make_sink(broker.port)
    for number in (1, 2, 3):
        sink.write(answer(number))
    until(lambda: sink.figures().waiting == 0, "an answer to each")
    assert balanced(sink.figures()).lost == {"rejected": 3}
    assert caplog.text.count("does not take a message: Not authorized; let this user write below the prefix") == 1


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # paho's, after a failed handshake
def test_tls_with_an_authority_of_ones_own(broker, subscriber, make_sink, make_broker, caplog):
    authority = broker.authority.pair.certificate
    sink = make_sink(broker.tls_port, scheme="mqtts", MQTT_CA_FILE=authority)
    sink.write(answer(1))
    until(lambda: subscriber.of("/result"), "the result")
    stranger = make_sink(broker.tls_port, scheme="mqtts", MQTT_CA_FILE=make_broker().authority.pair.certificate)
    until(lambda: stranger.figures().failures.get("tls_failed"), "a refusal of its certificate")
    assert f"mqtts://127.0.0.1:{broker.tls_port} cannot be reached: " in caplog.text
    assert "certificate verify failed" in caplog.text


def test_a_snapshot_goes_before_its_result(broker, subscriber, make_sink):
    sink = make_sink(broker.port, MQTT_SNAPSHOT="true")
    sink.write(answer(1, shown=np.zeros((900, 1600, 3), np.uint8), edge=[[160, 90, 1440, 810, 0.9, 1]]))
    until(lambda: subscriber.of("/result"), "the result")
    order = [message.topic.rpartition("/")[2] for message in subscriber.messages]
    assert order.index("snapshot") < order.index("result")
    [snapshot] = subscriber.of("/cam/snapshot")
    shown = cv2.imdecode(np.frombuffer(snapshot.payload, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (360, 640, 3)
    assert int(shown[180, 64].max()) > 60  # the box's left side
    assert not snapshot.retain
    assert "snapshot" in subscriber.json_of("/config")[0]["components"]


def test_many_are_skipped_and_say_so(broker, subscriber, make_sink):
    sink = make_sink(broker.port, MQTT_INTERVAL_MS=60_000)
    for number in range(1, 101):
        sink.write(answer(number))
    until(lambda: subscriber.of("/result"), "the first one")
    figures = balanced(sink.figures())
    assert (figures.put, figures.skipped) == (1, 99)


def test_closing_takes_its_time_and_no_longer(make_broker, make_sink):
    sink = make_sink(make_broker().port)
    for number in range(1, 8):
        sink.write(answer(number))
    sink.close()
    assert balanced(sink.figures()).lost == {"shutdown": 7}
