"""`make test`: what needs no cluster in parallel, control planes two at a time, then what wants the machine for itself.

All parts run whatever the ones before find; the exit code is that of the first part that failed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent
ALONE = ("cluster", "images", "e2e")
TWO = ("integration",)  # each process has a control plane of its own, and waits for it most of the time
MOST_PROCESSES = 4
# A file's tests stay together: what its fixtures make once is made once.
BY_FILE = "--dist=loadfile"
PARALLEL = ("--numprocesses=auto", f"--maxprocesses={MOST_PROCESSES}", BY_FILE)


def main() -> int:
    """Run all parts."""
    apart = {*ALONE, *TWO}
    others = sorted(str(path) for path in TESTS.iterdir() if path.name not in apart and any(path.glob("**/test_*.py")))
    codes = [
        run(*PARALLEL, *others),
        run("--numprocesses=2", BY_FILE, *(str(TESTS / name) for name in TWO)),
        run(*(str(TESTS / name) for name in ALONE)),
    ]
    return next((code for code in codes if code), 0)


def run(*arguments: str) -> int:
    """Return pytest's exit code."""
    command: Sequence[str] = (sys.executable, "-m", "pytest", *arguments)
    return subprocess.run(command, cwd=TESTS.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
