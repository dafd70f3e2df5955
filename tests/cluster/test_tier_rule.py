"""A tier that cannot run is skipped aloud on a person's machine and fails in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.binaries import USER_FOLDER

CHECKOUT = Path(__file__).parents[2]
E2E_TEST = "tests/e2e/test_e2e_cluster.py::test_both_nodes_are_ready_and_the_edge_looks_like_one"
TEST = "tests/integration/test_control_plane.py::test_files_with_secrets_are_for_the_owner_only"


@pytest.mark.skipif(sys.platform != "linux", reason="the reason would be another one")
@pytest.mark.parametrize(
    ("ci", "code", "summary"), [(None, 0, "SKIPPED"), ("false", 0, "SKIPPED"), ("true", 1, "ERROR"), ("1", 1, "ERROR")]
)
def test_without_programs_the_tier_is_skipped_with_a_reason_and_fails_in_ci(tmp_path, ci, code, summary):
    done = run_test(TEST, tmp_path, ci)

    assert done.returncode == code, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith(summary)]
    assert len(told) == 1
    assert "integration tests cannot run here: etcd, kube-apiserver" in told[0]
    assert "make kubernetes-binaries" in told[0]


@pytest.mark.parametrize(("ci", "code", "summary"), [(None, 0, "SKIPPED"), ("true", 1, "ERROR")])
def test_the_tier_with_nodes_follows_the_same_rule(tmp_path, ci, code, summary):
    done = run_test(E2E_TEST, tmp_path, ci)
    assert done.returncode == code, done.stdout
    assert f"{summary} " in done.stdout
    assert "e2e tests cannot run here: " in done.stdout


def run_test(test: str, tmp_path: Path, ci: str | None) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key not in ("CI", USER_FOLDER)}
    environ |= {"XDG_CACHE_HOME": str(tmp_path), "COLUMNS": "300"} | ({"CI": ci} if ci else {})

    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
