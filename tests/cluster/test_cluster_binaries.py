"""Where the programs of the control plane come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.binaries import (
    KUBERNETES_VERSION,
    binary_cache,
    cache_home,
    find_programs,
    locate,
    locate_with_nodes,
    provide,
)
from tests.cluster.errors import TierUnavailableError
from tests.cluster.go_build import MODULES, PROGRAMS
from tests.cluster.progress import Progress


def put_program(folder: Path, name: str, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / name).chmod(mode)
    return folder / name


def put_all(folder: Path) -> None:
    for name in PROGRAMS:
        put_program(folder, name)


def test_a_program_of_the_users_folder_comes_first_and_the_cache_fills_the_gaps(tmp_path):
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "KUBEBUILDER_ASSETS": str(tmp_path / "assets")}
    put_all(binary_cache(environ))
    put_program(tmp_path / "assets", "etcd")
    put_program(tmp_path / "assets", "kube-apiserver", mode=0o644)

    found = locate(environ)

    assert found.etcd == tmp_path / "assets" / "etcd"
    assert found.kube_apiserver == binary_cache(environ) / "kube-apiserver"
    assert found.kube_controller_manager == binary_cache(environ) / "kube-controller-manager"


@pytest.mark.parametrize(
    ("chosen", "folder"),
    [("/somewhere", "/somewhere/sedna-py"), ("", "~/.cache/sedna-py"), ("relative", "~/.cache/sedna-py")],
)
def test_the_cache_follows_the_xdg_rules(chosen, folder):
    assert cache_home({"XDG_CACHE_HOME": chosen}) == Path(folder).expanduser()


def test_what_is_missing_is_named_with_what_to_do(tmp_path):
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    put_all(binary_cache(environ))
    (binary_cache(environ) / "kubectl").unlink()

    with pytest.raises(
        TierUnavailableError, match=r"^kubectl not found: run `make kubernetes-binaries` or set KUBEBUILDER"
    ):
        locate(environ)


def test_a_control_plane_asks_for_its_own_programs_only(tmp_path):
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    put_all(binary_cache(environ))
    (binary_cache(environ) / "kubelet").unlink()

    assert locate(environ).kubectl == binary_cache(environ) / "kubectl"
    with pytest.raises(TierUnavailableError, match=r"^kubelet not found: run `make kubernetes-binaries`"):
        locate_with_nodes(environ)


def test_other_systems_are_told_that_linux_is_needed(tmp_path, capsys):
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    put_all(binary_cache(environ))
    for look in (lambda: locate(environ, "darwin"), lambda: provide(environ, Progress(capsys), "darwin")):
        with pytest.raises(TierUnavailableError, match="Linux only, this is darwin"):
            look()


def test_nothing_is_found_in_empty_places(tmp_path):
    assert find_programs({"XDG_CACHE_HOME": str(tmp_path)}) == {}


def test_every_kubernetes_module_is_pinned_to_the_version_of_the_cache_folder():
    lines = (MODULES / "kubernetes" / "go.mod").read_text(encoding="utf-8").splitlines()
    assert ["k8s.io/kubernetes", KUBERNETES_VERSION] in [line.split()[:2] for line in lines]
    staging = [line.split()[-1] for line in lines if " => " in line]
    assert len(staging) > 30
    assert set(staging) == {KUBERNETES_VERSION.replace("v1.", "v0.")}


def test_every_program_has_its_module_with_checksums():
    for program in PROGRAMS.values():
        assert program.package in (MODULES / program.module / "go.mod").read_text(encoding="utf-8")
        assert (MODULES / program.module / "go.sum").stat().st_size > 1000
