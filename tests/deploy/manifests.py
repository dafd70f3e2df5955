"""The manifests of deploy/ as they are written, before kustomize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def manifests(folder: str = "") -> list[dict[str, Any]]:
    """Return every object in the files below this folder of deploy/, kustomizations left out."""
    found: list[dict[str, Any]] = []
    for path in sorted((DEPLOY / folder).rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            found += [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    return found


def manifest(kind: str, name: str, folder: str = "") -> dict[str, Any]:
    """Return the one object of this kind and name."""
    [found] = [item for item in manifests(folder) if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found
