"""The examples' documents for the test's nodes: as they are, but for where their files lie and how their clip is played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

Documents = list[dict[str, Any]]


def example_documents(example: Path, namespace: str, frames_per_second: int = 10) -> Documents:
    """Return an example's documents for a namespace, its clip played as a camera would, again and again."""
    found: Documents = list(yaml.safe_load_all(example.read_text(encoding="utf-8")))
    for document in found:
        document["metadata"]["namespace"] = namespace
    container(found, "edgeWorker")["env"] += [
        {"name": "SOURCE_REPEAT", "value": "0"},
        {"name": "SOURCE_PACE", "value": str(frames_per_second)},
        {"name": "LC_PERIOD", "value": "2"},
    ]
    return found


def container(found: Documents, side: str) -> dict[str, Any]:
    """Return the container of a worker (edgeWorker, cloudWorker) of the service, which comes last."""
    first: dict[str, Any] = found[-1]["spec"][side]["template"]["spec"]["containers"][0]
    return first


def with_host_root(found: Documents, root: Path) -> Documents:
    """Let the nodes' files lie in a folder: all of the examples' are below one."""
    return json.loads(json.dumps(found).replace('"/sedna/', f'"{root}/sedna/'))  # type: ignore[no-any-return]
