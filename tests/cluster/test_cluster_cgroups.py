"""Cgroups of nodes, in folders that stand for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import cgroups


@pytest.fixture
def v1_and_v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("cpuset", "unified"):
        (tmp_path / name).mkdir()
    mounts = (
        f"cgroup {tmp_path}/cpuset cgroup rw 0 0\ncgroup2 {tmp_path}/unified cgroup2 rw 0 0\n/dev/vda / ext4 rw 0 0\n"
    )
    (tmp_path / "mounts").write_text(mounts, encoding="utf-8")
    monkeypatch.setattr(cgroups, "MOUNTS", tmp_path / "mounts")
    return tmp_path


def test_a_cgroup_is_made_and_removed_in_every_hierarchy(v1_and_v2):
    (v1_and_v2 / "unified" / "cgroup.controllers").write_text("", encoding="ascii")
    (v1_and_v2 / "unified" / "one").mkdir()
    (v1_and_v2 / "unified" / "one" / "cgroup.controllers").write_text("", encoding="ascii")
    (v1_and_v2 / "unified" / "one" / "two").mkdir()
    (v1_and_v2 / "unified" / "one" / "two" / "cgroup.controllers").write_text("", encoding="ascii")
    cgroups.make_cgroups("one/two")
    assert (v1_and_v2 / "cpuset" / "one" / "two").is_dir()

    for file in (v1_and_v2 / "unified").rglob("*/cgroup.controllers"):
        file.unlink()  # the kernel's go with their folder
    cgroups.remove_cgroups("one")
    assert not (v1_and_v2 / "cpuset" / "one").exists()
    assert not (v1_and_v2 / "unified" / "one").exists()


def test_a_cpuset_has_the_cpus_of_its_parent(tmp_path):
    (tmp_path / "child").mkdir()
    for name, value in (("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")):
        (tmp_path / name).write_text(value, encoding="ascii")
        (tmp_path / "child" / name).write_text("\n", encoding="ascii")
    cgroups.inherit_cpus(tmp_path, tmp_path / "child")
    assert (tmp_path / "child" / "cpuset.cpus").read_text(encoding="ascii") == "0-1\n"
    assert (tmp_path / "child" / "cpuset.mems").read_text(encoding="ascii") == "0\n"


def test_every_controller_is_passed_on_to_children(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory", encoding="ascii")
    cgroups.pass_on_controllers(tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text(encoding="ascii") == "+memory"  # each is a write of its own
