"""The bounded queue before a slow receiver: what is put in is sent, lost for one cause, or inside, whatever happens."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workers.edge.fakes import until
from tests.workers.edge.sink_fakes import balanced
from workers.edge.sinks.outbox import Courier, Outbox, SinkCause


def test_the_oldest_gives_way_and_is_counted(caplog):
    outbox = Outbox("test", 3)
    for number in range(10):
        outbox.put(number, 1)
        balanced(outbox.figures())
    assert balanced(outbox.figures()).lost == {"queue_full": 7}
    assert outbox.take(5) == [7, 8, 9]
    assert caplog.text.count("from now on the oldest are dropped") == 1
    assert caplog.text.count("caught up; 7 results were dropped meanwhile") == 1
    outbox.sent(2)
    outbox.lost(SinkCause.REJECTED)
    figures = balanced(outbox.figures())
    assert (figures.sent, figures.lost, figures.waiting) == (2, {"queue_full": 7, "rejected": 1}, 0)


def test_it_is_bounded_in_bytes_too():
    outbox = Outbox("test", 100, max_bytes=1000)
    outbox.put("large", 1001)
    for number in range(4):
        outbox.put(number, 300)
    assert balanced(outbox.figures()).lost == {"too_large": 1, "queue_full": 1}
    assert outbox.take(9) == [1, 2, 3]
    outbox.put("all of it", 1000)
    outbox.put("instead", 1000)
    assert outbox.take(9) == ["instead"]


def test_what_is_out_is_never_dropped_and_counts_as_waiting():
    outbox = Outbox("test", 2)
    outbox.put(1, 1)
    assert outbox.take(1) == [1]
    for number in (2, 3, 4):
        outbox.put(number, 1)
    assert balanced(outbox.figures()).waiting == 3
    outbox.sent()
    assert balanced(outbox.figures()).lost == {"queue_full": 1}


def test_after_close_nothing_goes_in_and_what_is_inside_comes_out():
    outbox = Outbox("test", 5)
    outbox.put(1, 1)
    outbox.close()
    outbox.put(2, 1)
    assert outbox.take(5, linger_s=60) == [1]
    assert outbox.take(5, linger_s=60) == []
    assert balanced(outbox.figures()).lost == {"shutdown": 1}


def test_what_was_abandoned_is_counted_once_whatever_becomes_of_it():
    outbox = Outbox("test", 5)
    for number in range(4):
        outbox.put(number, 1)
    outbox.take(2)
    assert outbox.abandon() == 4
    outbox.sent()
    outbox.lost(SinkCause.TIMED_OUT)
    assert balanced(outbox.figures()).lost == {"shutdown": 4}
    assert outbox.abandoned.is_set()


def test_a_batch_waits_for_more_only_so_long():
    outbox = Outbox("test", 50)
    outbox.put(1, 1)
    assert outbox.take(10, linger_s=0.02) == [1]
    with ThreadPoolExecutor(1) as threads:
        outbox.put(2, 1)
        taking = threads.submit(outbox.take, 3, 60.0)
        outbox.put(3, 1)
        outbox.put(4, 1)
        assert taking.result(10) == [2, 3, 4]


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_courier_delivers_in_order_and_ends_when_all_is_delivered():
    outbox, got = Outbox("test", 1000), []

    def deliver(items):
        got.extend(items)
        outbox.sent(len(items))

    courier = Courier(outbox, "test", deliver, most=7)
    courier.start()
    for number in range(500):
        outbox.put(number, 1)
    courier.finish()
    assert got == list(range(500))
    assert balanced(outbox.figures()).sent == 500


@pytest.mark.usefixtures("no_thread_is_left")
def test_an_error_nobody_foresaw_loses_its_items_only(caplog):
    outbox, got = Outbox("test", 1000), []

    def deliver(items):
        if items[0] % 2:
            raise ZeroDivisionError(f"item {items[0]}")
        got.extend(items)
        outbox.sent(len(items))

    courier = Courier(outbox, "test", deliver)
    for number in range(6):
        outbox.put(number, 1)
    courier.start()
    courier.finish()
    assert got == [0, 2, 4]
    assert balanced(outbox.figures()).lost == {"internal": 3}
    assert caplog.text.count("sink test failed on 1 results") == 1


@pytest.mark.usefixtures("no_thread_is_left")
def test_what_cannot_be_delivered_in_time_is_given_up(caplog):
    outbox = Outbox("test", 1000)
    courier = Courier(outbox, "test", lambda _: outbox.abandoned.wait(60))
    courier.start()
    for number in range(6):
        outbox.put(number, 1)
    courier.finish(limit_s=0.05)
    assert balanced(outbox.figures()).lost == {"shutdown": 6}
    assert "6 results had not arrived after 0.05 s and are given up" in caplog.text


@pytest.mark.usefixtures("no_thread_is_left")
def test_the_account_is_exact_with_many_threads():
    """Items are settled by other threads than the one that took them, as a broker's confirmations are."""
    outbox, lock, seen = Outbox("test", 20), threading.Lock(), []
    pool = ThreadPoolExecutor(4)

    def settle(item):
        with lock:
            seen.append(item)
        if random.random() < 0.3:
            outbox.lost(SinkCause.REJECTED)
        else:
            outbox.sent()

    courier = Courier(outbox, "test", lambda items: [pool.submit(settle, item) for item in items], most=3)
    courier.start()
    with ThreadPoolExecutor(3) as putting:
        for start in range(3):
            putting.submit(lambda start=start: [outbox.put(start * 1000 + n, 1) for n in range(1000)])
    until(lambda: outbox.figures().waiting == 0, "all to be settled")
    courier.finish()
    pool.shutdown()
    figures = balanced(outbox.figures())
    assert figures.put == 3000
    assert len(seen) == len(set(seen)) == 3000 - figures.lost.get("queue_full", 0)
    assert figures.sent == len(seen) - figures.lost["rejected"]
