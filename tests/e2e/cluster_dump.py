"""What is needed to understand a failure on the cluster, in one file."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from tests.cluster.e2e_cluster import E2eCluster
from tests.cluster.errors import KubectlError

# The edge may be cut off: kubectl waits long for logs from there.
KUBECTL_TIMEOUT_S = 10
DUMP_TIMEOUT_S = 60
LOG_LINES = 40
OVERVIEW = (
    ("get", "pods", "--all-namespaces", "--output=wide"),
    ("get", "nodes", "--output=wide"),
    ("get", "ji,deploy,rs,hpa,svc,endpointslices", "--all-namespaces", "--output=wide"),
    ("top", "pods", "--all-namespaces"),
    ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
)


def write_dump(cluster: E2eCluster, name: str) -> Path:
    """Write what the cluster says into a file of this name beside its logs, and return the path; takes a minute at most."""
    path = cluster.folder / f"{re.sub('[^A-Za-z0-9_.-]+', '_', name)[:100]}.txt"
    deadline = time.monotonic() + DUMP_TIMEOUT_S
    with path.open("a", encoding="utf-8") as file:
        for words in (*OVERVIEW, *log_commands(cluster)):
            if time.monotonic() > deadline:
                file.write("\n(no time for more)\n")
                break
            file.write(f"\n$ kubectl {' '.join(words)}\n{said(cluster, words)}")
    return path


def log_commands(cluster: E2eCluster) -> list[tuple[str, ...]]:
    """Return the commands for the ends of all pods' logs, the present and the previous container's."""
    try:
        pods = json.loads(said(cluster, ("get", "pods", "--all-namespaces", "--output=json")))["items"]
    except (ValueError, KeyError):
        return []
    commands: list[tuple[str, ...]] = []
    for pod in pods:
        target = ("-n", pod["metadata"]["namespace"], pod["metadata"]["name"])
        command = ("logs", *target, "--all-containers", "--prefix", f"--tail={LOG_LINES}")
        commands.append(command)
        if any(status["restartCount"] for status in pod["status"].get("containerStatuses", [])):
            commands.append((*command, "--previous"))
    return commands


def said(cluster: E2eCluster, words: tuple[str, ...]) -> str:
    """Return what kubectl prints, or its complaint."""
    try:
        return cluster.kubectl(*words, timeout_s=KUBECTL_TIMEOUT_S)
    except (KubectlError, subprocess.TimeoutExpired) as error:
        return f"{error}\n"
