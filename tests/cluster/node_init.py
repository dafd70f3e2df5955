"""Be the first process of a node: `python node_init.py <node's folder> [host name]` in namespaces of its own.

When it ends, however it ends, the kernel ends every process of the node, containers too, and forgets every mount.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

# Folders that programs of a node write to wherever one tells them to work.
OWN_FOLDERS = ("/run/containerd", "/var/lib/cni", "/var/log")
READY = "ready"


def main() -> None:
    """Put folders of the node over the machine's, then collect the processes whose parent has ended."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:  # pods on the host's network show the host's name
        socket.sethostname(sys.argv[2])
    for path in OWN_FOLDERS:
        own = folder / "root" / path.lstrip("/")
        own.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(own), path], check=True)
    (folder / READY).touch()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.1)


if __name__ == "__main__":
    main()
