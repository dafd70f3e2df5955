"""Building the programs, with a stand-in for go: one that writes what it was asked for, or fails."""

from __future__ import annotations

import fcntl
import io
import threading
from pathlib import Path

import pytest

from tests.cluster import go_build
from tests.cluster.binaries import NODE_PROGRAMS, PLANE_PROGRAMS, binary_cache, provide, provide_with_nodes
from tests.cluster.errors import BuildError, TierUnavailableError
from tests.cluster.go_build import PROGRAMS, build_missing, find_go, go_version_wanted
from tests.cluster.progress import Progress

GO = """#!/bin/sh
[ "$1" = env ] && exit {env_code}
echo "$*" >> "{folder}/calls"
while [ "$1" != -o ]; do shift; done
echo half > "$2"
{build}
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def put_go(folder: Path, *, env_code: int = 0, build: str = "chmod +x $2") -> dict[str, str]:
    go = folder / "bin" / "go"
    go.parent.mkdir(parents=True, exist_ok=True)
    go.write_text(GO.format(env_code=env_code, folder=folder, build=build), encoding="utf-8")
    go.chmod(0o755)
    return {"PATH": f"{go.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")}


def test_what_is_missing_is_built_once_and_said_in_one_line_each(tmp_path):
    environ, stream = put_go(tmp_path), io.StringIO()

    first = provide(environ, Progress(stream))
    second = provide(environ, Progress(stream))

    assert first == second
    assert first.etcd == binary_cache(environ) / "etcd"
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert [call.split()[-1] for call in calls] == [PROGRAMS[name].package for name in PLANE_PROGRAMS]
    assert all("-mod=readonly" in call and "-trimpath" in call for call in calls)
    assert [line.split()[1] for line in stream.getvalue().splitlines()[::2]] == list(PLANE_PROGRAMS)


def test_what_nodes_need_is_built_when_asked_for(tmp_path):
    environ, stream = put_go(tmp_path), io.StringIO()
    provide(environ, Progress(io.StringIO()))
    found = provide_with_nodes(environ, Progress(stream))
    assert found.kubelet == binary_cache(environ) / "kubelet"
    assert [line.split()[1] for line in stream.getvalue().splitlines()[::2]] == list(NODE_PROGRAMS)


def test_kubernetes_programs_say_which_version_they_are(tmp_path):
    environ = put_go(tmp_path)
    provide_with_nodes(environ, Progress(io.StringIO()))
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    stamps = ["-X k8s.io/component-base/version.gitVersion=v1.36.3" in call for call in calls]
    built = [PROGRAMS[name] for name in (*PLANE_PROGRAMS, *NODE_PROGRAMS)]
    assert stamps == [program.module == "kubernetes" for program in built]


def test_a_failed_build_shows_the_end_of_what_go_said_and_leaves_no_file(tmp_path):
    environ = put_go(tmp_path, build="seq 100; echo the reason >&2; exit 2")
    with pytest.raises(BuildError, match=r"(?s)^building etcd failed: 87\n.*100\nthe reason$"):
        provide(environ, Progress(io.StringIO()))
    assert [file.name for file in binary_cache(environ).iterdir()] == [".lock"]


def test_a_build_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(go_build, "LONGEST_BUILD_S", 0)
    environ = put_go(tmp_path, build="exec sleep 60")
    with pytest.raises(BuildError, match="took more than"):
        provide(environ, Progress(io.StringIO()))
    assert [file.name for file in binary_cache(environ).iterdir()] == [".lock"]


def test_without_go_the_message_says_which_version_to_install(tmp_path):
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with pytest.raises(
        TierUnavailableError, match=rf"there is no go command .*install Go {go_version_wanted()} or newer$"
    ):
        provide(environ, Progress(io.StringIO()))


def test_a_go_that_refuses_the_module_is_too_old(tmp_path):
    with pytest.raises(BuildError, match=r"too old .*install Go"):
        find_go(put_go(tmp_path, env_code=1))


def test_a_second_run_waits_for_the_first_and_does_not_build_again(tmp_path):
    environ, folder, stream = put_go(tmp_path), tmp_path / "programs", Terminal()
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=build_missing, args=(["etcd"], find_go(environ), folder, Progress(stream)))
        second.start()
        while "waiting for another run" not in stream.getvalue():
            second.join(0.01)
            assert second.is_alive()
        (folder / "etcd").write_text("built by the first", encoding="utf-8")
    second.join(20)
    assert not second.is_alive()
    assert not (tmp_path / "calls").exists()


def test_a_terminal_sees_one_line_rewritten():
    stream = Terminal()
    progress = Progress(stream)
    progress.start("building etcd")
    progress.tick("building etcd", 1.2)
    progress.end("building etcd", 2.4)
    assert stream.getvalue().split("\r") == ["building etcd ...", "building etcd ... 1 s", "building etcd: 2 s   \n"]
