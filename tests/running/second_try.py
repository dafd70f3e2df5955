"""Runs tests, and those few that failed once more, alone.

Some thousand tests run beside each other on two cores, most of them with real processes, sockets and deadlines: now and then one
fails because the machine stood still at the wrong moment. Such a test passes by itself. It is named at the end all the same, and
what it printed the first time stays: it may have found a race of the product's, and one that is named again needs mending.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_FILES: Final = 3
"""So many files with a failure may be chance; more are a defect, and are not tried again."""

FAILED: Final = 1
"""pytest's exit code where tests failed; any other is no matter of chance (a file that cannot be imported, a wrong option)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """pytest's exit code in the end, and the tests that passed only the second time."""

    code: int
    passed_later: Sequence[str] = ()


def run_tests(arguments: Sequence[str], folder: Path) -> Outcome:
    """Run pytest with these arguments in a folder; what it prints is printed."""
    with tempfile.TemporaryDirectory() as cache:
        code = _pytest([*arguments, "-o", f"cache_dir={cache}"], folder)
        failed = failed_tests(Path(cache))
    again = files_to_try_again(code, failed)
    if not again:
        return Outcome(code)
    print(f"trying once more, alone: {' '.join(again)}", flush=True)
    code = _pytest(again, folder)
    return Outcome(code, () if code else failed)


def _pytest(arguments: Sequence[str], folder: Path) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=folder, check=False).returncode


def failed_tests(cache: Path) -> list[str]:
    """Return the names of the tests that failed in a run with this cache directory, which was empty before."""
    try:
        found = json.loads((cache / "v/cache/lastfailed").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return sorted(found)


def files_to_try_again(code: int, failed: Iterable[str]) -> list[str]:
    """Return the files to run once more; none where it cannot be chance.

    Whole files, as the tests of some tell one story in their order.
    """
    files = sorted({name.split("::")[0] for name in failed})
    return files if code == FAILED and len(files) <= MOST_FILES else []


def summary(passed_later: Sequence[str]) -> str:
    """Return what is to be said at the end of a run about tests that passed only the second time."""
    if not passed_later:
        return ""
    return "\n".join(
        [
            "failed among others and passed alone (why they failed stands above):",
            *(f"  {name}" for name in passed_later),
        ]
    )
