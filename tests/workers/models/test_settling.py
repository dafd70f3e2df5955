"""Only what has come to rest is tried, nothing broken twice, and a lower version only when the served one is gone."""

from __future__ import annotations

from pathlib import Path

from workers.models import settling
from workers.models.settling import Settling
from workers.models.version_folder import Candidate, Survey


def candidate(version: int, fingerprint: str = "a") -> Candidate:
    return Candidate(str(version), Path(f"/m/{version}"), fingerprint, Path(f"/m/{version}"))


def survey(*candidates: Candidate, empty: tuple[int, ...] = ()) -> Survey:
    return Survey(candidates, frozenset([c.version for c in candidates] + [str(number) for number in empty]))


ONE, TWO, THREE = candidate(1), candidate(2), candidate(3)


def test_a_version_is_tried_when_it_has_been_the_same_for_the_time_to_settle() -> None:
    settles = Settling(1.0)
    assert settles.decide(survey(TWO, ONE), ONE, 10.0) is None
    assert settles.due_in(10.0) == 1.0
    assert settles.decide(survey(candidate(2, "b"), ONE), ONE, 10.9) is None
    assert settles.decide(survey(candidate(2, "b"), ONE), ONE, 11.5) is None
    assert settles.decide(survey(candidate(2, "b"), ONE), ONE, 11.9) == candidate(2, "b")
    assert settles.due_in(11.9) is None


def test_at_the_time_that_is_due_it_has_settled_whatever_the_rounding() -> None:
    for number in range(200):
        settles, now = Settling(0.1), 1000.0 + number / 7
        settles.decide(survey(ONE), None, now)
        assert settles.decide(survey(ONE), None, now + 0.1) == ONE


def test_what_is_served_is_not_tried_again_until_it_changes() -> None:
    settles = Settling(1.0)
    for now in (0.0, 1.0, 5.0):
        assert settles.decide(survey(TWO, ONE), TWO, now) is None
    changed = candidate(2, "b")
    assert [settles.decide(survey(changed, ONE), TWO, now) for now in (6.0, 7.0)] == [None, changed]


def test_a_refused_version_is_passed_over_until_it_changes() -> None:
    settles = Settling(0.0)
    assert settles.decide(survey(THREE, TWO, ONE), ONE, 0.0) == THREE
    settles.refuse(THREE)
    assert settles.decide(survey(THREE, TWO, ONE), ONE, 1.0) == TWO
    assert settles.decide(survey(THREE, TWO, ONE), TWO, 2.0) is None
    assert settles.decide(survey(TWO, ONE), TWO, 3.0) is None  # moved away, and back
    assert settles.decide(survey(THREE, TWO, ONE), TWO, 4.0) is None
    assert settles.decide(survey(candidate(3, "b"), TWO), TWO, 5.0) == candidate(3, "b")


def test_a_broken_change_of_the_served_version_does_not_lead_to_a_lower_one() -> None:
    settles = Settling(0.0)
    broken = candidate(2, "b")
    settles.refuse(broken)
    assert settles.decide(survey(broken, ONE), TWO, 0.0) is None


def test_a_version_that_is_still_written_does_not_keep_a_lower_whole_one_waiting() -> None:
    settles = Settling(1.0)
    assert settles.decide(survey(TWO, ONE), ONE, 0.0) is None
    assert settles.decide(survey(THREE, TWO, ONE), ONE, 1.0) == TWO


def test_a_lower_version_is_taken_when_the_served_folder_has_been_gone_for_the_time_to_settle() -> None:
    settles = Settling(1.0)
    settles.decide(survey(TWO, ONE), TWO, 0.0)
    assert settles.decide(survey(ONE), TWO, 10.0) is None
    assert settles.due_in(10.0) == 1.0
    assert settles.decide(survey(TWO, ONE), TWO, 10.5) is None  # `rm -r 2; mv new 2` is no rollback
    assert settles.decide(survey(ONE), TWO, 10.6) is None
    assert settles.decide(survey(ONE), TWO, 11.6) == ONE


def test_a_served_folder_that_is_empty_for_now_is_not_gone() -> None:
    settles = Settling(1.0)
    assert [settles.decide(survey(ONE, empty=(2,)), TWO, now) for now in (0.0, 10.0)] == [None, None]


def test_whoever_vouches_for_the_files_does_not_wait() -> None:
    settles = Settling(1.0)
    assert settles.decide(survey(TWO, ONE), ONE, 0.0, vouched=True) == TWO
    settles.refuse(TWO)
    assert settles.decide(survey(TWO, ONE), ONE, 0.1, vouched=True) is None
    assert settles.decide(survey(ONE), TWO, 0.2, vouched=True) == ONE


def test_what_is_remembered_is_bounded() -> None:
    settles = Settling(0.0)
    many = [candidate(1, str(number)) for number in range(settling.MOST_REFUSED + 1)]
    for one in many:
        settles.refuse(one)
    assert [settles.is_refused(one) for one in (many[0], many[1], many[-1])] == [False, True, True]
