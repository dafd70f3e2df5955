"""The cpu limit as cgroups v1 and v2 state it, inside a container and outside, with whatever else is mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.bench.cgroups import cpu_group
from workers.cpu_limit import CpuBudget, cpu_budget, parse_cfs, parse_cpu_max, read_cpu_budget, read_quota
from workers.cpu_metrics import show_cpu

ROOT = Path(__file__).resolve().parents[2]
POD = "/kubepods/burstable/pod1/abc"
V1_CPU = "33 31 0:30 {root} /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu"
V1_BOTH = "33 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct"
V1_OTHERS = """
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
22 1 8:1 / / rw,relatime - ext4 /dev/root rw,cpu
"""
V2 = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"


def machine(root: Path, cgroup: str, mounts: str, limits: dict[str, str]) -> Path:
    """Write /proc and the limits; a v1 limit is written `quota/period`, a v2 one as cpu.max has it."""
    files = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts + V1_OTHERS}
    for folder, limit in limits.items():
        if "/" in limit:
            files[f"{folder}/cpu.cfs_quota_us"], files[f"{folder}/cpu.cfs_period_us"] = limit.split("/")
        else:
            files[f"{folder}/cpu.max"] = limit
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


CPU, BOTH, TOP = "sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("cgroup", "mounts", "limits", "quota"),
    [
        pytest.param(f"1:cpu:{POD}", V1_CPU.format(root="/"), {CPU + POD: "50000/100000"}, 0.5, id="v1, host's mount"),
        pytest.param(f"1:cpu:{POD}", V1_CPU.format(root=POD), {CPU: "150000/100000"}, 1.5, id="v1, container's mount"),
        pytest.param("1:cpu:/", V1_CPU.format(root="/"), {CPU: "200000/100000"}, 2, id="v1, cgroup namespace"),
        pytest.param(
            f"1:cpu:{POD}/inner",
            V1_CPU.format(root=POD),
            {CPU: "300000/100000", CPU + "/inner": "-1/100000"},
            3,
            id="v1, a cgroup of its own inside the container",
        ),
        pytest.param(
            f"1:cpu:{POD}",
            V1_CPU.format(root="/"),
            {CPU + POD: "400000/100000", CPU + "/kubepods/burstable/pod1": "100000/100000"},
            1,
            id="v1, the pod has less than the container",
        ),
        pytest.param(
            f"4:cpuacct,cpu:{POD}", V1_BOTH.format(root="/"), {BOTH + POD: "25000/50000"}, 0.5, id="v1, co-mounted"
        ),
        pytest.param("1:cpu:/other", V1_CPU.format(root=POD), {CPU: "100000/100000"}, 1, id="v1, path is elsewhere"),
        pytest.param(
            f"1:cpu:{POD}\n0::/", f"{V1_CPU.format(root='/')}\n{HYBRID}", {CPU + POD: "100000/100000"}, 1, id="hybrid"
        ),
        pytest.param(f"1:cpu:{POD}", V1_CPU.format(root="/"), {CPU + POD: "-1/100000"}, None, id="v1, no limit"),
        pytest.param(f"0::{POD}", V2.format(root="/"), {TOP + POD: "50000 100000"}, 0.5, id="v2, host's mount"),
        pytest.param("0::/", V2.format(root="/"), {TOP: "150000 100000"}, 1.5, id="v2, cgroup namespace"),
        pytest.param(
            "0::/../other", V2.format(root="/"), {TOP: "150000 100000"}, 1.5, id="v2, moved out of its namespace"
        ),
        pytest.param(
            f"0::{POD}",
            V2.format(root="/"),
            {TOP + POD: "max 100000", TOP + "/kubepods": "700000 100000"},
            7,
            id="v2, only the whole of the pods is limited",
        ),
        pytest.param(f"0::{POD}", V2.format(root="/"), {TOP + POD: "max 100000"}, None, id="v2, no limit"),
        pytest.param(f"0::{POD}", V2.format(root="/"), {}, None, id="v2, no cpu controller"),
        pytest.param("0::/", V2.format(root="/"), {TOP: "rubbish"}, None, id="v2, unreadable"),
        pytest.param("9:name=systemd:/", "", {CPU: "100000/100000"}, None, id="no cpu cgroup"),
        pytest.param(
            "1:cpu:/a b", V1_CPU.format(root="/a\\040b"), {CPU: "100000/100000"}, 1, id="a blank in the mount's root"
        ),
    ],
)
def test_the_smallest_limit_around_the_process_counts(
    tmp_path: Path, cgroup: str, mounts: str, limits: dict[str, str], quota: float | None
) -> None:
    assert read_quota(machine(tmp_path, cgroup, mounts, limits)) == quota


def test_no_proc_is_no_limit(tmp_path: Path) -> None:
    assert read_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "cpus", "setting", "threads", "bound"),
    [
        pytest.param(None, 8, 0, 8, 0, id="no limit: left to the libraries"),
        pytest.param(None, 8, 3, 3, 3, id="no limit, a setting"),
        pytest.param(0.5, 8, 0, 1, 1, id="half a cpu"),
        pytest.param(1, 8, 0, 1, 1, id="one cpu"),
        pytest.param(1.4, 8, 0, 1, 1, id="rounded down"),
        pytest.param(1.5, 8, 0, 2, 2, id="rounded up"),
        pytest.param(2.5, 8, 0, 3, 3, id="rounded up, not to the even"),
        pytest.param(16, 8, 0, 8, 8, id="more than there are"),
        pytest.param(1, 8, 4, 4, 4, id="the setting wins"),
    ],
)
def test_threads(quota: float | None, cpus: int, setting: int, threads: int, bound: int) -> None:
    budget = cpu_budget(quota, cpus, setting)
    assert budget == CpuBudget(quota, cpus, threads)
    assert budget.bound == bound


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (CpuBudget(None, 8, 8), "no cpu limit, 8 cpus"),
        (CpuBudget(0.5, 8, 1), "cpu limit 0.5 of 8 cpus"),
        (CpuBudget(1.0, 2, 1), "cpu limit 1 of 2 cpus"),
    ],
)
def test_what_the_log_says(budget: CpuBudget, says: str) -> None:
    assert str(budget) == says


def test_the_cpus_are_those_the_process_may_run_on(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    one = {min(before)}
    os.sched_setaffinity(0, one)
    try:
        assert read_cpu_budget(root=tmp_path) == CpuBudget(None, 1, 1)
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(("quota", "period"), [("0", "100000"), ("5", "0"), ("", ""), ("x", "1"), ("-1", "100000")])
def test_what_is_no_v1_limit(quota: str, period: str) -> None:
    assert parse_cfs(quota, period) is None


@pytest.mark.parametrize("text", ["", "max", "max 100000", "1 2 3", "x y"])
def test_what_is_no_v2_limit(text: str) -> None:
    assert parse_cpu_max(text) is None


@pytest.mark.processes
def test_a_process_in_a_cgroup_of_this_machine() -> None:
    program = "import os, workers; from workers.cpu_limit import read_quota; print(read_quota(), os.environ['OMP_NUM_THREADS'])"
    try:
        with cpu_group(0.5) as group:
            command = group.command(sys.executable, "-c", program)
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    except PermissionError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    assert done.stdout.split() == ["0.5", "1"]


def test_the_metrics() -> None:
    registry = CollectorRegistry()
    show_cpu(registry, CpuBudget(1.5, 8, 2))
    assert registry.get_sample_value("sedna_worker_cpu_limit") == 1.5
    assert registry.get_sample_value("sedna_worker_inference_threads") == 2
