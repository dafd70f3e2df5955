"""The webhook against a real HTTP server that fails in every way, and what an answer means."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

from sedna_py.decision_log import Emit
from sedna_py.errors import SettingsError
from sedna_py.hard_example_mining import Decision
from tests.cluster.pki import Authority, Subject
from tests.workers.edge.fakes import PATIENCE_S, until
from tests.workers.edge.programs import free_port
from tests.workers.edge.receiver import Handler, Receiver
from tests.workers.edge.sink_fakes import LABELS, PERSON, answer, balanced, settings
from workers.edge.decision import CloudAnswer
from workers.edge.sinks import outbox, webhook_request
from workers.edge.sinks.remote import prepare_remote_sinks
from workers.edge.sinks.webhook_request import Target, judge, retry_after, sign, signing_key, wait_before, wanted

HARD = Decision(True, "hard", 0.1)
# A pair that the scheme's reference library for Python (standardwebhooks) made.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def hang(handler: Handler) -> None:
    handler.server.ended.wait(30)


def break_off(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def dribble(handler: Handler) -> None:
    """One byte of the head after the other: no single read takes long."""
    handler.close_connection = True
    while not handler.server.ended.wait(0.02):
        try:
            handler.connection.sendall(b"H")
        except OSError:
            return


def endless(handler: Handler) -> None:
    """Takes the request, and answers with more than anybody wants to read."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**12))
    handler.end_headers()
    handler.close_connection = True
    try:
        while not handler.server.ended.is_set():
            handler.connection.sendall(b"x" * 65536)
    except OSError:
        return


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(webhook_request, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(outbox, "FLUSH_S", 0.5)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def receive(no_thread_is_left):
    """Start receivers that are closed with the test."""
    made = []

    def start(script=lambda _: 200, **options):
        made.append(Receiver(script, **options))
        return made[-1]

    yield start
    for receiver in made:
        receiver.close()


@pytest.fixture
def make_sink(receive):
    """Make sinks that are closed with the test, before their receivers."""
    made = []

    def make(url: str, **environment: object):
        [factory] = prepare_remote_sinks(settings(**{"WEBHOOK_URL": url, "WEBHOOK_EVENTS": "all", **environment}))
        made.append(factory(LABELS))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


# --- what a request is


def test_a_result_is_a_signed_request_of_its_own(receive, make_sink):
    receiver = receive()
    sink = make_sink(receiver.url, WEBHOOK_SECRET=SECRET)
    sink.write(answer(1))
    sink.write(answer(2, emit=Emit.FIRST))
    until(lambda: sink.figures().sent == 2, "both")
    assert [(body["type"], body["data"]["id"]) for body in receiver.bodies] == [
        ("sedna.result.final", "r1:cam:1:final"),
        ("sedna.result.first", "r1:cam:2:first"),
    ]
    assert receiver.bodies[0]["timestamp"] == "2023-11-14T22:13:20.000+00:00"
    assert receiver.bodies[0]["data"]["counts"] == {"person": 1}
    key, ids = signing_key(SECRET), set()
    for fields, body in receiver.requests:
        ids.add(fields["webhook-id"])
        assert fields["idempotency-key"] == fields["webhook-id"]
        assert fields["content-type"] == "application/json"
        made = sign(key, fields["webhook-id"], int(fields["webhook-timestamp"]), body)
        assert fields["webhook-signature"] == made
    assert len(ids) == 2
    assert receiver.connections == 1


def test_without_a_secret_there_is_no_signature(receive, make_sink):
    receiver = receive()
    make_sink(receiver.url).write(answer(1))
    until(lambda: receiver.requests, "the request")
    assert "webhook-signature" not in receiver.requests[0][0]


def test_the_signature_is_the_schemes():
    body = b'{"test": 2432232314}'
    assert sign(signing_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == SIGNATURE


def test_a_batch_is_an_array_even_of_one(receive, make_sink):
    receiver = receive(lambda _: go_on.wait(10) and 200)
    go_on = threading.Event()
    sink = make_sink(receiver.url, WEBHOOK_BATCH=4, WEBHOOK_BATCH_MS=10)
    sink.write(answer(1))
    until(lambda: receiver.requests, "the first request")
    for number in range(2, 12):
        sink.write(answer(number))
    go_on.set()
    until(lambda: sink.figures().sent == 11, "all of them")
    assert [[one["data"]["frame"] for one in body] for body in receiver.bodies] == [
        [1], [2, 3, 4, 5], [6, 7, 8, 9], [10, 11],
    ]  # fmt: skip
    assert len({fields["webhook-id"] for fields, _ in receiver.requests}) == 4


# --- what is tried again


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (429, "overloaded"),
        (break_off, "unreachable"),
        (hang, "timed_out"),
        (dribble, "timed_out"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_may_pass_is_tried_again_under_the_same_id(receive, make_sink, failure, cause):
    receiver = receive(lambda number: failure if number < 2 else 200)
    sink = make_sink(receiver.url, WEBHOOK_TIMEOUT_MS=300 if cause == "timed_out" else 10_000)
    sink.write(answer(1))
    until(lambda: sink.figures().sent, "the third try")
    figures = balanced(sink.figures())
    assert figures.lost == {}
    assert set(figures.failures) == {cause}
    assert figures.failures[cause] == 2 or cause == "timed_out"  # a busy machine may be late once more
    assert len({fields["webhook-id"] for fields, _ in receiver.requests}) == 1
    assert len({body for _, body in receiver.requests}) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_what_will_not_pass_is_lost_at_once(receive, make_sink, status, caplog):
    receiver = receive(lambda number: (status, {"Location": "/elsewhere"}) if number != 2 else 200)
    sink = make_sink(receiver.url)
    for number in range(1, 5):
        sink.write(answer(number))
    until(lambda: not sink.figures().waiting, "all to be settled")
    figures = balanced(sink.figures())
    assert (figures.sent, figures.lost) == (1, {"rejected": 3})
    assert len(receiver.requests) == 4
    assert caplog.text.count(f"answered {status}; its results are lost") == 2
    assert "t0ken" not in caplog.text


def test_tries_are_bounded(receive, make_sink):
    receiver = receive(lambda _: 500)
    sink = make_sink(receiver.url, WEBHOOK_RETRIES=3)
    sink.write(answer(1))
    sink.write(answer(2))
    until(lambda: not sink.figures().waiting, "both to be given up")
    figures = balanced(sink.figures())
    assert (figures.lost, figures.failures) == ({"server_error": 2}, {"server_error": 8})
    assert len(receiver.requests) == 8


def test_an_answer_without_an_end_is_not_read(receive, make_sink):
    receiver = receive(lambda number: 200 if number else endless)
    sink = make_sink(receiver.url)
    for number in (1, 2):
        sink.write(answer(number))
    until(lambda: sink.figures().sent == 2, "both")


def test_nobody_there_then_somebody(receive, make_sink, caplog):
    caplog.set_level("INFO", "workers")
    port = free_port()
    sink = make_sink(f"http://user:s3cret@127.0.0.1:{port}/t0ken", WEBHOOK_RETRIES=100, WEBHOOK_QUEUE=10)
    for number in range(1, 31):
        sink.write(answer(number))
    until(lambda: sink.figures().failures.get("unreachable", 0) >= 2, "two tries")
    receiver = receive(port=port)
    until(lambda: not sink.figures().waiting, "all to be settled")
    figures = balanced(sink.figures())
    assert figures.sent == len(receiver.requests) in (10, 11)
    assert figures.lost == {"queue_full": 30 - figures.sent}
    assert [body["data"]["frame"] for body in receiver.bodies][-10:] == list(range(21, 31))
    assert f"http://127.0.0.1:{port} cannot be reached" in caplog.text
    assert "takes results again" in caplog.text
    assert "s3cret" not in caplog.text
    assert "t0ken" not in caplog.text


def test_a_certificate_that_is_not_good_has_a_cause_of_its_own(receive, make_sink, tmp_path, monkeypatch):
    authority = Authority.create(tmp_path / "pki", "own")
    pair = authority.issue("server", Subject("server", alternative_names=["IP:127.0.0.1"]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    receiver = receive(tls=context)
    url = receiver.url.replace("http:", "https:")
    stranger = make_sink(url)
    stranger.write(answer(1))
    until(lambda: stranger.figures().failures.get("tls_failed"), "a refusal")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pair.certificate))
    sink = make_sink(url)
    sink.write(answer(1))
    until(lambda: sink.figures().sent, "a request")


# --- bounds


def test_a_slow_receiver_holds_nobody_up_and_costs_the_oldest(receive, make_sink):
    receiver = receive(hang)
    sink = make_sink(receiver.url, WEBHOOK_QUEUE=20, WEBHOOK_BATCH=5, WEBHOOK_BATCH_MS=0)
    sink.write(answer(1))
    until(lambda: receiver.requests, "a request that hangs")
    for number in range(2, 502):
        sink.write(answer(number))
    figures = balanced(sink.figures())
    assert (figures.waiting, figures.lost) == (21, {"queue_full": 480})
    sink.close()
    assert balanced(sink.figures()).lost == {"queue_full": 480, "shutdown": 21}


def test_closing_sends_what_waits(receive, make_sink, monkeypatch):
    monkeypatch.setattr(outbox, "FLUSH_S", PATIENCE_S)  # what is sent here is connected for only then
    receiver = receive()
    sink = make_sink(receiver.url, WEBHOOK_BATCH=50, WEBHOOK_BATCH_MS=60_000)
    for number in range(1, 8):
        sink.write(answer(number))
    sink.close()
    assert balanced(sink.figures()).sent == 7
    assert sum(len(body) for body in receiver.bodies) == 7


# --- which


@pytest.mark.parametrize(
    ("result", "events"),
    [
        (answer(1), {"all", "detections"}),
        (answer(1, edge=[]), {"all"}),
        (answer(1, edge=[], decision=HARD), {"all", "hard"}),
        (answer(1, decision=HARD, emit=Emit.FIRST), {"all", "hard", "detections"}),
        (
            answer(1, decision=HARD, emit=Emit.CORRECTION, answer=CloudAnswer([], None)),  # takes a detection back
            {"all", "hard", "corrections", "detections"},
        ),
        (
            answer(1, edge=[], decision=HARD, emit=Emit.CORRECTION, answer=CloudAnswer([], None)),
            {"all", "hard", "corrections"},
        ),
        (
            answer(1, edge=[], decision=HARD, emit=Emit.LATE, answer=CloudAnswer([PERSON], None)),
            {"all", "hard", "corrections", "detections"},
        ),
    ],
)
def test_which_results_are_wanted(result, events):
    kinds = ("all", "hard", "corrections", "detections")
    assert {kind for kind in kinds if wanted(result.record, kind)} == events


def test_what_is_not_wanted_is_skipped(receive, make_sink):
    receiver = receive()
    sink = make_sink(receiver.url, WEBHOOK_EVENTS="detections")
    for number in range(1, 7):
        sink.write(answer(number, edge=[PERSON] if number % 3 == 0 else []))
    until(lambda: sink.figures().sent == 2, "two")
    assert sink.figures().skipped == 4
    assert [body["data"]["frame"] for body in receiver.bodies] == [3, 6]


# --- rules


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0), ("7", 7), (" 0.5 ", 0.5), ("-3", 0), ("nan", 0), ("inf", 0), ("soon", 0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60), ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after(text, seconds):
    assert retry_after({"retry-after": text} if text else {}, 1_700_000_000.0) == seconds


def test_waits_are_doubled_bounded_and_no_shorter_than_asked(monkeypatch):
    monkeypatch.setattr(webhook_request, "FIRST_WAIT_S", 1.0)
    assert [wait_before(retry, 0.0, 0.0) for retry in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert wait_before(3, 0.0, 1.0) == 4
    assert wait_before(0, 30.0, 0.5) == 30
    assert wait_before(0, 1e9, 0.5) == 600
    assert wait_before(10**6, 0.0, 0.0) == 60


def test_what_was_asked_for_is_waited_for(receive, make_sink):
    times = []

    def script(number):
        times.append(time.monotonic())
        return (429, {"Retry-After": "0.3"}) if number == 0 else 200

    sink = make_sink(receive(script).url)
    sink.write(answer(1))
    until(lambda: sink.figures().sent, "the second try")
    assert sum(sink.figures().failures.values()) == 1
    first, second = times
    assert second - first >= 0.29


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_yes(status):
    assert judge(status) == (None, False)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WEBHOOK_URL": "host/path"}, "WEBHOOK_URL is 'host/path'; write http://host/path"),
        ({"WEBHOOK_URL": "ftp://host"}, "write http://host/path or https://host/path"),
        ({"WEBHOOK_URL": "http://"}, "write http://"),
        ({"WEBHOOK_URL": "http://user:s3c/ret@host"}, "write http://"),
        ({"WEBHOOK_URL": "http://host:99999999/"}, "write http://"),
        ({"WEBHOOK_URL": "http://host:0/"}, "write http://"),
        ({"WEBHOOK_URL": "http://host", "WEBHOOK_SECRET": "s3cret"}, "does not begin with whsec_; write whsec_ and the base64"),
        ({"WEBHOOK_URL": "http://host", "WEBHOOK_SECRET": "whsec_s3cret!"}, "is no base64 after whsec_"),
        ({"WEBHOOK_URL": "http://host", "WEBHOOK_SECRET": "whsec_s3cretAA"}, "has 6 bytes; write"),
        ({"WEBHOOK_URL": "http://host", "WEBHOOK_EVENTS": "some"}, "all, hard"),
        ({"WEBHOOK_URL": "http://host", "WEBHOOK_BATCH": "0"}, "a request for each result"),
    ],
)  # fmt: skip
def test_a_webhook_that_is_none_is_refused_before_anything_is_loaded(environment, message):
    with pytest.raises(SettingsError, match=message) as raised:
        prepare_remote_sinks(settings(**environment))
    assert "s3c" not in str(raised.value)


def test_a_target_shows_no_more_than_its_host():
    target = Target.read(settings(WEBHOOK_URL="https://u:s3cret@hooks.example:8443/t0ken", WEBHOOK_SECRET=SECRET))
    assert str(target) == "https://hooks.example:8443"
    assert "MfKQ" not in repr(target)
