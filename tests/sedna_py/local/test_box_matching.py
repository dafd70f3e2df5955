from __future__ import annotations

import math

import pytest

from sedna_py.local.box_matching import Detection, count_matches, detections, overlap


def box(xmin: float, xmax: float, score: float = 0.9, label: float = 0) -> Detection:
    return Detection(xmin, 0, xmax, 10, score, label)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (box(0, 10), 1.0),
        (box(5, 15), 1 / 3),
        (box(0, 5), 0.5),
        (box(10, 20), 0.0),  # touching is not overlapping
        (box(3, 3), 0.0),
    ],
)
def test_overlap(other: Detection, expected: float) -> None:
    assert overlap(box(0, 10), other) == pytest.approx(expected)
    assert overlap(other, box(0, 10)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("boxes", "reference", "expected"),
    [
        ([], [], 0),
        ([box(0, 10)], [], 0),
        ([box(0, 10)], [box(0, 5)], 1),  # exactly at the level
        ([box(0, 10)], [box(0, 4.9)], 0),
        ([box(0, 10, label=1)], [box(0, 10, label=0)], 0),
        ([box(0, 10), box(0, 10)], [box(0, 10)], 1),  # a partner serves once
        ([box(0, 10), box(20, 30)], [box(21, 31), box(1, 11)], 2),
        # The higher score chooses first and takes the best partner, although the other then has none.
        ([box(2, 12, score=0.9), box(0, 10, score=0.5)], [box(1.9, 11.9), box(7, 17)], 1),
    ],
)
def test_count_matches(boxes: list[Detection], reference: list[Detection], expected: int) -> None:
    assert count_matches(boxes, reference) == expected


@pytest.mark.parametrize(
    ("item", "is_box"),
    [
        ([0, 0, 1, 1, 0.5, 0], True),
        ((0, 0, 1, 1, 0.5, "face"), True),
        ([0, 0, 1, 1, 0.5], False),
        ([0, 0, 1, 1, None, 0], False),
        ([0, 0, 1, math.nan, 0.5, 0], False),
        ([0, 0, 1, True, 0.5, 0], False),
        ([0, 0, 1, 1, 0.5, [0]], False),
        ({"label": "cat"}, False),
    ],
)
def test_detections_are_all_boxes_or_none(item: object, is_box: bool) -> None:
    found = detections([item])
    assert (found is not None) is is_box
    assert detections([]) == []
