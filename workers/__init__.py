"""The two worker programs: `python -m workers.edge` and `python -m workers.cloud`."""

from __future__ import annotations

import os
import sys

from workers.cpu_limit import read_cpu_budget

# A worker reports to nobody but its owner. OpenVINO sends usage data from the moment it is imported, and falls back to a
# stub of its own where that package cannot be imported; onnxruntime, where a user's code brings it, reads a variable.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# These libraries count the node's cpus, not the container's, and read how many threads they may start only when they are
# imported: OpenBLAS (numpy and OpenCV bring one each) and OpenMP (PyTorch, where a user's code brings it).
_CPU = read_cpu_budget()
if _CPU.quota is not None:
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(_name, str(_CPU.threads))
