"""Control planes of their own: start, outage, return, end, and the commands for people."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError, StartError

CHECKOUT = Path(__file__).parents[2]
START_AND_WAIT = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from tests.cluster.binaries import Binaries
    from tests.cluster.control_plane import ControlPlane
    with ControlPlane(Binaries(*map(Path, sys.argv[2:])), Path(sys.argv[1])):
        print("ready", flush=True)
        time.sleep(600)
""")


def processes_in(folder: Path) -> dict[int, str]:
    """Return the programs whose working directory this is, by pid."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if (entry / "cwd").readlink() == folder:
                    found[int(entry.name)] = (entry / "comm").read_text(encoding="utf-8").strip()
            except OSError:  # ended meanwhile, or a zombie
                continue
    return found


def all_gone_soon(folder: Path, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while processes_in(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_after_an_outage_the_same_address_has_the_same_data_and_the_controllers_go_on(kubernetes_binaries, tmp_path):
    with ControlPlane(kubernetes_binaries, tmp_path / "plane", audit=True) as plane:
        kubeconfig = plane.kubeconfig.read_text(encoding="utf-8")
        namespace = plane.create_namespace()
        plane.kubectl("create", "configmap", "kept", "-n", namespace)
        of_pod = plane.kubeconfig_for("default", namespace)

        plane.stop_api_server()
        with pytest.raises(KubectlError, match="refused"):
            plane.kubectl("get", "namespaces")
        assert sorted(processes_in(plane.layout.folder).values()) == ["etcd", "kube-controller"]
        plane.start_api_server()

        assert plane.kubeconfig.read_text(encoding="utf-8") == kubeconfig
        assert "kept" in plane.kubectl("get", "configmap", "kept", "-n", namespace)
        assert plane.kubectl("auth", "whoami", "-o", "name", kubeconfig=of_pod)
        plane.create_namespace()  # returns once a controller has worked in it
        with pytest.raises(StartError, match="running already"):
            plane.start_api_server()
        written = [(write.user, write.verb, write.code) for write in plane.api_writes() if write.name == "kept"]
    assert written == [("admin", "create", 201)]
    assert processes_in(plane.layout.folder) == {}
    assert not plane.layout.etcd_data.exists()
    assert (plane.layout.folder / "kube-apiserver.log").stat().st_size > 0


def test_a_failing_start_ends_everything_and_shows_the_log(kubernetes_binaries, tmp_path):
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho no luck today; exit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    binaries = Binaries(**{**vars(kubernetes_binaries), "kube_apiserver": broken})
    with pytest.raises(StartError, match=r"(?s)kube-apiserver ended by itself.*no luck today"):
        ControlPlane(binaries, tmp_path / "plane").start()
    assert processes_in(tmp_path / "plane") == {}


def test_nothing_is_left_when_the_process_that_started_it_is_killed(kubernetes_binaries, tmp_path):
    folder = tmp_path / "plane"
    arguments = [str(folder), *map(str, vars(kubernetes_binaries).values())]
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, *arguments], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"ready\n"
        assert len(processes_in(folder)) == 3
        parent.kill()
    assert all_gone_soon(folder)


@pytest.fixture
def own_cache(kubernetes_binaries, tmp_path):
    """The environment of a person whose cache is empty and whose programs are in a folder of theirs."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for name, path in vars(kubernetes_binaries).items():
        (assets / name.replace("_", "-")).symlink_to(path)
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "KUBEBUILDER_ASSETS": str(assets)}
    yield environ
    run_command("down", environ)


def run_command(command: str, environ: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", command],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_up_outlives_its_command_is_the_same_twice_and_down_ends_it(kubernetes_binaries, own_cache, tmp_path):
    folder = tmp_path / "cache" / "sedna-py" / "cluster"

    first = run_command("up", own_cache)
    running = processes_in(folder)
    second = run_command("up", own_cache)

    assert first[-1] == second[-1] == f"export KUBECONFIG={folder / 'kubeconfig'}"
    assert "is ready" in first[0]
    assert "was running already" in second[0]
    assert len(running) == 3
    assert processes_in(folder) == running
    shell = f"{first[-1]}; {kubernetes_binaries.kubectl} --cache-dir={tmp_path} get namespaces -o name"
    seen = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, timeout=30, check=True)
    assert "namespace/kube-system" in seen.stdout

    assert run_command("down", own_cache) == ["the control plane is gone"]
    assert processes_in(folder) == {}
    assert not folder.exists()
    assert run_command("down", own_cache) == ["no control plane was running"]


def test_up_replaces_a_control_plane_of_which_a_part_has_died(own_cache, tmp_path):
    folder = tmp_path / "cache" / "sedna-py" / "cluster"
    run_command("up", own_cache)
    first = processes_in(folder)
    victim = next(pid for pid, name in first.items() if name == "etcd")
    os.kill(victim, 9)

    assert "is ready" in run_command("up", own_cache)[0]
    assert len(processes_in(folder)) == 3
    assert not first.keys() & processes_in(folder).keys()
