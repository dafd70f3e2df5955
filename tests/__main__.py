"""`make test`: what needs no cluster in parallel, then clusters and images, which want the machine for themselves.

Both parts run whatever the first one finds; the exit code is that of the first part that failed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent
ALONE = ("cluster", "images", "integration", "e2e")
MOST_PROCESSES = 4
# A file's tests stay together: what its fixtures make once is made once.
PARALLEL = ("--numprocesses=auto", f"--maxprocesses={MOST_PROCESSES}", "--dist=loadfile")


def main() -> int:
    """Run both parts."""
    alone = [str(TESTS / name) for name in ALONE]
    others = sorted(str(path) for path in TESTS.iterdir() if path.name not in ALONE and any(path.glob("**/test_*.py")))
    codes = [run(*PARALLEL, *others), run(*alone)]
    return next((code for code in codes if code), 0)


def run(*arguments: str) -> int:
    """Return pytest's exit code."""
    command: Sequence[str] = (sys.executable, "-m", "pytest", *arguments)
    return subprocess.run(command, cwd=TESTS.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
