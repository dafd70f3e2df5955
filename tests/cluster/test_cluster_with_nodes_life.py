"""Clusters with nodes of their own: the end of a killed owner, and the commands for people.

They come before the e2e tests' cluster starts, because a machine has one at a time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cluster.binaries import locate_with_nodes
from tests.cluster.errors import StartError, TierUnavailableError
from tests.cluster.leftovers import take_lock
from tests.cluster.machine_picture import left_behind, machine_picture
from tests.cluster.packages import require_machine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 200
START_AND_WAIT = textwrap.dedent("""
    import os, sys, time
    from pathlib import Path
    from tests.cluster.binaries import locate_with_nodes
    from tests.cluster.e2e_cluster import E2eCluster
    with E2eCluster(locate_with_nodes(os.environ), Path(sys.argv[1])) as cluster:
        cluster.run_in_edge_netns(["/bin/sleep", "600"])
        manifest = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "left"}, "spec": {"nodeName": "cloud1",' \\
            '"containers": [{"name": "main", "image": "sedna-py.test/pause:1", "ports":' \\
            '[{"containerPort": 80, "hostPort": 8099}], "volumeMounts": [{"name": "a", "mountPath": "/a"}]}],' \\
            '"volumes": [{"name": "a", "emptyDir": {"medium": "Memory"}}]}}'
        cluster.kubectl("apply", "-f", "-", stdin=manifest)
        cluster.kubectl("wait", "--for=condition=Ready", "pod/left", "--timeout=50s")
        print("ready", flush=True)
        time.sleep(600)
""")


@pytest.fixture(autouse=True)
def machine(tier_unavailable: Callable[[str, str], NoReturn]) -> Iterator[None]:
    """The machine, which looks the same afterwards."""
    try:
        require_machine()
        locate_with_nodes(os.environ)
    except TierUnavailableError as error:
        tier_unavailable("e2e", str(error))
    take_lock().close()  # says who has it
    before = machine_picture()
    yield
    assert left_behind(before) == []


def test_all_is_cleaned_up_when_the_owner_is_killed(tmp_path):
    before = machine_picture()
    command = [sys.executable, "-c", START_AND_WAIT, str(tmp_path / "cluster")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"ready\n"
        new = {line.split()[0] for line in machine_picture() - before}
        with pytest.raises(StartError, match=rf"another cluster with nodes .*process {owner.pid}"):
            take_lock()
        owner.send_signal(signal.SIGKILL)
    assert {"device", "cgroup", "process", "folder", "iptables"} <= new
    assert left_behind(before) == []


def run_command(*words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.cluster", *words],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_a_cluster_for_people_outlives_its_command_and_is_in_the_way_of_another_until_it_is_ended(tmp_path):
    assets = tmp_path / "assets"
    assets.mkdir()
    binaries = locate_with_nodes(os.environ)
    for path in [
        path for group in (binaries, binaries.plane) for path in vars(group).values() if isinstance(path, Path)
    ]:
        (assets / path.name).symlink_to(path)
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "KUBEBUILDER_ASSETS": str(assets)}
    try:
        first = run_command("up", "--nodes", environ=environ)
        assert (first.returncode, first.stderr) == (0, "")
        second = run_command("up", "--nodes", environ=environ)
        assert "was running already" in second.stdout
        export = first.stdout.splitlines()[-1]
        assert export == f"export KUBECONFIG={tmp_path}/cache/sedna-py/cluster-e2e/plane/kubeconfig"
        assert second.stdout.splitlines()[-1] == export
        seen = subprocess.run(
            ["/bin/sh", "-c", f"{export}; {binaries.plane.kubectl} --cache-dir={tmp_path} get nodes --no-headers"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert [line.split()[:2] for line in seen.stdout.splitlines()] == [["cloud1", "Ready"], ["edge1", "Ready"]]

        other = run_command("up", "--nodes", environ={**environ, "XDG_CACHE_HOME": str(tmp_path / "other")})
        assert (other.returncode, other.stderr.splitlines()[-1]) == (
            1,
            "a cluster with nodes is running for a person: end it with `make cluster-down`",
        )
    finally:
        down = run_command("down", environ=environ)
    assert (down.stdout, down.stderr) == ("the cluster with nodes is gone\n", "")
    assert run_command("down", environ=environ).stdout == "no control plane was running\n"
