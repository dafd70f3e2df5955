"""Sums of what the workers report, restored from the status alone."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from controller.status.totals import MAX_WORKERS, Counts, Totals


def through_status(totals: Totals) -> Totals:
    return Totals.from_status(json.loads(json.dumps(totals.to_status())))


def metrics(totals: Totals) -> list[str]:
    return [item["value"] for item in totals.to_status()["metrics"]]


def test_reports_of_several_workers_are_summed_by_what_is_new() -> None:
    totals = Totals().report("a", 10, 2).report("b", 5, 5).report("a", 12, 3).report("a", 12, 3)
    assert metrics(totals) == ["17", "8", "0.4706"]
    assert totals.last == {"a": Counts(12, 3), "b": Counts(5, 5)}


@pytest.mark.parametrize("anew", [(3, 1), (11, 1)])
def test_a_number_that_falls_means_that_the_container_began_anew(anew: tuple[int, int]) -> None:
    totals = Totals().report("a", 10, 2).report("a", *anew)
    assert totals.sums == Counts(10 + anew[0], 2 + anew[1])


def test_a_pod_that_is_gone_leaves_its_counts() -> None:
    totals = Totals().report("a", 10, 2).report("b", 5, 5).retire({"b", "c"})
    assert totals.to_status()["workers"] == [{"name": "b", "inferenceNumber": 5, "hardExampleNumber": 5}]
    assert metrics(totals)[0] == "15"
    assert "workers" not in totals.retire(()).to_status()


def test_retiring_nobody_changes_nothing() -> None:
    totals = Totals().report("a", 10, 2)
    assert totals.retire({"a"}) is totals


@pytest.mark.parametrize(
    ("counts", "text"), [((0, 0), "0"), ((1, 1), "1"), ((3, 1), "0.3333"), ((120, 30), "0.25"), ((10**6, 1), "0")]
)
def test_the_ratio_is_short(counts: tuple[int, int], text: str) -> None:
    assert metrics(Totals().report("a", *counts))[2] == text


def test_no_report_no_metrics() -> None:
    assert Totals().to_status() == {}
    assert through_status(Totals()) == Totals()


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (("", 1, 1), "the name of the worker"),
        (("x" * 254, 1, 1), "the name of the worker"),
        ((7, 1, 1), "the name of the worker"),
        (("a", -1, 0), "inferenceNumber is not a whole number"),
        (("a", 1.5, 0), "inferenceNumber is not a whole number"),
        (("a", True, 0), "inferenceNumber is not a whole number"),
        (("a", 2**63, 0), "inferenceNumber is not a whole number"),
        (("a", 1, "1"), "hardExampleNumber is not a whole number"),
        (("a", 1, 2), "hardExampleNumber is greater than inferenceNumber"),
    ],
)
def test_what_cannot_be_a_report_is_refused(report: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Totals().report(*report)


def test_the_number_of_workers_is_bounded_and_known_ones_still_count() -> None:
    totals = Totals(Counts(), {str(index): Counts() for index in range(MAX_WORKERS)})
    with pytest.raises(ValueError, match="more are not counted"):
        totals.report("another", 1, 0)
    assert totals.report("0", 1, 0).sums == Counts(1, 0)


def test_any_history_survives_a_restart_of_the_controller_at_any_moment() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        kept, restored = Totals(), Totals()
        for _ in range(30):
            name, inferences = f"pod-{chance.randrange(4)}", chance.randrange(100)
            hard = chance.randint(0, inferences)
            kept = kept.report(name, inferences, hard)
            restored = through_status(restored).report(name, inferences, hard)
            if chance.random() < 0.2:
                existing = {f"pod-{index}" for index in range(4) if chance.random() < 0.5}
                kept, restored = kept.retire(existing), through_status(restored).retire(existing)
        assert kept == through_status(restored)


@pytest.mark.parametrize(
    "status",
    [
        None,
        {"metrics": "x", "workers": 3},
        {"metrics": [{"key": "inferenceNumber", "value": "-5"}, {"key": "hardExampleNumber", "value": "9" * 5000}]},
        {"metrics": [{"key": "inferenceNumber", "value": "²"}], "workers": [{"name": "a", "inferenceNumber": "x"}]},
    ],
)
def test_an_odd_status_counts_as_nothing(status: Any) -> None:
    assert Totals.from_status(status).sums in {None, Counts(0, 0)}
