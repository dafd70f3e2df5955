from __future__ import annotations

from collections.abc import Callable

import pytest

from sedna_py.decision_log import DecisionRecord, Path
from sedna_py.local.sample_choice import choose_samples, spread
from sedna_py.protocol.causes import OffloadCause

MakeRecord = Callable[..., DecisionRecord]


def chosen(make_record: MakeRecord, kinds: str, count: int = 6) -> str:
    """Return the kinds of the chosen frames; `kinds` has an h for each hard frame and an e for each easy one."""
    joint = [make_record(number, hard=kind == "h") for number, kind in enumerate(kinds)]
    return "".join("h" if choice.record.hard else "e" for choice in choose_samples(joint, [], count))


@pytest.mark.parametrize(
    ("kinds", "count", "expected"),
    [
        ("", 6, ""),
        ("e" * 50, 6, "eeeeee"),
        ("h" * 50, 6, "hhhhhh"),
        ("eh" * 50, 6, "eheheh"),
        ("e" * 50 + "h", 6, "eeeeeh"),
        ("e" + "h" * 50, 6, "ehhhhh"),
        ("eh", 6, "eh"),  # fewer frames than samples
        ("hhh", 6, "hhh"),
        ("ehe", 2, "eh"),
        ("eh" * 9, 5, "eehhh"),  # the odd one is hard
        ("eh", 0, ""),
    ],
)
def test_half_easy_half_hard_and_the_rest_from_what_there_is(
    make_record: MakeRecord, kinds: str, count: int, expected: str
) -> None:
    assert sorted(chosen(make_record, kinds, count)) == sorted(expected)


def test_samples_are_in_the_order_of_their_frames(make_record: MakeRecord) -> None:
    joint = [make_record(number, hard=number % 2 == 0) for number in (5, 4, 3, 2, 1, 0)]
    assert [choice.record.frame for choice in choose_samples(joint, [])] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [50]), (2, [25, 75]), (4, [12, 37, 62, 87]), (0, []), (-1, []), (100, [*range(100)])]
)
def test_spread(make_record: MakeRecord, count: int, expected: list[int]) -> None:
    assert [record.frame for record in spread([make_record(number) for number in range(100)], count)] == expected


def test_nothing_to_spread() -> None:
    assert spread([], 3) == []


@pytest.mark.parametrize(
    ("changes", "caption"),
    [
        ({"path": Path.EDGE, "reason": "sure"}, "easy, the edge's answer: sure"),
        ({"path": Path.CLOUD, "hard": True, "reason": "unsure"}, "hard, the cloud's answer: unsure"),
        (
            {"path": Path.FALLBACK, "hard": True, "cause": OffloadCause.QUEUE_FULL, "reason": "unsure"},
            "hard, but the edge's answer stands (queue full): unsure",
        ),
    ],
)
def test_captions(make_record: MakeRecord, changes: dict[str, object], caption: str) -> None:
    (choice,) = choose_samples([make_record(1, **changes)], [])
    assert choice.caption == caption


def test_the_big_models_answer_is_the_joint_runs_or_else_that_of_the_cloud_only_run(make_record: MakeRecord) -> None:
    asked, said = [[0, 0, 1, 1, 0.9, 0]], [[0, 0, 2, 2, 0.8, 0]]
    joint = [
        make_record(1, hard=True, path=Path.CLOUD, cloud=asked),
        make_record(2),
        make_record(3),
        make_record(4, cloud=[]),
    ]
    cloud_only = [make_record(1, cloud=said), make_record(2, cloud=said), make_record(4, cloud=said)]
    found = {choice.record.frame: choice.cloud for choice in choose_samples(joint, cloud_only)}
    assert found == {1: asked, 2: said, 3: None, 4: []}
