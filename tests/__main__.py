"""`make test`: what needs no cluster in parallel, control planes some at a time, then what wants the machine for itself.

All parts run whatever the ones before find; the exit code is that of the first part that failed. A few failures of a part are
tried once more: see tests.running.second_try.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.running.second_try import run_tests, summary

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
    parts: list[tuple[str | Path, ...]] = [
        (*PARALLEL, *others),
        (f"--numprocesses={PLANES}", BY_FILE, CONTROL_PLANES, f"--ignore={RULE}"),
        (RULE, *ALONE),
    ]
    outcomes = [run_tests([str(argument) for argument in part], TESTS.parent) for part in parts]
    if said := summary([name for outcome in outcomes for name in outcome.passed_later]):
        print(said, flush=True)
    return next((outcome.code for outcome in outcomes if outcome.code), 0)


if __name__ == "__main__":
    sys.exit(main())
