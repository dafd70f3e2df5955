"""A real S3 server on loopback, in an environment of its own.

Its client library wants an older python-dateutil than the Kubernetes client of the `controller` extra does, so the two cannot
be installed side by side. The environment is made once, in the cache, in about half a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.environments import environment

PACKAGES = ("moto[s3]==5.2.5", "flask>=3.1", "flask-cors>=6.0")
PROGRAM = Path(__file__).with_name("moto_server.py")
INSTALL_S = 100


@dataclass(frozen=True)
class Store:
    """A running server; `users` has the variables with each user's keys."""

    url: str
    users: Mapping[str, Mapping[str, str]]


@contextmanager
def serving(objects: Mapping[str, bytes]) -> Iterator[Store]:
    """Serve a bucket `models` with these objects, and parts.bin of 10 MiB that was uploaded in parts."""
    command = [str(environment("moto", PACKAGES, INSTALL_S)), str(PROGRAM)]
    # Nothing of this machine's AWS settings, and no proxy, may come between.
    variables = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables
    ) as process:
        try:
            process.stdin.write(json.dumps({key: data.decode("latin-1") for key, data in objects.items()}) + "\n")
            process.stdin.flush()
            started = json.loads(process.stdout.readline())
            yield Store(f"http://127.0.0.1:{started['port']}", started["users"])
        finally:
            process.stdin.close()  # which ends it
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
