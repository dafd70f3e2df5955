"""What a node keeps of a container that failed, for the status."""

from __future__ import annotations

import pytest

from controller.resources.pod_template import Additions, pod_template
from sedna_py.api.model_mount import model_mount
from sedna_py.api.pod_template import PodTemplate

ADDITIONS = Additions(
    labels={}, injected=[], extra=[], mount=model_mount("/models/a.xml"), initializer_image="init:1", credentials=[]
)


@pytest.mark.parametrize(
    ("written", "policy"),
    [({}, "FallbackToLogsOnError"), ({"terminationMessagePolicy": "File"}, "File")],
    ids=["none written", "written"],
)
def test_the_end_of_the_log_is_kept_unless_the_template_says_otherwise(written: dict[str, str], policy: str) -> None:
    template = PodTemplate.model_validate({"spec": {"containers": [{"name": "a", "image": "a:1", **written}]}})
    [container] = pod_template(template, ADDITIONS, ("spec", "edgeWorker", "template"))["spec"]["containers"]
    assert container["terminationMessagePolicy"] == policy
