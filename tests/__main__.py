"""`make test`: what needs no cluster in parallel, control planes some at a time, then what wants the machine for itself.

All parts run whatever the ones before find; the exit code is that of the first part that failed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent
CONTROL_PLANES = TESTS / "integration"
# A controller manager that looks every few seconds, beside a simulation of each of its looks.
RULE = CONTROL_PLANES / "test_hpa_rule.py"
ALONE = tuple(TESTS / name for name in ("cluster", "images", "e2e"))
MOST_PROCESSES = 4
PLANES = 3  # at a time: each process has a control plane of its own, and waits for it most of the time
# A file's tests stay together: what its fixtures make once is made once.
BY_FILE = "--dist=loadfile"
PARALLEL = ("--numprocesses=auto", f"--maxprocesses={MOST_PROCESSES}", BY_FILE)


def main() -> int:
    """Run all parts."""
    apart = {*ALONE, CONTROL_PLANES}
    others = sorted(path for path in TESTS.iterdir() if path not in apart and any(path.glob("**/test_*.py")))
    codes = [
        run(*PARALLEL, *others),
        run(f"--numprocesses={PLANES}", BY_FILE, CONTROL_PLANES, f"--ignore={RULE}"),
        run(RULE, *ALONE),
    ]
    return next((code for code in codes if code), 0)


def run(*arguments: str | Path) -> int:
    """Return pytest's exit code."""
    command: Sequence[str] = (sys.executable, "-m", "pytest", *map(str, arguments))
    return subprocess.run(command, cwd=TESTS.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
