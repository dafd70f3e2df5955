"""The accounts of a process and its child."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sedna_py.errors import SettingsError
from sedna_py.load_test import processes
from sedna_py.load_test.meter import Meter

BURN = "import time; [0 for _ in iter(lambda: time.process_time() < 0.15, False)]; print('done', flush=True); input()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BURN!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
input()
child.communicate(b"\\n")
print("reaped", flush=True)
input()
"""


def test_a_server_counts_with_its_children_alive_and_dead():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert processes.family(parent.pid) == [parent.pid, child]
        alive = processes.cpu_seconds(parent.pid)
        assert alive >= 0.14
        both = processes.rss_bytes(parent.pid)
        assert both > processes.rss_bytes(child) > 1_000_000
        pss = processes.pss_bytes(parent.pid)
        assert pss is None or 0 < pss < both
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        parent.stdout.readline()
        assert processes.family(parent.pid) == [parent.pid]
        assert processes.cpu_seconds(parent.pid) >= alive
        parent.stdin.close()
    assert processes.cpu_seconds(parent.pid) is None
    with pytest.raises(SettingsError, match=f"--pid {parent.pid}: there is no such process"):
        processes.require_process(parent.pid)


def test_a_meter_tells_what_was_used_between_its_readings_and_nothing_without():
    meter = Meter(os.getpid())
    assert meter.server(10) is None
    meter.begin()
    begun = os.times().user
    while os.times().user - begun < 0.05:
        pass
    meter.end()
    use = meter.server(10)
    assert 0.03 <= use.cpu_s < 5
    assert use.answers_per_cpu_s == pytest.approx(10 / use.cpu_s)
    assert meter.own_s >= 0.04
    assert Meter(None).server(10) is None
