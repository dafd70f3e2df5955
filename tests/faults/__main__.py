"""`python -m tests.faults`: build the proxy that the tests of bad links put between edge and cloud."""

from __future__ import annotations

import os
import sys

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.faults.program import provide


def main() -> int:
    """Build it if it is missing; returns the exit code."""
    try:
        print(f"Toxiproxy: {provide(os.environ, Progress(sys.stderr))}")
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
