"""One line when the way to the cloud changes."""

from __future__ import annotations

import pytest

from sedna_py.client.route import RetryCause, Route, RouteCounts, RouteNews

SERVICE, PODS = "http://app-cloud.ns:5000", "app-cloud-pods.ns:5000"


@pytest.mark.parametrize(
    ("pods", "seen", "lines"),
    [
        (PODS, [(1, Route.SERVICE), (2, Route.PODS), (9, Route.PODS)], []),  # DNS had not answered yet
        (PODS, [(4, Route.SERVICE), (5, Route.SERVICE)], ["unreachable (DNS), using the Service"]),
        (PODS, [(4, Route.SERVICE), (5, Route.PODS), (6, Route.SERVICE)], ["unreachable"]),
        (PODS, [(4, Route.SERVICE), (5, Route.PODS), (10, Route.PODS)], ["unreachable", "answer, using them"]),
        (PODS, [(4, Route.NONE), (10, Route.PODS)], ["does not answer (DNS)", "answer, using them"]),
        ("", [(4, Route.SERVICE), (9, Route.NONE), (20, Route.SERVICE)], ["does not answer", "answers again"]),
        ("", [(4, Route.SERVICE), (900, Route.SERVICE)], []),
    ],
)
def test_each_change_is_said_once(pods, seen, lines):
    news = RouteNews(SERVICE, pods, 0.0)
    said = [line for now, route in seen if (line := news.look(route, "DNS", now))]
    assert len(said) == len(lines)
    for text, wanted in zip(said, lines, strict=True):
        assert wanted in text
        assert "\n" not in text


def test_figures_are_a_copy():
    counts = RouteCounts()
    counts.attempts[Route.PODS, "ok"] += 1
    figures = counts.figures(Route.PODS, {})
    counts.attempts[Route.PODS, "ok"] += 1
    counts.retries[RetryCause.NOT_READY] += 1
    assert (figures.attempts, figures.retries) == ({(Route.PODS, "ok"): 1}, {})
