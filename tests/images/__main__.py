"""`python -m tests.images`: build the images that the tests' nodes run, unless the cache has them."""

from __future__ import annotations

import os
import sys

from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress
from tests.images import provide


def main() -> int:
    """Build them; returns the exit code."""
    try:
        found = provide(os.environ, Progress(sys.stderr))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for path in sorted(set(found.values())):
        print(f"{path} has {', '.join(reference for reference, place in found.items() if place == path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
