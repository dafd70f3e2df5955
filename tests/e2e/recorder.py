"""`kubectl get ... -w` into a file, as a person in a second terminal would have it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

END_S = 10


@contextmanager
def recorded(kubectl: Path, kubeconfig: Path, words: list[str], path: Path) -> Iterator[None]:
    """Append what `kubectl <words>` prints to the file while the block runs, its command line first."""
    with path.open("a", encoding="utf-8") as output:
        output.write(f"$ kubectl {' '.join(words)}\n")
        output.flush()
        process = subprocess.Popen(
            [str(kubectl), *words],
            env={**os.environ, "KUBECONFIG": str(kubeconfig), "KUBERC": "off"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(END_S)
