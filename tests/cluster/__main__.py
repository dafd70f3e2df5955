"""`python -m tests.cluster up | down | binaries`: a Kubernetes control plane for people, and the programs it needs."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from tests.cluster.binaries import Binaries, cache_home, provide
from tests.cluster.detached import Detached
from tests.cluster.errors import ClusterError
from tests.cluster.progress import Progress


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "binaries"])
    chosen = parser.parse_args()
    try:
        {"up": up, "down": down, "binaries": show_binaries}[chosen.command]()
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def up() -> None:
    """Start the control plane unless it runs; the last line is for the shell."""
    cluster = the_cluster()
    started = cluster.up(programs())
    print(f"a Kubernetes control plane {'is ready' if started else 'was running already'}: {cluster.folder}")
    print("it has no nodes, so pods stay Pending; `make cluster-down` ends it and forgets its objects")
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")


def down() -> None:
    """End the control plane."""
    print("the control plane is gone" if the_cluster().down() else "no control plane was running")


def show_binaries() -> None:
    """Build what is missing and say where all are."""
    found = programs()
    folders = sorted({str(path.parent) for path in vars(found).values()})
    print(f"Kubernetes programs: {', '.join(folders)}")


def programs() -> Binaries:
    """Return the programs, built now if need be."""
    return provide(os.environ, Progress(sys.stderr))


def the_cluster() -> Detached:
    """Return the control plane of this user."""
    return Detached(cache_home(os.environ) / "cluster")


if __name__ == "__main__":
    sys.exit(main())
