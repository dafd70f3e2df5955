"""Hard frames on their way to the cloud: bounded, beside the caller, each answered exactly once."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sedna_py.client.cloud_client import CloudClient
from sedna_py.client.offload_window import START, TOO_MUCH
from sedna_py.client.route import Route, RouteFigures
from sedna_py.client.send_cap import NOT_LET_GO
from sedna_py.client.settings import ClientSettings
from sedna_py.errors import MalformedBody
from sedna_py.protocol.causes import OffloadCause
from sedna_py.protocol.media_types import JPEG
from tests.workers.edge.fakes import CLOUD_BOXES, PATIENCE_S, FakeCloud, make_frame, number_of, until
from workers.edge.decision import CloudAnswer
from workers.edge.offload import NOTHING_SENT, Offloader, OffloadOptions
from workers.edge.wire_format import WireFormat

BODY = b"jpeg bytes"


class Answers:
    """Collects answers by frame, and fails on a second one."""

    def __init__(self) -> None:
        self.by_frame: dict[int, CloudAnswer] = {}
        self._lock = threading.Lock()

    def of(self, number: int):
        def answered(answer: CloudAnswer) -> None:
            with self._lock:
                assert number not in self.by_frame, f"frame {number} was answered twice"
                self.by_frame[number] = answer

        return answered

    def wait_for(self, count: int) -> dict[int, CloudAnswer]:
        until(lambda: len(self.by_frame) >= count, f"{count} answers")
        return self.by_frame

    def causes(self, count: int) -> list[OffloadCause | None]:
        return [answer.cause for _, answer in sorted(self.wait_for(count).items())]


@pytest.fixture
def make():
    made = []

    def build(cloud, *, encode=lambda _: BODY, deadline_s=30.0, **options):
        made.append(
            Offloader(
                cloud, WireFormat(JPEG, encode), OffloadOptions(deadline_s=deadline_s, **{"start": 1000, **options})
            )
        )
        return made[-1]

    before = set(threading.enumerate())
    yield build
    for offloader in made:
        offloader.close()
    left = [t for t in set(threading.enumerate()) - before if t.is_alive()]
    assert not left


def test_an_answer_with_what_it_took(make):
    cloud, answers = FakeCloud(), Answers()
    make(cloud).submit(make_frame(1), answers.of(1))
    answer = answers.wait_for(1)[1]
    assert (answer.result, answer.cause, answer.bytes_sent, answer.cloud_ms) == (CLOUD_BOXES, None, len(BODY), 4.0)
    assert answer.encode_ms >= 0
    assert cloud.bodies == [BODY]


@pytest.mark.parametrize("cause", OffloadCause)
def test_every_cause_of_the_client_arrives_with_what_was_sent(make, cause):
    offloader, answers = make(FakeCloud(lambda _: cause)), Answers()
    offloader.submit(make_frame(1), answers.of(1))
    answer = answers.wait_for(1)[1]
    assert (answer.result, answer.cause) == (None, cause)
    assert answer.bytes_sent == (0 if cause in NOTHING_SENT else len(BODY))
    assert answer.encode_ms is not None
    assert (answer.cloud_ms is None) == (cause is OffloadCause.CIRCUIT_OPEN or cause in NOT_LET_GO)
    assert offloader.pending == 0


def test_an_open_circuit_costs_no_encoding(make):
    cloud, answers, encoded = FakeCloud(), Answers(), []
    cloud.refuses = True
    make(cloud, encode=lambda shown: encoded.append(shown) or BODY).submit(make_frame(1), answers.of(1))
    assert answers.by_frame[1] == CloudAnswer(None, OffloadCause.CIRCUIT_OPEN)  # at once: nobody waited
    assert encoded == []


def test_more_than_its_places_keep_the_edges_answer_at_once(make):
    cloud, answers = FakeCloud(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=2, waiting=3)
    for number in range(1, 9):
        offloader.submit(make_frame(number), answers.of(number))
    assert answers.by_frame == {n: CloudAnswer(None, OffloadCause.QUEUE_FULL) for n in (6, 7, 8)}
    until(lambda: cloud.holding == 2, "two requests")
    assert offloader.pending == 5
    cloud.release()
    assert answers.causes(8) == [None] * 5 + [OffloadCause.QUEUE_FULL] * 3
    assert cloud.most_at_once == 2
    assert offloader.pending == 0
    offloader.submit(make_frame(9), answers.of(9))  # there is room again
    assert answers.wait_for(9)[9].cause is None


def test_a_new_cloud_is_tried_with_two_frames_and_given_more_as_it_answers(make):
    cloud, answers = FakeCloud(lambda number: "hold" if number <= 2 else None), Answers()
    offloader = make(cloud, start=START)
    for number in (1, 2, 3):
        offloader.submit(make_frame(number), answers.of(number))
    assert answers.by_frame == {3: CloudAnswer(None, OffloadCause.QUEUE_FULL)}
    until(lambda: cloud.holding == 2, "two requests")
    cloud.release()
    assert answers.causes(3) == [None, None, OffloadCause.QUEUE_FULL]
    assert offloader._window.places == START + 2


def test_a_cloud_that_misses_deadlines_is_given_fewer(make):
    cloud, answers = FakeCloud(lambda _: OffloadCause.DEADLINE_EXCEEDED), Answers()
    offloader = make(cloud, in_flight=8, waiting=0, start=8)
    for number in range(1, 9):
        offloader.submit(make_frame(number), answers.of(number))
    answers.wait_for(8)
    assert offloader._window.places < 8


@pytest.mark.parametrize("cause", sorted(set(OffloadCause) - TOO_MUCH))
def test_other_failures_say_nothing_of_how_much_the_cloud_can_take(make, cause):
    offloader, answers = make(FakeCloud(lambda _: cause), in_flight=4, waiting=0, start=4), Answers()
    offloader.submit(make_frame(1), answers.of(1))
    answers.wait_for(1)
    assert offloader._window.places == 4


def test_who_may_wait_for_a_place_gets_one(make):
    cloud, answers = FakeCloud(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=1, waiting=0, when_full_wait=True)
    offloader.submit(make_frame(1), answers.of(1))
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(offloader.submit, make_frame(2), answers.of(2))
        until(lambda: cloud.holding == 1, "the first request")
        assert not second.done()
        cloud.release()
        second.result(PATIENCE_S)
    assert answers.causes(2) == [None, None]


def test_who_waited_a_whole_deadline_for_a_place_keeps_the_edges_answer(make):
    cloud, answers = FakeCloud(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=1, waiting=0, deadline_s=30.0, when_full_wait=True)
    offloader.submit(make_frame(1), answers.of(1))
    object.__setattr__(offloader._options, "deadline_s", 0.02)
    offloader.submit(make_frame(2), answers.of(2))
    assert answers.by_frame[2].cause is OffloadCause.QUEUE_FULL


@pytest.mark.parametrize("error", [MalformedBody("no picture"), ValueError("odd"), MemoryError()])
def test_a_frame_that_cannot_be_encoded_keeps_the_edges_answer(make, error, caplog):
    def encode(shown):
        if number_of(shown) == 1:
            raise error
        return BODY

    cloud, answers = FakeCloud(), Answers()
    offloader = make(cloud, encode=encode)
    for number in (1, 2):
        offloader.submit(make_frame(number), answers.of(number))
    assert answers.causes(2) == [OffloadCause.ENCODE_FAILED, None]
    assert answers.by_frame[1].bytes_sent == 0
    assert len(cloud.bodies) == 1
    assert "frame 1 cannot be encoded" in caplog.text


def test_what_a_client_should_never_raise_is_logged_and_answered(make, caplog):
    offloader, answers = make(FakeCloud(lambda _: ValueError("a bug"))), Answers()
    offloader.submit(make_frame(7), answers.of(7))
    assert answers.causes(1) == [OffloadCause.CONNECTION_LOST]
    assert "offloading frame 7 failed" in caplog.text
    assert "ValueError: a bug" in caplog.text
    assert offloader.pending == 0


def test_the_deadline_counts_from_the_decision(make):
    """One request at once: what waits behind a held one for a whole deadline is not sent any more."""
    cloud, answers = FakeCloud(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=1, waiting=2)
    offloader.submit(make_frame(1), answers.of(1))
    until(lambda: cloud.holding == 1, "the request")
    object.__setattr__(offloader._options, "deadline_s", 0.02)
    for number in (2, 3):
        offloader.submit(make_frame(number), answers.of(number))
    late = answers.wait_for(2)
    assert late == {n: CloudAnswer(None, OffloadCause.DEADLINE_EXCEEDED) for n in (2, 3)}
    cloud.release()
    assert answers.causes(3)[0] is None
    assert len(cloud.bodies) == 1


def test_encoding_for_longer_than_the_deadline_sends_nothing(make):
    cloud, answers, encoding = FakeCloud(), Answers(), threading.Event()

    def encode(_):
        encoding.wait(PATIENCE_S)
        return BODY

    make(cloud, encode=encode, deadline_s=0.02).submit(make_frame(1), answers.of(1))
    assert answers.causes(1) == [OffloadCause.DEADLINE_EXCEEDED]
    encoding.set()
    assert answers.by_frame[1].bytes_sent == 0
    assert cloud.bodies == []


def test_closing_answers_every_frame_and_ends_the_threads(make):
    cloud, answers = FakeCloud(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=2, waiting=4)
    for number in range(1, 7):
        offloader.submit(make_frame(number), answers.of(number))
    until(lambda: cloud.holding == 2, "two requests")
    offloader.close()
    assert [answers.by_frame[n].cause for n in range(1, 7)] == [OffloadCause.SHUTDOWN] * 6
    offloader.submit(make_frame(7), answers.of(7))
    assert answers.by_frame[7] == CloudAnswer(None, OffloadCause.SHUTDOWN)
    assert offloader.pending == 0
    offloader.close()


@pytest.mark.parametrize("failure", [RuntimeError("cannot close"), TimeoutError()])
def test_a_client_that_cannot_close_keeps_nothing_from_ending(make, failure, caplog):
    class Stubborn(FakeCloud):
        async def aclose(self) -> None:
            raise failure

    cloud, answers = Stubborn(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=1)
    for number in (1, 2):
        offloader.submit(make_frame(number), answers.of(number))
    until(lambda: cloud.holding == 1, "a request")
    offloader.close()
    assert answers.causes(2) == [OffloadCause.SHUTDOWN] * 2
    assert "did not close" in caplog.text


def test_closing_between_the_look_and_the_start_answers_the_frame(make):
    """`close` may come from another thread at any moment of `submit`."""
    cloud, answers = FakeCloud(), Answers()
    offloader = make(cloud)

    def would_refuse() -> bool:
        offloader.close()
        return False

    cloud.would_refuse = would_refuse
    offloader.submit(make_frame(1), answers.of(1))
    assert answers.causes(1) == [OffloadCause.SHUTDOWN]
    assert offloader.pending == 0


def test_every_frame_is_answered_once_when_many_threads_submit_while_it_closes(make):
    cloud, answers = FakeCloud(lambda n: "hold" if n % 3 == 0 else None), Answers()
    offloader = make(cloud, in_flight=4, waiting=4)
    numbers = range(1, 2001)
    with ThreadPoolExecutor(4) as threads:
        for number in numbers:
            threads.submit(offloader.submit, make_frame(number), answers.of(number))
        until(lambda: len(answers.by_frame) > 200, "some answers")
        offloader.close()
    until(lambda: len(answers.by_frame) == len(numbers), "every answer")
    assert offloader.pending == 0
    assert OffloadCause.SHUTDOWN in {answer.cause for answer in answers.by_frame.values()}


def test_a_server_that_never_answers_opens_the_circuit(make):
    """The real client: its deadline, not a time-out of ours around it, must end the request, or the breaker never learns."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = ClientSettings(deadline_s=0.5, failure_threshold=2, cooldown_s=60, max_cooldown_s=60)
        client = CloudClient(f"http://127.0.0.1:{listener.getsockname()[1]}", settings=settings)
        offloader, answers = make(client, deadline_s=0.5), Answers()
        for number in (1, 2):
            offloader.submit(make_frame(number), answers.of(number))
        assert answers.causes(2) == [OffloadCause.DEADLINE_EXCEEDED] * 2
        offloader.submit(make_frame(3), answers.of(3))
        assert answers.causes(3)[2] is OffloadCause.CIRCUIT_OPEN


