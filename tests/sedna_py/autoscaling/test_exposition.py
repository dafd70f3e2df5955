"""A worker's page, honest and not."""

from __future__ import annotations

import random
import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sedna_py.autoscaling.exposition import MAX_PAGE_CHARACTERS, parse_snapshot
from sedna_py.autoscaling.snapshot import Snapshot
from sedna_py.errors import MalformedBody
from sedna_py.metrics import names

VALUES = {
    names.WORKER_BEGAN: 1_764_500_000.25,
    names.WORKER_OFFERED: 1000.0,
    names.WORKER_DONE: 900.0,
    names.WORKER_DROPPED: 90.0,
    names.WORKER_PRESENT_SECONDS: 50.125,
    names.WORKER_WAITING_SECONDS: 10.5,
    names.WORKER_BUSY_SECONDS: 30.0,
    names.WORKER_STREAMS: 2.0,
}


def page(changes: dict[str, str] | None = None, more: str = "") -> str:
    lines = {name: repr(value) for name, value in VALUES.items()} | (changes or {})
    return "# HELP a b\n" + "".join(f"{name} {value}\n" for name, value in lines.items() if value) + more


def test_the_page_of_the_client_library_is_read():
    registry = CollectorRegistry()
    for name, value in VALUES.items():
        if name.endswith("_total"):
            Counter(name, "help", registry=registry).inc(value)
        else:
            Gauge(name, "help", registry=registry).set(value)
    Counter(names.WORKER_HARD, "help", registry=registry).inc(7)
    Gauge(names.WORKER_BACKLOG_AGE_SECONDS, "help", registry=registry).set(0.25)
    Gauge(names.WORKER_CPU_LIMIT, "help", registry=registry).set(4)
    Counter("sedna_worker_done_of_others", "help", ["le"], registry=registry).labels("1").inc(5)
    latency = Histogram(names.WORKER_LATENCY_SECONDS, "help", registry=registry, buckets=names.STAGE_BUCKETS_S)
    for seconds in (0.0005, 0.3, 0.3, 100):
        latency.observe(seconds)
    read = parse_snapshot(generate_latest(registry).decode(), at=17.0)
    assert read == Snapshot(
        17.0,
        1_764_500_000.25,
        1000.0,
        900.0,
        90.0,
        50.125,
        10.5,
        30.0,
        2.0,
        (1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 4),
        7.0,
        0.25,
    )


def test_a_page_without_histogram_and_of_no_edge_is_read():
    read = parse_snapshot(page(), at=1.0)
    assert (read.latency, read.hard, read.backlog_age_s) == ((), None, None)


def test_a_time_behind_the_value_is_no_harm():
    assert parse_snapshot(page({names.WORKER_DONE: "5 1764500000000"}), at=1.0).done == 5


@pytest.mark.parametrize(
    "value", ["NaN", "nan", "+Inf", "inf", "-Inf", "-1", "-0.001", "1e308", "1.1e15", "many", "0x10"]
)
@pytest.mark.parametrize("name", sorted(VALUES))
def test_what_is_no_count_is_refused(name: str, value: str):
    with pytest.raises(MalformedBody, match=f"^{name} is '.*'; a worker counts from 0 to 1e[+]15$"):
        parse_snapshot(page({name: value}), at=1.0)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_counter_that_is_missing_is_named(name: str):
    with pytest.raises(
        MalformedBody, match=f"^the page has no {name}; a worker of this version has it once its model is loaded$"
    ):
        parse_snapshot(page({name: ""}), at=1.0)


def test_a_counter_that_is_there_twice_is_refused():
    with pytest.raises(MalformedBody, match=f"{names.WORKER_DONE} twice"):
        parse_snapshot(page(more=f"{names.WORKER_DONE} 4\n"), at=1.0)


def bucket(bound: str, value: str) -> str:
    return f'{names.WORKER_LATENCY_SECONDS}_bucket{{le="{bound}"}} {value}\n'


def histogram(*values: float) -> str:
    bounds = [*map(str, names.STAGE_BUCKETS_S), "+Inf"]
    return "".join(bucket(bound, str(value)) for bound, value in zip(bounds, values, strict=True))


FULL = (1.0,) * (len(names.STAGE_BUCKETS_S) + 1)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(bucket("+Inf", "3"), "has other bounds than a worker's", id="one bucket"),
        pytest.param(histogram(*FULL) + bucket("7", "3"), "has other bounds than a worker's", id="one more"),
        pytest.param(histogram(*FULL) + bucket("10.0", "3"), "twice", id="one twice"),
        pytest.param(histogram(3.0, *FULL[1:]), "fewer requests than the one below", id="falls"),
        pytest.param(histogram(*FULL[1:], float("nan")), "is 'nan'", id="NaN"),
        pytest.param(histogram(*FULL) + bucket("wide", "3"), "le is 'wide'", id="no bound"),
        pytest.param(histogram(*FULL) + bucket("nan", "3"), "le is 'nan'", id="a bound of NaN"),
    ],
)
def test_what_is_no_histogram_is_refused(more: str, said: str):
    with pytest.raises(MalformedBody, match=said):
        parse_snapshot(page(more=more), at=1.0)


@pytest.mark.parametrize("text", ["", "\n", "<html>", "\0", "sedna_worker_done_total", "{}"])
def test_another_page_is_refused(text: str):
    with pytest.raises(MalformedBody, match="the page has no sedna_worker_"):
        parse_snapshot(text, at=1.0)


def test_a_long_page_is_refused_unseen_and_the_longest_one_is_read_in_no_time():
    with pytest.raises(MalformedBody, match="more than 1048576 characters"):
        parse_snapshot(page() + "x" * MAX_PAGE_CHARACTERS, at=1.0)
    for piece in (
        "sedna_worker_",
        "\n",
        "sedna_worker_a ",
        "a" * 1000 + "\n",
        'sedna_worker_a{le="',
        "sedna_worker_a 1\n",
    ):
        text = page() + piece * ((MAX_PAGE_CHARACTERS - len(page())) // len(piece))
        began = time.process_time()
        parse_snapshot(text, at=1.0)
        assert time.process_time() - began < 1.0, piece


def test_no_damage_to_a_page_raises_anything_else():
    dice = random.Random(4)
    whole = page(more=histogram(*FULL))
    alphabet = '0123456789.eE+-naifNI_{}"\n #le=sdw'
    for _ in range(3000):
        text = list(whole)
        for _ in range(dice.randint(1, 6)):
            place = dice.randrange(len(text))
            text[place : place + dice.randint(0, 5)] = dice.choices(alphabet, k=dice.randint(0, 5))
        try:
            read = parse_snapshot("".join(text), at=1.0)
        except MalformedBody:
            continue
        assert all(0 <= value <= 1e15 for value in (read.done, read.offered, read.busy_s, *read.latency))
