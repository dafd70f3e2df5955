"""What MQTT subscribers get, and under which names: no broker is needed for that."""

from __future__ import annotations

import json
import re

import pytest

from sedna_py.decision_log import Emit
from sedna_py.errors import SettingsError
from sedna_py.hard_example_mining import Decision
from sedna_py.protocol.causes import OffloadCause
from tests.workers.edge.sink_fakes import CAR, LABELS, PERSON, answer, settings
from workers.edge.decision import CloudAnswer
from workers.edge.sinks import throttle as throttle_module
from workers.edge.sinks.event import Publisher, as_json, class_name, count_by_class, event
from workers.edge.sinks.mqtt_address import MqttAddress, discovery_prefix
from workers.edge.sinks.mqtt_topics import NOT_IN_AN_ID, Topics, description, discovery, discovery_topic, level
from workers.edge.sinks.remote import prepare_remote_sinks
from workers.edge.sinks.throttle import Throttle

HARD = Decision(True, "hard", 0.1)
PUBLISHER = Publisher("factory", "helmets", "edge-1", LABELS)


# --- address


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "user", "password"),
    [
        ("mqtt://broker", "broker", 1883, "sedna", None, None),
        ("mqtt://broker:1884/plant/hall-1/", "broker", 1884, "plant/hall-1", None, None),
        ("mqtts://user:p%40s%2Fs@broker.example/", "broker.example", 8883, "sedna", "user", "p@s/s"),
        ("mqtt://user@[::1]:1885/x", "::1", 1885, "x", "user", None),
    ],
)
def test_an_address(url, host, port, prefix, user, password):
    address = MqttAddress.read(settings(MQTT_URL=url))
    assert (address.host, address.port, address.prefix) == (host, port, prefix)
    assert (address.user, address.password) == (user, password)
    assert (address.tls is not None) == url.startswith("mqtts")
    assert "p@s" not in f"{address} {address!r}"


