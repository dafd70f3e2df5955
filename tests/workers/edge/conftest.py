"""Fixtures of the edge worker's tests."""

from __future__ import annotations

import threading

import pytest

from tests.workers.edge.fakes import until
from tests.workers.edge.programs import Programs


@pytest.fixture
def programs(tmp_path):
    """Starts real workers; all of them are ended with the test."""
    made = Programs(tmp_path)
    yield made
    made.end()


@pytest.fixture
def no_thread_is_left():
    """Fails a test after which a thread goes on."""
    before = set(threading.enumerate())
    yield
    until(lambda: not set(threading.enumerate()) - before, "the threads to end")
