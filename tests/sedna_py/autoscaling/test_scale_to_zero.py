"""Whether a cloud worker may sleep, and after how long."""

from __future__ import annotations

from typing import Any

import pytest

from sedna_py.api.scaling_annotations import RETENTION, WINDOW, annotation_findings, scaling_annotations
from sedna_py.autoscaling.scale_to_zero import idle_window_s, may_sleep
from tests.controller.wanted_objects import parsed_service


@pytest.mark.parametrize(
    ("hpa", "may"),
    [
        (None, False),
        ({"maxReplicas": 3}, False),
        ({"minReplicas": 1, "maxReplicas": 3}, False),
        ({"minReplicas": 0, "maxReplicas": 3}, True),
        ({"minReplicas": 0, "maxReplicas": 3, "class": "none"}, False),
        ({"minReplicas": 0, "maxReplicas": 3, "class": "external"}, False),
    ],
)
def test_it_may_where_its_least_is_none_and_nobody_else_scales_it(hpa: dict[str, Any] | None, may: bool) -> None:
    assert may_sleep(parsed_service({"spec.cloudWorker.hpa": hpa} if hpa else {})) is may


@pytest.mark.parametrize(
    ("annotations", "seconds"),
    [
        (None, 60),
        ({WINDOW: "30s"}, 30),
        ({RETENTION: "1m30s"}, 150),
        ({WINDOW: "6s", RETENTION: "0s"}, 6),
        ({WINDOW: "1h", RETENTION: "1h"}, 7200),
        ({WINDOW: "5s", RETENTION: "2h"}, 60),  # neither can be used
        ({RETENTION: ""}, 60),
        ({RETENTION: "-1s"}, 60),
    ],
)
def test_the_window_and_on_top_of_it_how_long_the_last_pod_is_kept(
    annotations: dict[str, str] | None, seconds: float
) -> None:
    assert idle_window_s(annotations) == seconds


def test_a_retention_that_cannot_be_used_is_named() -> None:
    about = {"name": "helmet", "namespace": "shop", "uid": "u", "annotations": {RETENTION: "soon"}}
    [finding] = annotation_findings(parsed_service({"metadata": about}))
    assert RETENTION in str(finding)
    assert "from 0s to 1h" in str(finding)
    assert scaling_annotations({RETENTION: "0s"}).retention_s == 0