def test_a_password_may_stand_for_itself():
    address = MqttAddress.read(settings(MQTT_URL="mqtt://user@broker", MQTT_PASSWORD="p%40/:#"))
    assert address.password == "p%40/:#"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MQTT_URL": "broker"}, "MQTT_URL is 'broker'; write mqtt://user@host:1883/prefix"),
        ({"MQTT_URL": "http://broker"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://broker:0"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://broker:70000"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://bro ker"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://a..b"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://broker?x=1"}, "write mqtt://"),
        ({"MQTT_URL": "mqtt://user:s3c/ret@broker"}, "%2F for /"),
        ({"MQTT_URL": "mqtt://user:s3c#ret@broker"}, "MQTT_PASSWORD"),
        ({"MQTT_URL": "mqtt://:s3cret@broker"}, "no user for the password"),
        ({"MQTT_URL": "mqtt://broker", "MQTT_PASSWORD": "s3cret"}, "no user for the password"),
        ({"MQTT_URL": "mqtt://u:s3cret@broker", "MQTT_PASSWORD": "s3cret"}, "write it into one of them"),
        ({"MQTT_URL": "mqtt://broker/a/+/b"}, "no prefix for topics"),
        ({"MQTT_URL": "mqtt://broker/a//b"}, "no prefix for topics"),
        ({"MQTT_URL": "mqtt://broker/%23"}, "no prefix for topics"),
        ({"MQTT_URL": "mqtt://broker", "MQTT_CA_FILE": "/no/ca.pem"}, "write mqtts:// for TLS"),
        ({"MQTT_URL": "mqtts://broker", "MQTT_CA_FILE": "/no/ca.pem"}, "MQTT_CA_FILE is '/no/ca.pem', which cannot be read"),
        ({"MQTT_URL": "mqtts://broker", "MQTT_CA_FILE": __file__}, "it is not in PEM form|no certificate"),
        ({"MQTT_URL": "mqtt://broker", "MQTT_DISCOVERY_PREFIX": "a/#"}, "MQTT_DISCOVERY_PREFIX is 'a/#'; write a topic"),
        ({"MQTT_URL": "mqtt://broker", "MQTT_PROTOCOL": "4"}, "5, or 3.1.1"),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anything_is_loaded(environment, message):
    with pytest.raises(SettingsError, match=message) as raised:
        prepare_remote_sinks(settings(**environment))
    assert "s3c" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_secrets_are_not_in_what_settings_show():
    shown = repr(settings(MQTT_URL="mqtt://u@b", MQTT_PASSWORD="s3cret", WEBHOOK_SECRET="whsec_s3cret"))
    assert "s3cret" not in shown


def test_discovery_may_be_off():
    assert discovery_prefix("off") == ""
    assert discovery_prefix("/homeassistant/") == "homeassistant"


# --- names


@pytest.mark.parametrize("name", ["cam", "hall-1_b", "clip.mp4"])
def test_a_name_that_is_safe_stays(name):
    assert level(name) == name


@pytest.mark.parametrize("name", ["a/b", "a+b", "#", "", "rtsp://***@cam/1", "Hof süd", "x" * 300, "_", "a\0b", "$SYS"])
def test_any_name_becomes_one_level_and_two_stay_two(name):
    safe = level(name)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", safe)
    assert not safe.startswith("$")
    assert level(name) == safe != level(name + "!")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", level("a.b" + name, NOT_IN_AN_ID))


def test_topics_of_sources_and_workers_never_meet():
    topics = Topics("plant/sedna", PUBLISHER)
    assert topics.of_source("rtsp://***@cam/1", "result") == (
        f"plant/sedna/factory/helmets/{level('rtsp://***@cam/1')}/result"
    )
    assert topics.of_worker("status") == "plant/sedna/factory/helmets/workers/edge-1/status"
    assert topics.of_source("workers", "status").count("/") != topics.of_worker("status").count("/")


def test_discovery_is_the_same_from_every_replica():
    def made(worker):
        topics = Topics("sedna", Publisher("factory", "helmets", worker, LABELS))
        return discovery_topic("homeassistant", topics.publisher, "cam/1"), discovery(
            topics, "cam/1", interval_s=1, snapshot=True
        )

    topic, device = made("edge-1")
    assert made("edge-2") == (topic, device)
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", topic)
    assert device["state_topic"] == Topics("sedna", PUBLISHER).of_source("cam/1", "result")
    components = device["components"]
    assert set(components) == {"objects", "hard_share", "cloud", "class_0", "class_1", "snapshot"}
    assert len({component["unique_id"] for component in components.values()}) == len(components)
    assert {component["platform"] for component in components.values()} == {"sensor", "binary_sensor", "camera"}
    assert device["device"]["identifiers"]
    assert device["origin"]["name"] == "sedna-py"


def test_a_model_of_many_classes_has_one_sensor_for_all():
    topics = Topics("sedna", Publisher("n", "s", "w", [f"class {n}" for n in range(80)]))
    assert set(discovery(topics, "cam", interval_s=60, snapshot=False)["components"]) == {
        "objects",
        "hard_share",
        "cloud",
    }
    assert discovery(topics, "cam", interval_s=60, snapshot=False)["components"]["objects"]["expire_after"] == 180
    assert len(description(topics, ["cam"], "m.xml")["labels"]) == 80


# --- event


def test_an_event_is_the_record_and_what_was_counted():
    asked = CloudAnswer(None, OffloadCause.OVERLOADED)
    result = answer(7, decision=HARD, edge=[PERSON, CAR, PERSON], answer=asked)
    fields = json.loads(as_json(event(result.record, PUBLISHER, hard_share=0.5)))
    assert fields["id"] == "r1:cam:7:final"
    assert (fields["namespace"], fields["service"], fields["worker"]) == ("factory", "helmets", "edge-1")
    assert (fields["objects"], fields["counts"], fields["hard_share"]) == (3, {"person": 2, "car": 1}, 0.5)
    written = json.loads(result.record.to_line())
    assert {name: fields[name] for name in written} == written


@pytest.mark.parametrize(
    ("kind", "name"),
    [(0, "person"), (1.0, "car"), (2, "2"), (-1, "-1"), ("helmet", "helmet"), (1.5, "1.5"), (None, "None")],
)
def test_the_name_of_a_class(kind, name):
    assert class_name([0, 0, 1, 1, 0.5, kind], LABELS) == name


def test_results_that_are_no_boxes_have_no_counts():
    assert count_by_class(["text", {"a": 1}, 7, [1, 2]], LABELS) == {}
    assert count_by_class([[0, 0, 1, 1, 0.5]], LABELS) == {"person": 1}


# --- how many


def let(throttle, *frames):
    """Return which of (seconds, answer) are let through, by frame number."""
    return [
        one.record.frame
        for now, one in frames
        if throttle.lets(one.record, count_by_class(one.record.result, LABELS), now)
    ]


def test_the_same_again_waits_for_the_interval_and_a_change_for_a_tenth():
    frames = [
        (0.00, answer(1)),
        (0.04, answer(2, edge=[])),  # a change, too early
        (0.12, answer(3, edge=[])),  # still another one than the last that went out
        (0.50, answer(4, edge=[])),
        (0.54, answer(5, edge=[CAR])),
        (1.50, answer(6, edge=[CAR])),
        (1.55, answer(7, edge=[CAR])),
    ]
    assert let(Throttle(1.0), *frames) == [1, 3, 5, 7]


def test_each_source_has_an_interval_of_its_own_and_0_lets_all_through():
    frames = [(0.0, answer(1)), (0.01, answer(2, source="other")), (0.02, answer(3))]
    assert let(Throttle(1.0), *frames) == [1, 2]
    assert let(Throttle(0.0), *frames) == [1, 2, 3]


def test_a_correction_goes_out_if_its_first_answer_did():
    frames = [
        (0.0, answer(1, emit=Emit.FIRST)),
        (0.01, answer(2, emit=Emit.FIRST)),
        (0.02, answer(1, emit=Emit.CORRECTION)),
        (0.03, answer(2, emit=Emit.CORRECTION)),
        (0.04, answer(3, emit=Emit.LATE)),
        (0.05, answer(1, emit=Emit.CORRECTION)),
    ]
    assert let(Throttle(1.0), *frames) == [1, 1]


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(throttle_module, "MOST_KEPT", 50)
    throttle = Throttle(1.0)
    for number in range(150):
        throttle.lets(answer(number + 1, emit=Emit.FIRST, source=f"s{number}").record, {}, number)
    assert len(throttle._last) == len(throttle._awaited) == 50
