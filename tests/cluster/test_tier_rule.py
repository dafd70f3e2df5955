"""A tier that cannot run is skipped aloud on a person's machine and fails in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.binaries import USER_FOLDER

CHECKOUT = Path(__file__).parents[2]
TEST = "tests/integration/test_control_plane.py::test_files_with_secrets_are_for_the_owner_only"


@pytest.mark.skipif(sys.platform != "linux", reason="the reason would be another one")
@pytest.mark.parametrize(
    ("ci", "code", "summary"), [(None, 0, "SKIPPED"), ("false", 0, "SKIPPED"), ("true", 1, "ERROR"), ("1", 1, "ERROR")]
)
def test_without_programs_the_tier_is_skipped_with_a_reason_and_fails_in_ci(tmp_path, ci, code, summary):
    environ = {key: value for key, value in os.environ.items() if key not in ("CI", USER_FOLDER)}
    environ |= {"XDG_CACHE_HOME": str(tmp_path), "COLUMNS": "300"} | ({"CI": ci} if ci else {})

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == code, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith(summary)]
    assert len(told) == 1
    assert "integration tests cannot run here: etcd, kube-apiserver" in told[0]
    assert "make kubernetes-binaries" in told[0]
