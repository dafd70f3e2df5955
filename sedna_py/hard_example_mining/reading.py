"""Read a model's answer, whatever container it came in, as plain floats.

Lists, tuples, numpy arrays and tensors (anything with `tolist`) are read alike, outside and inside. What cannot
be read gives the decision to return: not hard, because a frame that the filter cannot judge must not cost an upload.
"""

from __future__ import annotations

from typing import Any

from sedna_py.hard_example_mining.base import BaseFilter, Decision

_SCORE_INDEX = 4  # [xmin, ymin, xmax, ymax, score, class]


def read_box_scores(infer_result: Any) -> list[float] | Decision:
    """Return the score of every `[xmin, ymin, xmax, ymax, score, ...]`, of any size, NaN included."""
    boxes = _read_items(infer_result, "boxes")
    if isinstance(boxes, Decision):
        return boxes
    scores = [_read_score(box) for box in boxes]
    return _all_read(scores, "box {} has no score at index 4")


def read_probabilities(infer_result: Any) -> list[float] | Decision:
    """Return the class probabilities, each from 0 to 1."""
    items = _read_items(infer_result, "probabilities")
    if isinstance(items, Decision):
        return items
    numbers = _all_read([_read_number(item) for item in items], "probability {} is not a number")
    return numbers if isinstance(numbers, Decision) else check_range(numbers)


def check_range(scores: list[float]) -> list[float] | Decision:
    """Return `scores` if all are from 0 to 1 (NaN is not)."""
    for index, score in enumerate(scores):
        if not BaseFilter.data_check(score):
            return unusable(f"score {index} is {score:g}, outside 0 to 1")
    return scores


def unusable(what: str) -> Decision:
    """Return the decision for data that cannot be judged: not hard."""
    return Decision(False, f"cannot judge: {what}")


def _read_items(infer_result: Any, noun: str) -> list[Any] | Decision:
    plain = _plain(infer_result)
    try:
        items = [] if plain is None else list(plain)
    except TypeError:
        return unusable(f"{type(plain).__name__} is not a list of {noun}")
    return items or Decision(False, f"nothing to judge: no {noun}")


def _read_score(box: Any) -> float | None:
    try:
        fields = _plain(box)
        return _read_number(fields[_SCORE_INDEX])
    except (TypeError, LookupError):
        return None


def _read_number(value: Any) -> float | None:
    try:
        return float(_plain(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _all_read(numbers: list[float | None], complaint: str) -> list[float] | Decision:
    read = [number for number in numbers if number is not None]
    if len(read) < len(numbers):
        return unusable(complaint.format(numbers.index(None)))
    return read


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