def test_submitting_never_waits_for_the_cloud(make):
    cloud, answers = FakeCloud(lambda _: "hold"), Answers()
    offloader = make(cloud, in_flight=1, waiting=1, deadline_s=3600.0)
    begun = time.monotonic()
    for number in range(1, 101):
        offloader.submit(make_frame(number), answers.of(number))
    # Had one of them waited, it would have been for an hour.
    assert time.monotonic() - begun < PATIENCE_S
    assert len(answers.by_frame) == 98


def test_a_cloud_that_sleeps_costs_no_encoding_and_stored_frames_may_ask_it(make):
    cloud, answers, encoded = FakeCloud(), Answers(), []
    cloud.refuses = cloud.sleeps = True
    cloud.figures = lambda: RouteFigures(Route.NONE, {}, {}, {})
    offloader = make(cloud, encode=lambda shown: encoded.append(shown) or BODY)
    offloader.submit(make_frame(1), answers.of(1))
    assert answers.by_frame[1] == CloudAnswer(None, OffloadCause.CLOUD_ASLEEP)
    assert encoded == []
    assert not offloader.has_spare()  # it may not be asked yet
    cloud.refuses = False
    assert offloader.has_spare()  # though there was a hard frame just now
    cloud.sleeps = False
    assert not offloader.has_spare()
