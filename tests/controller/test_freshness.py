"""Which of two statements about an object is the newer one."""

from __future__ import annotations

from typing import Any

import pytest

from controller.freshness import Deletions, is_older, version_of


def seen(version: Any, uid: str = "u") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "resourceVersion": version}}


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("", 0), (None, 0), ("a1", 0), ("0", 0)])
def test_a_version_that_is_no_number_counts_as_nought(text: str | None, number: int) -> None:
    assert version_of(seen(text)) == number


@pytest.mark.parametrize(
    ("document", "known", "older"),
    [
        (seen("9"), seen("10"), True),  # as numbers, not as text
        (seen("10"), seen("9"), False),
        (seen("10"), seen("10"), False),
        (seen("9", uid="first"), seen("10", uid="second"), True),  # the first object must not come back
        (seen("10", uid="second"), seen("9", uid="first"), False),
    ],
)
def test_the_higher_version_is_the_newer_whichever_object_it_is(document: Any, known: Any, older: bool) -> None:
    assert is_older(document, known) is older


def test_what_was_said_before_a_deletion_is_covered_by_it() -> None:
    deletions = Deletions()
    deletions.add("a", seen("7"))
    deletions.add("a", seen("5"))  # told late, of an object before it
    assert [deletions.cover("a", seen(str(version))) for version in (5, 7, 8)] == [True, True, False]
    assert not deletions.cover("b", seen("1"))


def test_only_the_last_deletions_are_remembered() -> None:
    deletions = Deletions(most=2)
    for place in ("a", "b", "a", "c"):
        deletions.add(place, seen("7"))
    assert [deletions.cover(place, seen("1")) for place in "abc"] == [True, False, True]
