"""`python -m tests.cluster <command>`: Kubernetes for people, and the programs that it needs.

up, up --nodes   start a control plane, or a whole cluster with the nodes cloud1 and edge1 (as root)
down             end either
load ARCHIVE     import an image archive into both nodes
cut, restore     pull edge1's cable, plug it in again
binaries         build the Kubernetes programs that are missing
packages         install the system's packages that nodes need (as root, with apt-get)
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from tests.cluster.binaries import cache_home, provide, provide_with_nodes
from tests.cluster.detached import Detached
from tests.cluster.detached_e2e import DetachedE2e
from tests.cluster.errors import ClusterError
from tests.cluster.packages import install_missing, require_machine
from tests.cluster.progress import Progress


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("up").add_argument("--nodes", action="store_true")
    commands.add_parser("load").add_argument("archive", type=Path)
    for name in ("down", "cut", "restore", "binaries", "packages"):
        commands.add_parser(name)
    try:
        run(parser.parse_args())
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(chosen: argparse.Namespace) -> None:
    """Do what was asked."""
    match chosen.command:
        case "up" if chosen.nodes:
            up_with_nodes()
        case "up":
            up()
        case "down":
            down()
        case "load":
            the_e2e_cluster().load(chosen.archive)
        case "cut":
            the_e2e_cluster().cut()
        case "restore":
            the_e2e_cluster().restore()
        case "binaries":
            show_binaries()
        case "packages":
            install_packages()


def up() -> None:
    """Start the control plane unless it runs; the last line is for the shell."""
    cluster = the_cluster()
    started = cluster.up(provide(os.environ, Progress(sys.stderr)))
    print(f"a Kubernetes control plane {'is ready' if started else 'was running already'}: {cluster.folder}")
    print("it has no nodes, so pods stay Pending; `make cluster-down` ends it and forgets its objects")
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")


def up_with_nodes() -> None:
    """Start the cluster with nodes unless it runs; the last line is for the shell."""
    require_machine()
    cluster = the_e2e_cluster()
    started = cluster.up(provide_with_nodes(os.environ, Progress(sys.stderr)))
    print(f"a cluster with the nodes cloud1 and edge1 {'is ready' if started else 'was running already'}")
    print(f"logs are in {cluster.folder}; `make cluster-down` ends it and forgets its objects")
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")


def down() -> None:
    """End the control plane and the cluster with nodes, whichever runs."""
    gone = the_cluster().down()
    if the_e2e_cluster().down():
        print("the cluster with nodes is gone")
    elif gone:
        print("the control plane is gone")
    else:
        print("no control plane was running")


def show_binaries() -> None:
    """Build what is missing and say where all are."""
    found = provide_with_nodes(os.environ, Progress(sys.stderr))
    paths = [path for group in (found, found.plane) for path in vars(group).values() if isinstance(path, Path)]
    print(f"Kubernetes programs: {', '.join(sorted({str(path.parent) for path in paths}))}")


def install_packages() -> None:
    """Install what nodes need and say what it was."""
    installed = install_missing()
    print(f"packages for nodes: {'installed ' + ', '.join(installed) if installed else 'all there'}")


def the_cluster() -> Detached:
    """Return the control plane of this user."""
    return Detached(cache_home(os.environ) / "cluster")


def the_e2e_cluster() -> DetachedE2e:
    """Return the cluster with nodes of this user."""
    return DetachedE2e(cache_home(os.environ) / "cluster-e2e")


if __name__ == "__main__":
    sys.exit(main())
