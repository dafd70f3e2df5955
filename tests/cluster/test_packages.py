"""The machine's packages: what is missing is said, and installed where that can be done."""

from __future__ import annotations

import subprocess

import pytest

from tests.cluster import packages
from tests.cluster.errors import TierUnavailableError
from tests.cluster.packages import install_missing, missing_packages, require_machine


@pytest.fixture
def lacks(monkeypatch):
    """Make the machine lack these commands, with or without an apt-get, for root or not."""

    def choose(*commands: str, apt: bool = True, root: bool = True) -> None:
        absent = {*commands, *(() if apt else ("apt-get",))}
        monkeypatch.setattr(packages, "find_tool", lambda name: None if name in absent else f"/usr/bin/{name}")
        monkeypatch.setattr(packages, "cni_programs", lambda: None)
        monkeypatch.setattr(packages, "has_rtsp_server", lambda: "rtsp" not in absent)
        monkeypatch.setattr(packages.os, "geteuid", lambda: 0 if root else 1000)

    return choose


def test_packages_are_named_once_each(lacks):
    lacks("containerd", "ctr", "gcc")
    assert missing_packages() == ["containerd", "gcc", "libc6-dev"]


def test_what_a_single_test_needs_is_installed_and_nodes_do_without(lacks):
    lacks("rtsp")
    assert missing_packages() == sorted(packages.RTSP_PACKAGES)
    assert packages.missing_for_nodes() == []


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"root": False}, "nodes need root"),
        ({"commands": ["runc"]}, "runc not installed: run `python -m tests.cluster packages` as root"),
    ],
)
def test_a_machine_that_cannot_run_nodes_is_told_why(lacks, machine, reason):
    lacks(*machine.pop("commands", []), **machine)
    with pytest.raises(TierUnavailableError, match=reason):
        require_machine("linux")


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"apt": False}, "there is no apt-get: install runc by your system's means"),
        ({"root": False}, "only root can install runc"),
    ],
)
def test_what_cannot_be_installed_is_told_in_one_line(lacks, machine, reason):
    lacks("runc", **machine)
    with pytest.raises(TierUnavailableError, match=f"^{reason}$"):
        install_missing("linux")


@pytest.mark.parametrize("call", [require_machine, install_missing])
def test_other_systems_are_told_that_nodes_need_linux(call):
    with pytest.raises(TierUnavailableError, match="Linux only, this is darwin"):
        call("darwin")


def test_only_what_is_missing_is_installed_and_without_questions(lacks, monkeypatch):
    lacks("runc")
    calls = []

    def run(command, **options):
        calls.append(command)
        assert options["env"]["DEBIAN_FRONTEND"] == "noninteractive"
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(packages.subprocess, "run", run)
    assert install_missing("linux") == ["runc"]
    assert [command[4:] for command in calls] == [["update"], ["install", "--yes", "--no-install-recommends", "runc"]]


def test_a_failed_installation_shows_the_last_line(lacks, monkeypatch):
    lacks("runc")
    failed = subprocess.CompletedProcess([], 100, "", "W: one\nE: Unable to locate package runc\n")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(TierUnavailableError, match=r"^apt-get update failed: E: Unable to locate package runc$"):
        install_missing("linux")
