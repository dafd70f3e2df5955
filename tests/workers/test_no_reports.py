"""Nothing that a worker imports reports home or leaves files in the home directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["workers.inference.predictor", "workers.edge.worker", "workers.cloud.server"])
def test_importing_leaves_no_file(module: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    script = f"import sys, {module}; sys.exit('openvino' not in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
