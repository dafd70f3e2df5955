"""`python -m tests.cluster.reaper <id>`: clean up after a cluster's owner once the owner's end of our input is closed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cluster.leftovers import records, undo

CHECKOUT = Path(__file__).parents[2]


def start_reaper(cluster_id: str) -> subprocess.Popen[bytes]:
    """Start it; only this process holds the other end of its input, so it also sees a killed owner."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.reaper", cluster_id],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Wait for the owner's end, then undo what it has not."""
    sys.stdin.buffer.read()
    for record in records():
        if record.id == sys.argv[1]:
            undo(record)


if __name__ == "__main__":
    main()
