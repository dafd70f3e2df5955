"""The two worker programs: `python -m workers.edge` and `python -m workers.cloud`."""

from __future__ import annotations

import os
import sys

# A worker reports to nobody but its owner. OpenVINO sends usage data from the moment it is imported, and falls back to a
# stub of its own where that package cannot be imported; onnxruntime, where a user's code brings it, reads a variable.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
