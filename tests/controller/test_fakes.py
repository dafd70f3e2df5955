"""The fake is asked as the real one is."""

from __future__ import annotations

import inspect

from controller.cluster import Cluster
from tests.controller.fakes import FakeCluster


def test_the_fake_has_the_signatures_of_the_real_one() -> None:
    for name, method in inspect.getmembers(Cluster, inspect.iscoroutinefunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(FakeCluster, name)) == inspect.signature(method), name
